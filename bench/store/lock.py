"""A folder that one process at a time may write: a system lock, which dies with its holder."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from bench.support.files import writable
from bench.support.user_file import read_text

LOCK_NAME: Final = ".lock"
# How systems say that somebody else holds the lock; any other error says that there are no locks here.
_HELD = frozenset({errno.EACCES, errno.EAGAIN, errno.EDEADLK})


@dataclass(frozen=True, slots=True)
class Holder:
    """Who writes a folder, for the others that would.

    Attributes:
        request: Digest of what that run was asked for; empty where nobody knows.
        asks: What it was asked for, in a few words for a person.
        pid: Number of the process; 0 where nobody knows.
        host: Name of its machine.
        since: When it began, as ISO 8601 in UTC.
    """

    request: str = ""
    asks: str = ""
    pid: int = 0
    host: str = ""
    since: str = ""

    @classmethod
    def here(cls, request: str, asks: str) -> Holder:
        """Describe this process, as the holder of a lock."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(request, asks, os.getpid(), platform.node(), since)

    def __str__(self) -> str:
        if not self.pid:
            return "another process"
        return f"process {self.pid} on {self.host} ({self.asks}; since {self.since})"


class FolderBusyError(BenchError):
    """Another process is writing the folder.

    Attributes:
        holder: Who that is.
    """

    def __init__(self, folder: Path, holder: Holder) -> None:
        super().__init__(
            f"{folder} is being written by {holder}: wait until it ends, or give another --out"
        )
        self.holder = holder


@dataclass(frozen=True, slots=True)
class FolderLock:
    """The lock of a folder, held or only named.

    Attributes:
        path: The file that is locked; it stays, and tells who held the lock last.
        works: Whether the file system has locks at all, where that is known.
    """

    path: Path
    works: bool = True

    @classmethod
    def of(cls, folder: Path) -> FolderLock:
        """Name the lock of a folder, without holding it."""
        return cls(folder / LOCK_NAME)

    @property
    def last(self) -> Holder:
        """Who held the lock last, or holds it, by what the file says."""
        return _read(self.path)

    def sign(self, holder: Holder) -> None:
        """Write who holds it."""
        with writable(self.path):
            # In place: another file under this name would be another lock.
            self.path.write_text(json.dumps(asdict(holder)) + "\n", encoding="utf-8")


@contextmanager
def locked(folder: Path) -> Iterator[FolderLock]:
    """Hold a folder's lock; it is given back at the end, or by the system where the process dies.

    Raises:
        FolderBusyError: Another process, or another run of this one, holds it.
        OutputError: The lock's file cannot be written.
    """
    path = folder / LOCK_NAME
    with writable(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            _lock(handle)
            works = True
        except OSError as error:
            if error.errno in _HELD:
                raise FolderBusyError(folder, _read(path)) from None
            works = False
        yield FolderLock(path, works)
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    """Take the lock or fail at once; closing the handle gives it back."""
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415  (there alone)

        os.lseek(handle, 1 << 30, os.SEEK_SET)  # beyond the text, which others may read
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl  # noqa: PLC0415  (not everywhere)

        # flock, not lockf: it also holds between two runs of one process, and NFS carries it as its own.
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _read(path: Path) -> Holder:
    with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
        document: dict[str, Any] = json.loads(read_text(path))
        return Holder(**document)
    return Holder()
