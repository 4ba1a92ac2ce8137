"""Parquet files that hold the images themselves, as Hugging Face writes them.

An image column (a struct with ``bytes``, or plain binary) and a label column; ``sample_id``,
``generator``, ``domain``, ``split`` and ``group`` are read where present.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from bench.datasets.layouts.base import Entry, Layout, Match, Tree
from bench.datasets.layouts.table_rows import (
    COLUMNS,
    PATH_COLUMNS,
    LabelColumn,
    Row,
    entries_from_rows,
    find_column,
    label_column,
)
from bench.datasets.layouts.words import split_of
from bench.datasets.sources.image_bytes import image_column
from bench.errors import DataError


class ParquetBytes(Layout):
    """One or several Parquet files with image bytes."""

    name = "parquet"
    summary = "Parquet with image bytes (column `image`) and `label`, one file or a folder of them"

    def match(self, tree: Tree) -> Match | None:
        """Match a Parquet file with image bytes, or a folder of such files without loose images.

        Raises:
            DataError: a Parquet file that cannot be read.
        """
        if tree.image_folders or not _image_files(tree):
            return None
        return Match(50 if tree.single else 35, self.summary)

    def entries(self, tree: Tree) -> Iterable[Entry]:
        """Rows of every file, labels checked; no image is read."""
        files = _image_files(tree)
        if not files:
            return []
        labels = {_labels(schema, path) for path, schema in files.items()}
        if len(labels) > 1:
            raise DataError(
                f"the Parquet files {', '.join(files)} tell their labels in different ways: "
                "index them one by one, or give them the same label column"
            )
        rows = (row for path, schema in files.items() for row in _rows(tree, path, schema))
        where = next(iter(files)) if len(files) == 1 else f"{len(files)} Parquet files"
        return entries_from_rows(rows, labels.pop(), where)


def _image_files(tree: Tree) -> dict[str, pa.Schema]:
    """Parquet files that have a column of image bytes, and their schemas."""
    found: dict[str, pa.Schema] = {}
    for file in tree.tables:
        if not file.path.lower().endswith(".parquet"):
            continue
        try:
            schema = pq.read_schema(tree.root / file.path)
        except (OSError, pa.ArrowException) as error:
            raise DataError(
                f"{tree.root / file.path} cannot be read as Parquet ({error}): fetch it again "
                "or move it away"
            ) from error
        if image_column(schema) is not None:
            found[file.path] = schema
    return found


def _labels(schema: pa.Schema, path: str) -> LabelColumn:
    """How the file tells its labels: ClassLabel names, words, or our own 0 and 1."""
    name = label_column(schema.names, path)
    classes = _class_names(schema, name)
    # A bare number says nothing about its direction (alphabetical order makes "ai" 0), unless
    # the table speaks in our columns or the column's own name says what 1 means.
    numbers = name != "label" or "generator" in schema.names
    return LabelColumn(name, classes, numbers)


def _class_names(schema: pa.Schema, column: str) -> tuple[str, ...]:
    """Names of a Hugging Face ClassLabel from the schema's metadata; () where there are none."""
    raw = (schema.metadata or {}).get(b"huggingface")
    try:
        feature = json.loads(raw)["info"]["features"][column] if raw else {}
        names = feature.get("names") or ()
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()
    return tuple(str(n) for n in names) if isinstance(names, list) else ()


def _rows(tree: Tree, path: str, schema: pa.Schema) -> Iterator[Row]:
    image = image_column(schema)
    label = label_column(schema.names, path)
    wanted = [c for c in dict.fromkeys((*COLUMNS, *PATH_COLUMNS, label)) if c in schema.names]
    wanted = [c for c in wanted if c != image]
    split = _split_from_name(path)
    id_column = find_column(("sample_id", *PATH_COLUMNS), wanted)
    number = 0
    for batch in pq.ParquetFile(tree.root / path).iter_batches(8192, columns=wanted):
        for values in batch.to_pylist():
            if id_column and id_column != "sample_id":
                values["sample_id"] = values[id_column]
            place = f"row {number} of {path}"
            yield Row(place, values, f"{path}#{number}", split)
            number += 1


def _split_from_name(path: str) -> str:
    """The split a file's name begins with (``train-00000-of-00003.parquet``), or its folder's."""
    parts = PurePosixPath(path)
    stem = re.split(r"[-_.]", parts.stem)[0]
    return split_of(stem) or next((s for p in parts.parts[:-1] if (s := split_of(p))), "")


LAYOUTS = {"parquet": ParquetBytes()}
