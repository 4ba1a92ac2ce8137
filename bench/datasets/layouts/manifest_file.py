"""A table that lists image files: CSV, JSONL or Parquet with ``path`` and ``label``.

``generator``, ``domain``, ``split``, ``group`` and ``sample_id`` are read where present. Paths are
relative to the table. It is the way out for any data set that no layout recognises.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

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
from bench.datasets.sources.image_bytes import image_column
from bench.datasets.sources.scan import suffix
from bench.errors import DataError

_NAMES: Final = ("manifest.csv", "manifest.jsonl", "manifest.parquet")
_MAYBE: Final = ("metadata.csv", "metadata.jsonl", "metadata.parquet")  # Hugging Face imagefolder

_Records = Iterator[tuple[str, dict[str, Any]]]


class ManifestFile(Layout):
    """A CSV, JSONL or Parquet table of paths and labels, or a folder with a ``manifest.csv``."""

    name = "manifest"
    summary = "a CSV, JSONL or Parquet table with the columns path, label [, generator, ...]"

    def match(self, tree: Tree) -> Match | None:
        """Match a single table without image bytes, or a folder that holds one by name."""
        path = _table(tree, explicit=False)
        if path is None:
            return None
        return Match(50 if tree.single else 40, f"{self.summary}: {path}")

    def entries(self, tree: Tree) -> Iterable[Entry]:
        """One entry a row, labels checked; no image is opened."""
        path = _table(tree, explicit=True)
        if path is None:
            return []
        columns, records = _read(tree.root / path)
        label = LabelColumn(label_column(columns, path))
        path_column = find_column(PATH_COLUMNS, columns)
        if path_column is None:
            raise DataError(
                f"{path} has no column `path` (columns: {', '.join(columns)}): add one with the "
                "image files, relative to the table"
            )
        return entries_from_rows(_rows(tree.root, path, path_column, records), label, path)


def _table(tree: Tree, *, explicit: bool) -> str | None:
    if tree.single:
        is_table = bool(tree.tables) and not _has_image_bytes(tree.root / tree.single)
        return tree.single if is_table else None
    there = {f.path for f in tree.tables}
    found: list[str] = [name for name in _NAMES if name in there]
    if not found:
        found = [n for n in _MAYBE if n in there and (explicit or _lists_images(tree.root / n))]
    if len(found) > 1:
        raise DataError(
            f"{tree.root} holds {' and '.join(found)}: point at the one to use, such as "
            f"{tree.root / found[0]}"
        )
    if found and _has_image_bytes(tree.root / found[0]):
        return None
    return found[0] if found else None


def _has_image_bytes(path: Path) -> bool:
    if suffix(path.name) != ".parquet":
        return False
    try:
        return image_column(pq.read_schema(path)) is not None
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read as Parquet ({error})") from error


def _lists_images(path: Path) -> bool:
    columns, _ = _read(path)
    return bool(find_column(PATH_COLUMNS, columns) and find_column(LABEL_COLUMNS, columns))


def _rows(root: Path, table: str, path_column: str, records: _Records) -> Iterator[Row]:
    for place, values in records:
        path = values.get(path_column)
        if not isinstance(path, str) or not path.strip():
            raise DataError(f"{table}, {place}: column `{path_column}` is empty: give the file")
        if "\\" in path and not (root / path).exists():
            path = path.replace("\\", "/")  # written on Windows
        yield Row(place, values, posixpath.normpath(path))


def _read(path: Path) -> tuple[Sequence[str], _Records]:
    """The columns of a table and its rows, each with the place to name in an error."""
    kind = suffix(path.name)
    if kind == ".parquet":
        table = pq.read_table(path)
        return table.column_names, ((f"row {i}", r) for i, r in enumerate(table.to_pylist()))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason}): save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    return _read_jsonl(path, text) if kind == ".jsonl" else _read_csv(path, text)


def _read_csv(path: Path, text: str) -> tuple[Sequence[str], _Records]:
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        columns = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise DataError(f"{path}, line 1: {error}") from error
    if not columns:
        raise DataError(f"{path} is empty: its first line names the columns path,label,generator")
    if len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
        raise DataError(f"{path} is not separated by commas (first line {columns[0]!r})")
    return columns, _csv_records(path, columns, reader)


def _csv_records(path: Path, columns: Sequence[str], reader: Iterator[list[str]]) -> _Records:
    line = 1
    try:
        for cells in reader:
            line = getattr(reader, "line_num", line + 1)
            if not cells:
                continue
            if len(cells) != len(columns):
                raise DataError(
                    f"{path.name}, line {line}: {len(cells)} values for {len(columns)} columns "
                    f"({', '.join(cells)[:80]!r}): quote values that hold a comma"
                )
            yield f"line {line}", dict(zip(columns, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"{path.name}, line {line + 1}: {error}") from error


def _read_jsonl(path: Path, text: str) -> tuple[Sequence[str], _Records]:
    records: list[tuple[str, dict[str, Any]]] = []
    columns: dict[str, None] = {}
    # Not splitlines(): JSON strings may hold U+2028 and its like unescaped.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path.name}, line {number}: not JSON ({error})") from error
        if not isinstance(values, dict):
            raise DataError(f"{path.name}, line {number}: not an object but {line[:40]!r}")
        columns.update(dict.fromkeys(values))
        records.append((f"line {number}", values))
    return list(columns), iter(records)


LAYOUTS = {"manifest": ManifestFile()}
