"""Which runs use a store: each signs up before it looks for scores, so that nobody clears them away."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.store.lock import LOCK_NAME, FolderBusyError, FolderLock, Holder, locked
from bench.support.files import write_text
from bench.support.user_file import read_text

USERS_NAME: Final = ".runs"
_PATIENCE_S: Final = 60.0


class StoreBusyError(BenchError):
    """Somebody clears the store up, or uses it while it was to be cleared up."""


def sign_up(store: Path, run: Path) -> None:
    """Note that a run uses a store; waits while somebody clears the store up.

    Raises:
        StoreBusyError: That takes more than a minute.
        OutputError: The store cannot be written.
    """
    path = str(run.resolve())
    name = hashlib.sha256(path.encode()).hexdigest()[:16]
    with cleared_by_nobody(store):
        write_text(store / USERS_NAME / name, path + "\n")


@contextmanager
def cleared_by_nobody(store: Path, *, patience: float = _PATIENCE_S) -> Iterator[None]:
    """Hold the lock under which runs sign up and stores are cleared up.

    Raises:
        StoreBusyError: Another process holds it, and goes on holding it.
    """
    until = time.monotonic() + patience
    with contextlib.ExitStack() as stack:
        while True:
            try:
                lock = stack.enter_context(locked(store))
                break
            except FolderBusyError as error:
                if time.monotonic() > until:
                    raise StoreBusyError(
                        f"the store {store} is being cleared up by {error.holder}: try again later"
                    ) from None
            time.sleep(0.05)
        if lock.works:
            lock.sign(Holder.here("store", "bench store gc, or a run that begins"))
        yield


def users(store: Path) -> list[Path]:
    """List the folders of runs that have used a store and are still there, and the run around it."""
    places = [store.resolve().parent]
    for note in sorted((store / USERS_NAME).glob("*")):
        with contextlib.suppress(OSError, UnicodeError):
            places.append(Path(read_text(note).rstrip("\n")))
    return [place for place in dict.fromkeys(places) if (place / LOCK_NAME).is_file()]


def in_flight(run: Path) -> Holder | None:
    """Say who is writing a run's folder; None where nobody is.

    On a file system without locks nobody can know, and who held it last counts.
    """
    try:
        with locked(run) as lock:
            return None if lock.works else FolderLock.of(run).last
    except FolderBusyError as error:
        return error.holder
