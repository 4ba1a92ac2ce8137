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
from bench.datasets.layouts.folder_names import splits_in
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
from bench.datasets.sources.parquet_file import image_column, parquet_errors, read_schema
from bench.datasets.sources.table_file import refuse_repeated
from bench.datasets.sources.tree import suffix
from bench.errors import DataError

_BATCH = 8192


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
        """List the rows of every file, labels checked; no image is read."""
        files = _image_files(tree)
        if not files:
            return []
        labels = {_label(schema, path) for path, schema in files.items()}
        if len(labels) > 1:
            raise DataError(
                f"the Parquet files {', '.join(files)} tell their labels in different ways: "
                "index them one by one, or give them the same label column"
            )
        rows = (row for path, schema in files.items() for row in _rows(tree, path, schema))
        where = next(iter(files)) if len(files) == 1 else f"{len(files)} Parquet files"
        return entries_from_rows(rows, labels.pop(), where)


def _image_files(tree: Tree) -> dict[str, pa.Schema]:
    """Find the Parquet files that have a column of image bytes, with their schemas."""
    paths = [table.path for table in tree.tables if suffix(table.path) == ".parquet"]
    schemas = {path: read_schema(tree.root / path) for path in paths}
    return {path: schema for path, schema in schemas.items() if image_column(schema) is not None}


def _label(schema: pa.Schema, path: str) -> LabelColumn:
    """Say how the file tells its labels: ClassLabel names, words, or our own 0 and 1."""
    refuse_repeated(schema.names, path)
    name = label_column(schema.names, path)
    classes = _class_names(schema, name)
    # A bare number says nothing about its direction (alphabetical order makes "ai" 0), unless
    # the table speaks in our columns or the column's own name says what 1 means.
    numbers = name != "label" or "generator" in schema.names
    return LabelColumn(name, classes, numbers)


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


def _rows(tree: Tree, path: str, schema: pa.Schema) -> Iterator[Row]:
    columns = _columns(schema, path)
    split = _split_from_name(path)
    id_column = find_column(("sample_id", *PATH_COLUMNS), columns)
    number = 0
    with parquet_errors(tree.root / path):
        for batch in pq.ParquetFile(tree.root / path).iter_batches(_BATCH, columns=columns):
            for values in batch.to_pylist():
                if id_column is not None:
                    values["sample_id"] = values[id_column]
                yield Row(f"row {number} of {path}", values, f"{path}#{number}", split)
                number += 1


def _columns(schema: pa.Schema, path: str) -> list[str]:
    """Choose the columns to read: all we know but the images."""
    image = image_column(schema)
    names = dict.fromkeys((*COLUMNS, *PATH_COLUMNS, label_column(schema.names, path)))
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
