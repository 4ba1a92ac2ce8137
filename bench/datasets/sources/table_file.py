"""Read a CSV, JSONL or Parquet table: its columns, and its rows with the line each stands on."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from bench.datasets.sources.names import suffix
from bench.datasets.sources.parquet_file import parquet_errors, parquet_source, read_schema
from bench.errors import DataError
from bench.support.objects.place import Place
from bench.support.user_file import MOST_TABLE, read_bytes, why


class Record(NamedTuple):
    """One row: where it stands in its file, for messages, and its values by column."""

    origin: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """A table as read.

    Attributes:
        columns: their names, in the file's order.
        records: the rows, once, in the file's order; a CSV's are read as they are asked for.
    """

    columns: Sequence[str]
    records: Iterator[Record]


def read_table(path: Place, data: bytes | None = None, *, separators: str = ",") -> Table:
    """Read a table by its suffix: ``.parquet``, ``.jsonl``, or CSV for any other.

    Args:
        path: the file, or what messages call it.
        data: its bytes, where they lie in an archive.
        separators: what may stand between the values of a CSV; the one that cuts its first line into the
            most names is taken.

    Raises:
        DataError: it cannot be read; names the file and, where there is one, the line.
    """
    kind = suffix(path.name)
    if kind == ".parquet":
        return _read_parquet(path)
    text = _read_text(path, data)
    return _read_jsonl(path, text) if kind == ".jsonl" else _read_csv(path, text, separators)


def refuse_repeated(columns: Iterable[str], where: str) -> None:
    """Refuse a table in which two columns have one name: which of them is meant is not known.

    Args:
        columns: their names; columns without a name may be several.
        where: name of the table, for messages.

    Raises:
        DataError: names the first such column.
    """
    for name, count in Counter(columns).items():
        if name and count > 1:
            raise DataError(
                f"{where}: {count} columns are called {name!r}: keep one, or rename them"
            )


class _Pairs(dict[str, Any]):
    """A JSON object that remembers the names of all its members, repeated ones too."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.names = [name for name, _ in pairs]


def _read_parquet(path: Place) -> Table:
    refuse_repeated(read_schema(path).names, path.name)
    with parquet_errors(path):
        table = pq.read_table(parquet_source(path))
    rows = enumerate(table.to_pylist())
    return Table(table.column_names, (Record(f"row {i}", values) for i, values in rows))


def _read_text(path: Place, data: bytes | None) -> str:
    try:
        if data is not None:
            return data.decode("utf-8-sig").replace("\r\n", "\n")
        return read_bytes(path, MOST_TABLE).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason}): save it as UTF-8") from error
    except (OSError, MemoryError) as error:
        raise DataError(f"{path} cannot be read ({why(error)})") from error


def _read_csv(path: Place, text: str, separators: str) -> Table:
    try:
        headers = {
            separator: next(csv.reader(io.StringIO(text), strict=True, delimiter=separator), [])
            for separator in separators
        }
    except csv.Error as error:
        raise DataError(f"{path}, line 1: {error}") from error
    separator = max(separators, key=lambda each: len(headers[each]))
    columns = _csv_columns(path, headers[separator])
    return Table(columns, _csv_records(path, text, columns, separator))


def _csv_columns(path: Place, header: Sequence[str]) -> list[str]:
    columns = [name.strip() for name in header]
    if not columns:
        raise DataError(f"{path} is empty: its first line names the columns path,label,generator")
    if len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
        raise DataError(f"{path} is not separated by commas (first line {columns[0]!r})")
    refuse_repeated(columns, path.name)
    return columns


def _csv_records(
    path: Place, text: str, columns: Sequence[str], separator: str
) -> Iterator[Record]:
    # Lines are those an editor counts, not rows: blank lines hold no row, and a quoted value may
    # run over several. A row is named by the line it ends on, which is what the reader knows of it.
    # A row that cannot be read, such as one whose quote never closes, is named by the line it
    # begins on: the reader gives up far below, perhaps at the end of the file.
    reader = csv.reader(io.StringIO(text), strict=True, delimiter=separator)
    next(reader)
    last_line = reader.line_num
    try:
        for cells in reader:
            last_line = reader.line_num
            if not cells:
                continue
            if len(cells) != len(columns):
                raise DataError(
                    f"{path.name}, line {last_line}: {len(cells)} values for {len(columns)} columns "
                    f"({', '.join(cells)[:80]!r}): quote values that hold a comma"
                )
            yield Record(f"line {last_line}", dict(zip(columns, cells, strict=True)))
    except csv.Error as error:
        raise DataError(f"{path.name}, line {last_line + 1}: {error}") from error


def _read_jsonl(path: Place, text: str) -> Table:
    records: list[Record] = []
    columns: dict[str, None] = {}  # a set that keeps the order
    # Not splitlines(): JSON strings may hold U+2028 and its like unescaped.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line, object_pairs_hook=_Pairs)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path.name}, line {number}: not JSON ({why(error)})") from error
        if isinstance(values, _Pairs):
            refuse_repeated(values.names, f"{path.name}, line {number}")
        if not isinstance(values, dict):
            raise DataError(f"{path.name}, line {number}: not an object but {line[:40]!r}")
        columns.update(dict.fromkeys(values))
        records.append(Record(f"line {number}", values))
    return Table(list(columns), iter(records))
