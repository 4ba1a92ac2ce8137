"""One way to open a file that somebody named: a regular one, never blocking, never larger than its use.

What is refused is an `OSError` with the reason as its ``strerror``, so that whoever reads a file says one
thing for a missing, a forbidden, a special and a far too large one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from stat import S_ISBLK, S_ISCHR, S_ISDIR, S_ISFIFO, S_ISREG, S_ISSOCK
from typing import BinaryIO, Final

from bench.errors import BenchError
from bench.support.objects.place import ObjectPath, Place

# Text that people write by hand: suites, rules, cards, configurations.
MOST_TEXT: Final = 16 << 20
# Tables and records that programs write: a few million rows.
MOST_TABLE: Final = 4 << 30


@contextmanager
def open_regular(path: Place, most: int | None = None) -> Iterator[BinaryIO]:
    """Open a regular file for reading; a pipe without a writer does not block.

    Args:
        path: The file, or a link to it.
        most: The most bytes it may have; any number where left out.

    Raises:
        OSError: It cannot be opened, is a folder, pipe, socket or device, or is too large.
        ObjectError: An object store does not answer.
    """
    if isinstance(path, ObjectPath):
        _refuse_large(path, path.stat().st_size, most)
        with path.open() as stream:
            yield stream
        return
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as stream:
        stat = os.fstat(stream.fileno())
        if kind := special_kind(stat.st_mode):
            raise OSError(errno.EINVAL, f"{kind}, not a regular file", str(path))
        _refuse_large(path, stat.st_size, most)
        yield stream


def _refuse_large(path: Place, size: int, most: int | None) -> None:
    if most is not None and size > most:
        sizes = f"{size / 2**20:.0f} MiB, more than the {most / 2**20:.0f} MiB"
        raise OSError(errno.EFBIG, f"a file of {sizes} that it can need", str(path))


def special_kind(mode: int) -> str:
    """Name what a path is that is no regular file, from its mode; "" for a regular file."""
    if S_ISREG(mode):
        return ""
    kinds = {
        "a folder": S_ISDIR,
        "a named pipe": S_ISFIFO,
        "a socket": S_ISSOCK,
        "a character device": S_ISCHR,
        "a block device": S_ISBLK,
    }
    return next((name for name, is_kind in kinds.items() if is_kind(mode)), "a special file")


def read_bytes(path: Place, most: int = MOST_TEXT) -> bytes:
    """Read a regular file whole.

    Raises:
        OSError: As :func:`open_regular`.
    """
    with open_regular(path, most) as stream:
        # A file that grows while it is read is cut here, and refused by whoever reads it.
        return stream.read(most + 1)


def read_text(path: Place, most: int = MOST_TEXT, encoding: str = "utf-8") -> str:
    """Read a regular file of text whole, line ends as Python has them.

    Raises:
        OSError: As :func:`open_regular`.
        UnicodeDecodeError: It is no text in that encoding.
    """
    text = read_bytes(path, most).decode(encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def why(error: BaseException) -> str:
    """Say in a few words on one line why a file could not be read, whatever reading it raised."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, MemoryError):
        return "it does not fit the memory"
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return " ".join(text.split())[:300] or type(error).__name__


@contextmanager
def border(what: str, remedy: str) -> Iterator[None]:
    """Turn whatever reading somebody's data raises into one sentence that names it.

    Args:
        what: Begins the sentence, as ``"runs/a is not what a run wrote"``.
        remedy: Ends it.

    Raises:
        BenchError: In place of any other error.
    """
    try:
        yield
    except BenchError:
        raise
    except Exception as error:
        raise BenchError(f"{what} ({type(error).__name__}: {why(error)}): {remedy}") from error
