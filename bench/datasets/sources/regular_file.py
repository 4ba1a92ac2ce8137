"""One way to open a file that a user named: a regular one, never blocking, never larger than its use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from bench.datasets.policy import BadImageError
from bench.datasets.sources.header import open_image
from bench.support.user_file import special_kind

# A file up to this size is read before its header is looked at.
_READ_AT_ONCE: Final = 64 << 20
# What an image may take beside its pixels, and for each pixel, uncompressed in 16 bits a channel.
_METADATA: Final = 256 << 20
_BYTES_A_PIXEL: Final = 16


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading; a pipe without a writer does not block.

    Raises:
        BadImageError: it is a pipe, socket or device, or a link to one.
        OSError: it cannot be opened.
    """
    descriptor = os.open(
        path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    with os.fdopen(descriptor, "rb") as stream:
        if kind := special_kind(os.fstat(stream.fileno()).st_mode):
            raise BadImageError(f"{kind}, not a regular file")
        yield stream


def read_image_file(path: Path) -> bytes:
    """Read an encoded image whole; of a large file the header is read first.

    Raises:
        BadImageError: no regular file, no image, or far larger than its pixels need.
        OSError: it cannot be read.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > _READ_AT_ONCE:
            width, height = open_image(stream).size
            if size > width * height * _BYTES_A_PIXEL + _METADATA:
                raise BadImageError(
                    f"a file of {size / 2**30:.1f} GiB, more than {width} x {height} pixels can need"
                )
            stream.seek(0)
        return stream.read()
