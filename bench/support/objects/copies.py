"""Copies of objects that are read in many places many times, kept on disk while there is room."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Final

from bench.errors import DataError
from bench.support.files import write_atomic
from bench.support.objects.place import ObjectPath

_PART: Final = 8 << 20
_AT_ONCE: Final = 8
_MOST_KEPT: Final = 32 << 30


def copied(place: ObjectPath, folder: Path) -> Path:
    """Give a copy of an object on disk, fetched now or before; the least used go where all take 32 GiB.

    Args:
        place: Where the object lies.
        folder: Where copies are kept.

    Raises:
        FileNotFoundError: There is no such object.
        DataError: The store does not answer, the object changes meanwhile, or the disk has no room.
        OutputError: The folder cannot be written.
    """
    stat = place.stat()
    path = folder / identity(place)
    with contextlib.suppress(FileNotFoundError):
        os.utime(path)  # says when it was last asked for
        return path
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < 2 * stat.st_size:
        raise DataError(
            f"{place} takes {stat.st_size / 2**30:.1f} GiB, and {folder} has no room for a copy of it: set "
            "BENCH_CACHE elsewhere"
        )

    def fill(stream: BinaryIO) -> None:
        for part in _parts(place, stat.st_size):
            stream.write(part)
        if place.stat(anew=True) != stat:
            raise DataError(f"{place} changed while it was fetched: run the same command again")

    write_atomic(path, fill)
    _make_room(folder, path)
    return path


def identity(place: ObjectPath) -> str:
    """Name an object in its present version, for a file of ours: 32 hex digits."""
    size, version = place.stat()
    return hashlib.sha256(f"{place}\n{size}\n{version}".encode()).hexdigest()[:32]


def _parts(place: ObjectPath, size: int) -> Iterator[bytes]:
    """Fetch an object in order, a few parts at once."""
    starts = range(0, size, _PART)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for first in range(0, len(starts), _AT_ONCE):
            some = starts[first : first + _AT_ONCE]
            yield from pool.map(lambda at: place.read_range(at, min(_PART, size - at)), some)


def _make_room(folder: Path, newest: Path) -> None:
    """Remove the copies that were not asked for the longest; whoever has one open reads on."""
    facts = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            stat = path.stat()
            facts.append((stat.st_mtime, stat.st_size, path))
    total = sum(size for _, size, _ in facts)
    for _, size, path in sorted(facts):
        if total <= _MOST_KEPT:
            return
        if path != newest:
            with contextlib.suppress(OSError):
                path.unlink()
                total -= size
