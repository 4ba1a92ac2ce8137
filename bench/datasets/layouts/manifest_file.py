"""A table that lists image files: CSV, JSONL or Parquet with ``path`` and ``label``.

``generator``, ``domain``, ``split``, ``group`` and ``sample_id`` are read where present. Paths are
relative to the table. It is the way out for any data set that no layout recognises.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bench.datasets.layouts.base import Entry, Layout, Match, Tree
from bench.datasets.layouts.table_rows import (
    LABEL_COLUMNS,
    PATH_COLUMNS,
    LabelColumn,
    Row,
    entries_from_rows,
    find_column,
    label_column,
)
from bench.datasets.sources.parquet_file import image_column, read_schema
from bench.datasets.sources.table_file import Record, read_table
from bench.datasets.sources.tree import suffix
from bench.errors import DataError

_OURS: Final = ("manifest.csv", "manifest.jsonl", "manifest.parquet")
_HUGGING_FACE: Final = ("metadata.csv", "metadata.jsonl", "metadata.parquet")  # imagefolder's


class ManifestFile(Layout):
    """A CSV, JSONL or Parquet table of paths and labels, or a folder with a ``manifest.csv``."""

    name = "manifest"
    summary = "a CSV, JSONL or Parquet table with the columns path, label [, generator, ...]"

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
        table = read_table(tree.root / path)
        label = LabelColumn(label_column(table.columns, path))
        path_column = find_column(PATH_COLUMNS, table.columns)
        if path_column is None:
            raise DataError(
                f"{path} has no column `path` (columns: {', '.join(table.columns)}): add one with "
                "the image files, relative to the table"
            )
        rows = (_row(record, path_column, path, tree.root) for record in table.records)
        return entries_from_rows(rows, label, path)


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
            tables = [name for name in tables if _has_labels(tree.root / name)]
    if len(tables) > 1:
        raise DataError(
            f"{tree.root} holds {' and '.join(tables)}: point at the one to use, such as "
            f"{tree.root / tables[0]}"
        )
    return tables[0] if tables and _lists_paths(tree.root / tables[0]) else None


def _lists_paths(path: Path) -> bool:
    """Whether a table can only list image files: Parquet may hold the images themselves."""
    return suffix(path.name) != ".parquet" or image_column(read_schema(path)) is None


def _has_labels(path: Path) -> bool:
    columns = read_table(path).columns
    return bool(find_column(PATH_COLUMNS, columns) and find_column(LABEL_COLUMNS, columns))


def _row(record: Record, path_column: str, table: str, root: Path) -> Row:
    path = record.values.get(path_column)
    if not isinstance(path, str) or not path.strip():
        raise DataError(f"{table}, {record.origin}: column `{path_column}` is empty: give the file")
    if "\\" in path and not (root / path).exists():
        path = path.replace("\\", "/")  # written on Windows
    return Row(record.origin, record.values, posixpath.normpath(path))


LAYOUTS = {"manifest": ManifestFile()}
