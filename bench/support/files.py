"""Writing so that a file under its final name is always whole."""

from __future__ import annotations

import contextlib
import functools
import glob
import hashlib
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from bench.errors import OutputError

_UNFINISHED: Final = ".tmp-"
_DAY_S: Final = 86400
_STARTED: Final = time.time() - 1.0


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
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_mine(), suffix=path.suffix)
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


def _mine() -> str:
    """Begin the names of this process's unfinished files, so that others know when nobody writes them."""
    return f"{_UNFINISHED}{os.getpid()}-{_machine()}-"


@functools.cache
def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def sweep(*folders: Path) -> None:
    """Remove unfinished files that a killed process left in folders, and in folders right below them.

    A file goes whose process no longer lives on this machine, or that is older than a day.
    """
    for folder in folders:
        for path in (*folder.glob(f"{_UNFINISHED}*"), *folder.glob(f"*/{_UNFINISHED}*")):
            with contextlib.suppress(OSError):
                if path.is_file() and _is_abandoned(path):
                    path.unlink()


@contextmanager
def scratch_folder(purpose: str) -> Iterator[Path]:
    """Give a folder under TMPDIR for files that nobody needs later; it is removed at the end.

    First, folders of the same purpose go that killed processes left there, by the rules of `sweep`; those of
    a process that lives on this machine stay, however old they are.

    Args:
        purpose: How its name begins.

    Raises:
        OSError: It cannot be made.
    """
    for path in Path(tempfile.gettempdir()).glob(f"{glob.escape(purpose)}{_UNFINISHED}*"):
        with contextlib.suppress(OSError):
            if path.is_dir() and not path.is_symlink() and _is_abandoned(path):
                shutil.rmtree(path, ignore_errors=True)
    with tempfile.TemporaryDirectory(
        prefix=purpose + _mine(), ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def _is_abandoned(path: Path) -> bool:
    age = time.time() - path.stat().st_mtime
    owner = re.search(rf"{re.escape(_UNFINISHED)}(\d+)-([0-9a-f]{{8}})-", path.name)
    if owner is None or owner[2] != _machine() or sys.platform == "win32":
        return age > _DAY_S
    if int(owner[1]) == os.getpid():  # in a container, numbers come again
        return path.stat().st_mtime < _STARTED
    return not _is_alive(int(owner[1])) or (path.is_file() and age > _DAY_S)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's process
        return True
    try:  # one that has ended, and that nobody has asked about yet, writes no more
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return state.rpartition(")")[2].split()[:1] != ["Z"]


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
        way = "free some space or choose another place"
        # A folder is wanted where a file lies, at the place itself or above it.
        file = next((each for each in (path, *path.parents) if each.is_file()), None)
        if isinstance(error, FileExistsError | NotADirectoryError) and file is not None:
            reason, way = f"{file} is a file", "name a folder, or move that file away"
        raise OutputError(f"cannot write {path} ({reason}): {way}") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
