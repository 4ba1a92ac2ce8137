"""The bytes behind a locator: a file below the root, or a row of a Parquet file."""

from __future__ import annotations

import bisect
import re
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from bench.datasets.policy import BadImageError
from bench.errors import DataError

_ROW: Final = re.compile(r"(.+\.parquet)#(\d+)", re.IGNORECASE | re.DOTALL)
_NAMES: Final = ("image", "img", "image_bytes", "bytes", "data")
_OPEN_FILES: Final = 8
_GROUPS_A_FILE: Final = 2


def parquet_row(locator: str) -> tuple[str, int] | None:
    """The Parquet file (relative to the root) and row a locator names; None for a plain file."""
    found = _ROW.fullmatch(locator)
    return (found[1], int(found[2])) if found else None


def image_column(schema: pa.Schema) -> str | None:
    """The column that holds encoded images: binary, or a struct with a binary field ``bytes``.

    Returns:
        Its name; the conventional names come first. None where no column holds bytes.
    """
    holds = [field.name for field in schema if _holds_bytes(field.type)]
    for name in _NAMES:
        if name in holds:
            return name
    return holds[0] if len(holds) == 1 else None


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        at = kind.get_field_index("bytes")
        return at >= 0 and _holds_bytes(kind.field(at).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


class _ParquetImages:
    """The image column of one Parquet file, a row group at a time."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = pq.ParquetFile(path)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path} cannot be read as Parquet: {error}") from error
        column = image_column(self._file.schema_arrow)
        if column is None:
            raise DataError(f"{path} has no column of image bytes")
        self._column = column
        counts = [
            self._file.metadata.row_group(i).num_rows
            for i in range(self._file.metadata.num_row_groups)
        ]
        self._starts = [sum(counts[:i]) for i in range(len(counts))]
        self._rows = sum(counts)
        self._groups: OrderedDict[int, pa.ChunkedArray] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, row: int) -> bytes:
        if row >= self._rows:
            raise BadImageError(f"row {row} of a file of {self._rows} rows")
        group = bisect.bisect_right(self._starts, row) - 1
        with self._lock:
            column = self._groups.get(group)
            if column is None:
                try:
                    table = self._file.read_row_group(group, columns=[self._column])
                except (OSError, pa.ArrowException) as error:
                    raise BadImageError(f"a damaged Parquet row group ({error})") from error
                column = self._groups[group] = table.column(0)
                while len(self._groups) > _GROUPS_A_FILE:
                    self._groups.popitem(last=False)
            self._groups.move_to_end(group)
        value = column[row - self._starts[group]].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes):
            raise BadImageError("a row without image bytes")
        return data


class _OpenParquet:
    """The few Parquet files read last; a file that changed on disk is opened anew."""

    def __init__(self) -> None:
        self._files: OrderedDict[tuple[str, int, int], _ParquetImages] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: Path, row: int) -> bytes:
        stat = path.stat()
        key = (str(path), stat.st_size, stat.st_mtime_ns)
        with self._lock:
            images = self._files.get(key)
            if images is None:
                images = self._files[key] = _ParquetImages(path)
                while len(self._files) > _OPEN_FILES:
                    self._files.popitem(last=False)
            self._files.move_to_end(key)
        return images.read(row)


_open_parquet = _OpenParquet()


def open_bytes(root: Path, locator: str) -> bytes:
    """The encoded image behind a locator; safe to call from several threads.

    Args:
        root: the manifest's root.
        locator: a path relative to the root, or ``file.parquet#row``.

    Raises:
        BadImageError: the file cannot be read, or the row holds no bytes.
    """
    row = parquet_row(locator)
    try:
        if row is None:
            return (root / locator).read_bytes()
        return _open_parquet.read(root / row[0], row[1])
    except FileNotFoundError:
        raise BadImageError("no such file") from None
    except OSError as error:
        raise BadImageError(f"cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # a NUL in a path that a table gave
        raise BadImageError(f"not a usable path ({error})") from error
