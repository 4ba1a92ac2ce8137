"""Writing so that a file under its final name is always whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bench.errors import OutputError


def write_atomic(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file that appears under its name only when it is whole: write, fsync, rename.

    Args:
        path: Final name of the file; its folder is made if need be.
        fill: Function that writes the content to the binary stream it is given.

    Raises:
        OutputError: If the place cannot be written (permissions, full disk); nothing is left
            behind.
    """
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tmp-", suffix=path.suffix)
        try:
            with os.fdopen(handle, "wb") as stream:
                fill(stream)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(path)
            _sync_folder(path.parent)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _sync_folder(folder: Path) -> None:
    # The rename itself lasts only once the folder is synced; some systems refuse, and that is fine.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, newlines as they are, into a file that appears only when whole.

    Raises:
        OutputError: If the place cannot be written; nothing is left behind.
    """
    write_atomic(path, lambda stream: stream.write(text.encode()))


def ensure_writable(folder: Path) -> None:
    """Make a folder and prove that a file can be written in it, before hours of work.

    Raises:
        OutputError: If the folder cannot be made or written.
    """
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turn a place that cannot be written into one sentence with the way out.

    Raises:
        OutputError: In place of the operating system's error.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"cannot write {path} ({reason}): free some space or choose another place"
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
