"""A table that lists image files: CSV, JSONL or Parquet with ``path`` and ``label``.

``generator``, ``domain``, ``split``, ``group`` and ``sample_id`` are read where present. Paths are
relative to the table. It is the way out for any data set that no layout recognises.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import Final

from bench.datasets.layouts.base import Entry, Layout, Match, Tree
from bench.datasets.layouts.columns import (
    LABEL_COLUMNS,
    PATH_COLUMNS,
    LabelColumn,
    chosen_columns,
    find_column,
    label_column,
    path_column,
    stated_values,
)
from bench.datasets.layouts.table_rows import Reading, Row, entries_from_rows
from bench.datasets.sources.names import suffix
from bench.datasets.sources.parquet_file import image_column, read_schema
from bench.datasets.sources.table_file import Record, Table, read_table
from bench.errors import DataError
from bench.support.objects.place import ObjectPath, Place

_OURS: Final = ("manifest.csv", "manifest.jsonl", "manifest.parquet")
_HUGGING_FACE: Final = ("metadata.csv", "metadata.jsonl", "metadata.parquet")  # imagefolder's


class ManifestFile(Layout):
    """A CSV, JSONL or Parquet table of paths and labels, or a folder with a ``manifest.csv``."""

    name = "manifest"
    summary = "a CSV, JSONL or Parquet table with the columns path, label [, generator, ...]"
    reads_columns = True

    def match(self, tree: Tree) -> Match | None:
        """Match a single table without image bytes, or a folder that holds one by name."""
        path = _find_table(tree, named=False)
        if path is None:
            return None
        return Match(50 if tree.single else 40, f"{self.summary}: {path}")

    def entries(self, tree: Tree) -> Iterable[Entry]:
        """List one entry a row, labels checked; no image is opened."""
        path = _find_table(tree, named=True)
        if path is None:
            return []
        table = read_table(tree.root / path, tree.table_bytes(path))
        reading, images = read_columns(tree, table, path)
        base = _Base(tree)
        rows = (_row(record, images, path, base, reading) for record in table.records)
        return entries_from_rows(rows, reading.label, path, tree.splits)


def read_columns(tree: Tree, table: Table, path: str) -> tuple[Reading, str]:
    """Say how a table of files is read, and which column holds the files.

    Args:
        tree: what lies there, and what the user says of columns.
        table: as read, its rows still to come.
        path: name of the table, for messages.

    Raises:
        DataError: no column of files or of labels, or one that the user names and is not there.
    """
    names = chosen_columns(table.columns, tree.columns, path)
    label = LabelColumn(
        label_column(table.columns, path, tree.columns),
        fake=stated_values(tree.columns, "fake"),
        real=stated_values(tree.columns, "real"),
    )
    images = path_column(table.columns, tree.columns)
    if images is None:
        raise DataError(
            f"{path} has no column `path` (columns: {', '.join(table.columns)}): add one with "
            "the image files, relative to the table, or name it with --columns path=NAME"
        )
    return Reading.of(label, names, table.columns, images), images


def _find_table(tree: Tree, *, named: bool) -> str | None:
    """Find the one table to read.

    Args:
        tree: what lies there.
        named: whether the user named this layout; else a ``metadata`` table without labels, which
            may be captions, is passed over.

    Raises:
        DataError: several tables of the same standing.
    """
    if tree.single:
        return tree.single if tree.tables and _lists_paths(tree.root / tree.single) else None
    present = {table.path for table in tree.tables}
    tables: list[str] = [name for name in _OURS if name in present]
    if not tables:
        tables = [name for name in _HUGGING_FACE if name in present]
        if not named:
            tables = [name for name in tables if _has_labels(tree, name)]
    if len(tables) > 1:
        raise DataError(
            f"{tree.root} holds {' and '.join(tables)}: point at the one to use, such as "
            f"{tree.root / tables[0]}"
        )
    return tables[0] if tables and _lists_paths(tree.root / tables[0]) else None


def _lists_paths(path: Place) -> bool:
    """Whether a table can only list image files: Parquet may hold the images themselves."""
    return suffix(path.name) != ".parquet" or image_column(read_schema(path)) is None


def _has_labels(tree: Tree, path: str) -> bool:
    columns = read_table(tree.root / path, tree.table_bytes(path)).columns
    if tree.columns.get("label") in columns:
        return True
    return bool(find_column(PATH_COLUMNS, columns) and find_column(LABEL_COLUMNS, columns))


class _Base:
    """Where the files of a table lie: beside it, or in ``images`` beside it, as the first tells."""

    def __init__(self, tree: Tree) -> None:
        self._root, self._archived = tree.root, bool(tree.archived)
        self._posix = self._archived or isinstance(tree.root, ObjectPath)
        self._folder: str | None = "" if self._archived else None

    def place(self, path: str) -> str:
        if "\\" in path and (self._posix or not (self._root / path).exists()):
            path = path.replace("\\", "/")  # written on Windows
        if self._folder is None:
            below = not _exists(self._root / path) and _exists(self._root / "images" / path)
            self._folder = "images" if below else ""
        return posixpath.normpath(posixpath.join(self._folder, path))


def _exists(path: Place) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a NUL, or a name that is too long
        return False


def _row(record: Record, images: str, table: str, base: _Base, reading: Reading) -> Row:
    place = base.place(image_path(record, images, table))
    return reading.row(record.origin, record.values, place)


def image_path(record: Record, images: str, table: str) -> str:
    """Read the image file of one row.

    Raises:
        DataError: the cell is empty.
    """
    path = record.values.get(images)
    if not isinstance(path, str) or not path.strip():
        raise DataError(f"{table}, {record.origin}: column `{images}` is empty: give the file")
    return path


LAYOUTS = {"manifest": ManifestFile()}
