"""Tables of labels beside the images they list: ``shard_0/labels.csv`` and ``shard_0/images/``.

NTIRE's shards, Hugging Face's ``metadata.csv`` in every split folder, Community Forensics' ``index.csv``.
An image is found by the path its table gives, below ``images``, or by its name alone where that is one
file's.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

from bench.datasets.layouts.base import Entry, Layout, Match, Tree
from bench.datasets.layouts.columns import LabelColumn, has_labels, path_column
from bench.datasets.layouts.folder_names import splits_in
from bench.datasets.layouts.manifest_file import image_path, read_columns
from bench.datasets.layouts.table_rows import Row, entries_from_rows
from bench.datasets.layouts.words import split_of
from bench.datasets.sources.names import stem, suffix
from bench.datasets.sources.table_file import Table, read_table
from bench.errors import DataError

_LOOKED_AT: Final = 64  # rows of a table whose images are looked for before it is believed


class LabelTables(Layout):
    """One table or several, CSV or JSONL, that say which of the images beside them are AI-generated."""

    name = "label-tables"
    summary = "tables with path and label beside the images: [<shard>/]{labels,metadata,...}.csv"
    reads_columns = True

    def match(self, tree: Tree) -> Match | None:
        """Match where a table with labels lists images that are there; folders that speak go first.

        Loose images around one table are left to the user, who may point at it: it may be about others.
        """
        tables = _tables(tree)
        if not tables or set(tree.image_folders) == {()}:
            return None
        found = _Images(tree)
        if not any(_lists(tree, path, table, found) for path, table in tables.items()):
            return None
        return Match(5, f"{self.summary}: {', '.join(list(tables)[:3])}")

    def entries(self, tree: Tree) -> Iterable[Entry]:
        """List one entry a row of every table, labels checked; no image is opened."""
        tables = _tables(tree)
        if not tables:
            return []
        found = _Images(tree)
        read = {path: read_columns(tree, table, path) for path, table in tables.items()}
        labels = {reading.label for reading, _ in read.values()}
        if len(labels) > 1:
            raise DataError(
                f"the tables {', '.join(tables)} tell their labels in different ways: index them one by "
                "one, or give them the same label column"
            )

        def rows() -> Iterator[Row]:
            for path, (reading, images) in read.items():
                split = _split_from_path(path)
                for record in tables[path].records:
                    place = found.place(image_path(record, images, path), path)
                    yield reading.row(f"{path}, {record.origin}", record.values, place, split)

        where = next(iter(tables)) if len(tables) == 1 else f"{len(tables)} tables"
        label: LabelColumn = labels.pop()
        return entries_from_rows(rows(), label, where, tree.splits)

    def left_out(self, tree: Tree) -> Iterator[tuple[str, str]]:
        """List the images that no table lists."""
        found, listed = _Images(tree), set()
        for path, table in _tables(replace(tree, splits=None)).items():
            images = path_column(table.columns, tree.columns) or ""
            listed |= {found.place(image_path(r, images, path), path) for r in table.records}
        for folder in tree.image_folders:
            for file in tree.folders[folder]:
                if file.path not in listed:
                    yield file.path, "listed in no table with labels"


def _tables(tree: Tree) -> dict[str, Table]:
    """Read the heads of all tables that list files with labels.

    Of splits that nobody asked for none is read, where the table's name or folder tells.
    """
    tables: dict[str, Table] = {}
    for file in tree.tables:
        if suffix(file.path) == ".parquet" or tree.single:
            continue
        split = _split_from_path(file.path)
        if tree.splits is not None and split and split not in tree.splits:
            continue
        table = read_table(tree.root / file.path, tree.table_bytes(file.path))
        images = path_column(table.columns, tree.columns)
        if images in table.columns and has_labels(table.columns, tree.columns):
            tables[file.path] = table
    return tables


def _split_from_path(path: str) -> str:
    """Read the split a table's name begins with (``val_labels.csv``), or that of its folder."""
    parts = PurePosixPath(path)
    split = split_of(re.split(r"[-_.]", parts.stem)[0])
    splits = splits_in(parts.parts[:-1])
    return split or (splits[-1] if splits else "")


class _Images:
    """The images of a tree, to be found from what a table says of them."""

    def __init__(self, tree: Tree) -> None:
        self._paths: set[str] = set()
        self._by_name: defaultdict[str, list[str]] = defaultdict(list)
        for files in tree.folders.values():
            for file in files:
                self._paths.add(file.path)
                self._by_name[file.path.rpartition("/")[2]].append(file.path)

    def has(self, listed: str, table: str) -> bool:
        """Whether an image that a table lists is there, by its path or by its name."""
        try:
            return self.place(listed, table) in self._paths
        except DataError:
            return True

    def place(self, listed: str, table: str) -> str:
        """Say where an image lies; where it ought to lie, if it is not there.

        Args:
            listed: as the table gives it.
            table: path of the table.

        Raises:
            DataError: several images have that name, and nothing tells which is meant.
        """
        folder = posixpath.dirname(table)
        path = posixpath.normpath(listed.replace("\\", "/"))
        expected = posixpath.normpath(posixpath.join(folder, path))
        for place in (expected, posixpath.normpath(posixpath.join(folder, "images", path))):
            if place in self._paths:
                return place
        below = f"{folder}/" if folder else ""
        same = [p for p in self._by_name.get(posixpath.basename(path), ()) if p.startswith(below)]
        same = [p for p in same if p.endswith(f"/{path}")] or same
        if len(same) > 1:
            same = _called_like(table, same)
        if len(same) > 1:
            raise DataError(
                f"{table} lists {listed!r}, and {len(same)} images are called so, such as {same[0]} and "
                f"{same[1]}: write their paths into the table"
            )
        return same[0] if same else expected


def _called_like(table: str, paths: Sequence[str]) -> list[str]:
    """Choose the images whose folder bears the words of the table's name (``val_labels``, ``val_images``)."""
    words = set(re.split(r"[-_.]", stem(posixpath.basename(table)).lower())) - {"labels", "label"}
    fitting: dict[str, set[str]] = {
        path: set(re.split(r"[-_./]", posixpath.dirname(path).lower())) for path in paths
    }
    chosen = [path for path, names in fitting.items() if words and words <= names]
    extra: Mapping[str, int] = {path: len(fitting[path] - words) for path in chosen}
    fewest = min(extra.values(), default=0)
    return [path for path in chosen if extra[path] == fewest] or list(paths)


def _lists(tree: Tree, path: str, table: Table, found: _Images) -> bool:
    """Whether one of the first images of a table is there."""
    images = path_column(table.columns, tree.columns)
    for number, record in enumerate(table.records):
        listed = record.values.get(images or "")
        if isinstance(listed, str) and listed.strip() and found.has(listed, path):
            return True
        if number >= _LOOKED_AT:
            break
    return False


LAYOUTS = {"label-tables": LabelTables()}
