"""The bytes behind a locator: a file below the root, a row of a Parquet file, a member of an archive."""

from __future__ import annotations

import bisect
import re
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.datasets.places import default_cache_dir
from bench.datasets.policy import BadImageError
from bench.datasets.sources.archive import archive_member, read_member
from bench.datasets.sources.parquet_file import image_column, parquet_errors
from bench.datasets.sources.regular_file import OpenFiles, read_image_file
from bench.errors import DataError
from bench.support.objects.copies import copied
from bench.support.objects.place import Place, below

_ROW: Final = re.compile(r"(.+\.parquet)#(\d+)", re.IGNORECASE | re.DOTALL)
_IN_ARCHIVE: Final = r"(?is)^(.+?\.(?:zip|tar|tar\.gz|tgz))::.*$"
_GROUPS_A_FILE: Final = 2


class ParquetRow(NamedTuple):
    """An image in a Parquet file: the file's path relative to the root, and the row from 0."""

    path: str
    row: int


def parquet_row(locator: str) -> ParquetRow | None:
    """Split a locator such as ``train.parquet#3``; None for a plain file."""
    if "#" not in locator:
        return None
    match = _ROW.fullmatch(locator)
    return ParquetRow(match[1], int(match[2])) if match else None


def _on_disk(path: Place) -> Path:
    """Give a file on disk with the same bytes: the order of images is not that of row groups."""
    return path if isinstance(path, Path) else copied(path, default_cache_dir() / "objects")


class _ParquetImages:
    """The image column of one Parquet file, a row group at a time."""

    def __init__(self, path: Place) -> None:
        with parquet_errors(path):
            self._file = pq.ParquetFile(_on_disk(path))
        column = image_column(self._file.schema_arrow)
        if column is None:
            raise DataError(f"{path} has no column of image bytes")
        self._column = column
        metadata = self._file.metadata
        counts = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self._starts = [sum(counts[:i]) for i in range(len(counts))]
        self._rows = metadata.num_rows
        self._groups: OrderedDict[int, pa.ChunkedArray] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, row: int) -> bytes:
        if row >= self._rows:
            raise BadImageError(f"row {row} of a file of {self._rows} rows")
        group = bisect.bisect_right(self._starts, row) - 1
        value = self._read_group(group)[row - self._starts[group]].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, bytes):
            raise BadImageError("a row without image bytes")
        return data

    def _read_group(self, group: int) -> pa.ChunkedArray:
        """Read the images of one row group, or take them from the few read last."""
        with self._lock:
            if group not in self._groups:
                try:
                    table = self._file.read_row_group(group, columns=[self._column])
                except (OSError, pa.ArrowException) as error:
                    raise BadImageError(f"a damaged Parquet row group ({error})") from error
                self._groups[group] = table.column(0)
                while len(self._groups) > _GROUPS_A_FILE:
                    self._groups.popitem(last=False)
            self._groups.move_to_end(group)
            return self._groups[group]


_open_parquet: Final = OpenFiles(_ParquetImages)


def is_embedded(locator: str) -> bool:
    """Whether an image lies inside a file of many: a row of a Parquet file, a member of an archive."""
    return parquet_row(locator) is not None or archive_member(locator) is not None


def reads_as_inside(path: str) -> str:
    """Say what the name of a file would be taken for, as a locator; "" for a file, as it is one."""
    if parquet_row(path) is not None:
        return "a row of a Parquet file"
    return "a file in an archive" if archive_member(path) is not None else ""


def containers(locators: pa.ChunkedArray) -> pa.ChunkedArray:
    """Name the file on disk that each locator leads to.

    Args:
        locators: (n,) strings.

    Returns:
        (n,) strings: paths relative to the root.
    """
    files = pc.replace_substring_regex(locators, r"#\d+$", "")
    return pc.replace_substring_regex(files, _IN_ARCHIVE, r"\1")


def open_bytes(root: Place, locator: str) -> bytes:
    """Read the encoded image behind a locator; safe to call from several threads.

    Args:
        root: folder that the locator is relative to.
        locator: a path relative to the root, ``file.parquet#row`` or ``archive.zip::name``; or the same
            below a URL.

    Raises:
        BadImageError: the file cannot be read, is no regular file or is far too large, or the row holds
            no bytes.
        ObjectError: an object store does not answer.
    """
    in_parquet, in_archive = parquet_row(locator), archive_member(locator)
    try:
        if in_archive is not None:
            return read_member(below(root, in_archive.archive), in_archive.name)
        if in_parquet is None:
            return read_image_file(below(root, locator))
        return _open_parquet.get(below(root, in_parquet.path)).read(in_parquet.row)
    except FileNotFoundError:
        raise BadImageError("no such file") from None
    except OSError as error:
        raise BadImageError(f"cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # a NUL in a path that a table gave
        raise BadImageError(f"not a usable path ({error})") from error
