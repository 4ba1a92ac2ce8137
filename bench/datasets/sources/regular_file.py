"""One way to open a file that a user named: a regular one, never blocking, never larger than its use."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, Generic, TypeVar

from bench.datasets.policy import BadImageError
from bench.datasets.sources.header import open_image
from bench.support.objects.place import ObjectPath, Place
from bench.support.user_file import special_kind

# A file up to this size is read before its header is looked at.
_READ_AT_ONCE: Final = 64 << 20
# What is fetched of an object of which the header is wanted.
_HEADER: Final = 64 << 10
# What an image may take beside its pixels, and for each pixel, uncompressed in 16 bits a channel.
_METADATA: Final = 256 << 20
_BYTES_A_PIXEL: Final = 16
_OPEN_FILES: Final = 8

Opened = TypeVar("Opened")


@contextmanager
def open_regular(path: Place) -> Iterator[BinaryIO]:
    """Open a regular file for reading; a pipe without a writer does not block.

    Raises:
        BadImageError: it is a pipe, socket or device, or a link to one.
        OSError: it cannot be opened.
        ObjectError: an object store does not answer.
    """
    if isinstance(path, ObjectPath):
        with path.open(_HEADER) as stream:
            yield stream
        return
    descriptor = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    with os.fdopen(descriptor, "rb") as stream:
        if kind := special_kind(os.fstat(stream.fileno()).st_mode):
            raise BadImageError(f"{kind}, not a regular file")
        yield stream


def read_image_file(path: Place) -> bytes:
    """Read an encoded image whole; of a large file the header is read first.

    Raises:
        BadImageError: no regular file, no image, or far larger than its pixels need.
        OSError: it cannot be read.
        ObjectError: an object store does not answer.
    """
    if isinstance(path, ObjectPath):
        return _read_object(path)
    with open_regular(path) as stream:
        return read_image(stream, os.fstat(stream.fileno()).st_size)


def _read_object(path: ObjectPath) -> bytes:
    """Read an encoded image from an object store: in one answer, unless it is large."""
    data = path.read_bytes(_READ_AT_ONCE)
    if len(data) <= _READ_AT_ONCE:
        return data
    with path.open() as stream:
        return read_image(stream, path.stat().st_size)


def read_image(stream: BinaryIO, size: int) -> bytes:
    """Read an encoded image from a stream that can be sought; of a large one the header is read first.

    Args:
        stream: at its beginning.
        size: bytes it holds.

    Raises:
        BadImageError: no image, or far larger than its pixels need.
        OSError: it cannot be read.
    """
    if size > _READ_AT_ONCE:
        width, height = open_image(stream).size
        if size > width * height * _BYTES_A_PIXEL + _METADATA:
            raise BadImageError(
                f"a file of {size / 2**30:.1f} GiB, more than {width} x {height} pixels can need"
            )
        stream.seek(0)
    return stream.read()


class OpenFiles(Generic[Opened]):
    """Keep the few files that were read last open, by path, size and time; safe in threads and forks."""

    def __init__(self, open_file: Callable[[Place], Opened]) -> None:
        self._open_file = open_file
        self._files: OrderedDict[tuple[int, str, int, int], Opened] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Place) -> Opened:
        """Give a file, opened now or before.

        Raises:
            OSError: There is none.
        """
        stat = path.stat()
        # A child of this process would share the position in a file that its parent opened.
        key = (os.getpid(), str(path), stat.st_size, stat.st_mtime_ns)
        with self._lock:
            if key not in self._files:
                self._files[key] = self._open_file(path)
                while len(self._files) > _OPEN_FILES:
                    self._files.popitem(last=False)
            self._files.move_to_end(key)
            return self._files[key]
