"""Parquet files that hold the images themselves, as Hugging Face writes them.

An image column (a struct with ``bytes``, or plain binary) and a label column; ``sample_id``,
``generator``, ``domain``, ``split`` and ``group`` are read where present.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from bench.datasets.layouts.base import Entry, Layout, Match, Tree
from bench.datasets.layouts.columns import (
    PATH_COLUMNS,
    LabelColumn,
    chosen_columns,
    find_column,
    has_labels,
    label_column,
    stated_values,
)
from bench.datasets.layouts.folder_names import splits_in
from bench.datasets.layouts.table_rows import Reading, Row, entries_from_rows
from bench.datasets.layouts.words import split_of
from bench.datasets.record import REAL
from bench.datasets.sources.names import stem, suffix
from bench.datasets.sources.parquet_file import (
    image_column,
    parquet_errors,
    parquet_source,
    read_schema,
)
from bench.datasets.sources.table_file import refuse_repeated
from bench.errors import DataError

_log = logging.getLogger(__name__)
_BATCH: Final = 8192
_FORENSICS: Final = frozenset({"image_data", "model_name", "real_source", "architecture", "label"})


class ParquetBytes(Layout):
    """One or several Parquet files with image bytes."""

    name = "parquet"
    summary = "Parquet with image bytes (column `image`) and `label`, one file or a folder of them"
    reads_columns = True

    def match(self, tree: Tree) -> Match | None:
        """Match a Parquet file with image bytes, or a folder of such files without loose images.

        Raises:
            DataError: a Parquet file that cannot be read.
        """
        if tree.image_folders or not image_files(tree):
            return None
        return Match(50 if tree.single else 35, self.summary)

    def entries(self, tree: Tree) -> Iterable[Entry]:
        """List the rows of every file, labels checked; no image is read."""
        files = _labelled(tree, _of_splits(tree, image_files(tree)))
        if not files:
            return []
        labels = {_label(tree, schema, path) for path, schema in files.items()}
        if len(labels) > 1:
            raise DataError(
                f"the Parquet files {', '.join(files)} tell their labels in different ways: "
                "index them one by one, or give them the same label column"
            )
        label = labels.pop()
        rows = (row for path, schema in files.items() for row in _rows(tree, path, schema, label))
        where = next(iter(files)) if len(files) == 1 else f"{len(files)} Parquet files"
        return entries_from_rows(rows, label, where, tree.splits)


def image_files(tree: Tree) -> dict[str, pa.Schema]:
    """Find the Parquet files that have a column of image bytes, with their schemas."""
    paths = [table.path for table in tree.tables if suffix(table.path) == ".parquet"]
    schemas = {path: read_schema(tree.root / path) for path in paths}
    return {path: schema for path, schema in schemas.items() if image_column(schema) is not None}


def _of_splits(tree: Tree, files: Mapping[str, pa.Schema]) -> dict[str, pa.Schema]:
    """Leave out files whose name says that they are of a split nobody asked for, if others are left."""
    wanted = {
        path: schema
        for path, schema in files.items()
        if tree.splits is None
        or "split" in schema.names
        or _split_from_name(path) in {"", *tree.splits}
    }
    return wanted or dict(files)


def _labelled(tree: Tree, files: Mapping[str, pa.Schema]) -> dict[str, pa.Schema]:
    """Pass over files without labels of a split that has none anywhere: those of a competition's test."""
    with_labels = {p: s for p, s in files.items() if has_labels(s.names, tree.columns)}
    splits = {_split_from_name(path) for path in with_labels}
    kept = {
        path: schema
        for path, schema in files.items()
        if path in with_labels or not splits or _split_from_name(path) in {"", *splits}
    }
    if len(kept) < len(files):
        names = ", ".join(sorted(set(files) - set(kept)))
        _log.warning("%s: passed over, for want of labels: %s", tree.place, names)
    return kept


def _label(tree: Tree, schema: pa.Schema, path: str) -> LabelColumn:
    """Say how the file tells its labels: as stated, ClassLabel names, words, or our own 0 and 1."""
    refuse_repeated(schema.names, path)
    name = label_column(schema.names, path, tree.columns)
    classes = _class_names(schema, name)
    # A bare number says nothing about its direction (alphabetical order makes "ai" 0), unless
    # the table speaks in our columns, the column's own name says what 1 means, or it is known.
    numbers = name.lower() != "label" or "generator" in schema.names or _is_forensics(schema)
    if tree.columns.get("label") == name:
        numbers = LabelColumn(name).states_direction
    fake, real = (stated_values(tree.columns, word) for word in ("fake", "real"))
    return LabelColumn(name, classes, numbers, fake, real)


def _is_forensics(schema: pa.Schema) -> bool:
    """Whether a file is one of Community Forensics (Park and Owens, CVPR 2025), in which 1 is fake."""
    return set(schema.names) >= _FORENSICS


def _class_names(schema: pa.Schema, column: str) -> tuple[str, ...]:
    """Read the names of a Hugging Face ClassLabel from the schema's metadata; () for none."""
    metadata = (schema.metadata or {}).get(b"huggingface")
    if metadata is None:
        return ()
    try:
        names = json.loads(metadata)["info"]["features"][column]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def _rows(tree: Tree, path: str, schema: pa.Schema, label: LabelColumn) -> Iterator[Row]:
    names = chosen_columns(schema.names, tree.columns, path)
    if _is_forensics(schema) and "split" not in tree.columns:
        names.pop("split", None)  # its splits are parts of the collection, such as PublicEval
    flat = [field.name for field in schema if _is_flat(field.type)]
    reading = Reading.of(label, names, flat, image_column(schema))
    columns = _columns(reading, schema)
    split = _split_from_name(path)
    id_column = reading.names.get("sample_id") or find_column(PATH_COLUMNS, columns)
    number = 0
    with parquet_errors(tree.root / path):
        for batch in pq.ParquetFile(parquet_source(tree.root / path)).iter_batches(
            _BATCH, columns=columns
        ):
            for raw in batch.to_pylist():
                row = reading.row(f"row {number} of {path}", raw, f"{path}#{number}", split)
                values = {**row.values, **_published(raw, row, label, path)}
                if id_column is not None:
                    values["sample_id"] = raw[id_column]
                yield replace(row, values=values)
                number += 1


def _published(raw: Mapping[str, Any], row: Row, label: LabelColumn, path: str) -> dict[str, str]:
    """Say what published sets tell in columns or names of their own.

    Community Forensics names the source of a real image in ``real_source``; OpenSDI the kind of fake
    before the first slash of ``key``, and the generator before the first hyphen of the file's name.
    """
    told: dict[str, str] = {}
    is_real = label.read(raw.get(label.name)) == REAL
    if is_real and raw.get("real_source"):
        told["generator"] = str(raw["real_source"])
    kind, slash, _ = str(raw.get("key") or "").partition("/")
    if slash and kind in ("entire", "partial"):
        if not row.values.get("domain"):
            told["domain"] = kind
        generator = stem(PurePosixPath(path).name).split("-")[0]
        if not is_real and not row.values.get("generator") and split_of(generator) is None:
            told["generator"] = generator
    return told


def _is_flat(kind: pa.DataType) -> bool:
    """Whether values of a type are words, numbers or dates, as one cuts a board by."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return not (
        pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    )


def _columns(reading: Reading, schema: pa.Schema) -> list[str]:
    """Choose the columns to read: all we know or keep but the images."""
    image = image_column(schema)
    known = (*reading.names.values(), *PATH_COLUMNS, reading.label.name, "real_source", "key")
    names = dict.fromkeys((*known, *reading.free))
    return [name for name in names if name in schema.names and name != image]


def _split_from_name(path: str) -> str:
    """Read the split a file's name begins with (``train-00000-of-00003.parquet``), or its folder's."""
    parts = PurePosixPath(path)
    split = split_of(re.split(r"[-_.]", parts.stem)[0])
    if split is not None:
        return split
    splits = splits_in(parts.parts[:-1])
    return splits[0] if splits else ""


LAYOUTS = {"parquet": ParquetBytes()}
