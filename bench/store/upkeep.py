"""Looking after a store: what is in it, what nobody needs any more, whether it is still what was written."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.store.rundir import RunDir
from bench.store.shards import ShardDamagedError, Store
from bench.store.users import StoreBusyError, cleared_by_nobody, in_flight, users
from bench.support.files import sweep
from bench.support.progress import Progress

_DAY_S: Final = 86_400.0
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Shard:
    """A file of scores in a store.

    Attributes:
        fingerprint: Name of the unit, 64 hex digits.
        path: Where it lies.
        size: Bytes.
        asked: When a run last asked for it, seconds since 1970.
    """

    fingerprint: str
    path: Path
    size: int
    asked: float


@dataclass(frozen=True, slots=True)
class Contents:
    """What a store holds.

    Attributes:
        shards: Every shard, in the order of names.
        damaged: Files that were found damaged and set aside.
        runs: Folders of the runs that are known to use it, to the number of their units in it.
        needed: Fingerprints that one of these runs records.
    """

    shards: tuple[Shard, ...]
    damaged: tuple[Path, ...]
    runs: dict[Path, int]
    needed: frozenset[str]

    @property
    def size(self) -> int:
        """Bytes of all shards."""
        return sum(shard.size for shard in self.shards)


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was removed from a store, or would be.

    Attributes:
        shards: Shards that went.
        damaged: Damaged files that went.
        kept: Shards that stay.
        kept_size: Bytes of them.
    """

    shards: tuple[Shard, ...]
    damaged: tuple[Path, ...]
    kept: int
    kept_size: int


def look(root: Path) -> Contents:
    """List what is in a store, and which runs need it.

    Raises:
        BenchError: It is no folder.
    """
    if not root.is_dir():
        raise BenchError(f"{root} is no folder: give the --store of a run, or <out>/store")
    shards = tuple(sorted(_shards(root), key=lambda shard: shard.fingerprint))
    here = {shard.fingerprint for shard in shards}
    runs: dict[Path, int] = {}
    needed = set[str]()
    for run in users(root):
        with contextlib.suppress(BenchError):  # no run any more, or a damaged record
            record = RunDir(run).read()
            if record.store.resolve() == root.resolve():
                units = set(record.units["fingerprint"].to_pylist())
                runs[run] = len(units & here)
                needed |= units
    return Contents(shards, tuple(sorted(root.glob("??/*.damaged"))), runs, frozenset(needed))


def clear(root: Path, *, max_size: int | None, unused_days: float, dry: bool) -> Cleared:
    """Remove what nobody needs: damaged and unfinished files, old shards that no run records.

    Args:
        root: Folder of the shards.
        max_size: Bytes that may stay; beyond them shards go that were not asked for the longest,
            those of no run first. None is no bound.
        unused_days: Days for which a shard that no known run records stays after it was last asked for.
        dry: Remove nothing.

    Raises:
        BenchError: It is no folder.
        StoreBusyError: A run is using it; nothing is removed then.
    """
    if not root.is_dir():
        raise BenchError(f"{root} is no folder: give the --store of a run, or <out>/store")
    with cleared_by_nobody(root):
        for run in users(root):
            holder = in_flight(run)
            if holder is not None:
                raise StoreBusyError(
                    f"{root} is in use by {holder}, a run in {run}: nothing was removed, wait until it ends"
                )
        contents = look(root)
        gone = _unneeded(contents, max_size, time.time() - unused_days * _DAY_S)
        if not dry:
            sweep(root)
            for path in (*contents.damaged, *(shard.path for shard in gone)):
                path.unlink(missing_ok=True)
    kept_size = contents.size - sum(shard.size for shard in gone)
    return Cleared(tuple(gone), contents.damaged, len(contents.shards) - len(gone), kept_size)


def check(root: Path, progress: Progress) -> Iterator[tuple[Shard, str]]:
    """Read every shard and hold it against its name and its digest; nothing is changed.

    Args:
        root: Folder of the shards.
        progress: Listener that is told of every shard.

    Yields:
        Each shard, with what is wrong with it; "" where nothing is.
    """
    store = Store(root)
    shards = look(root).shards
    progress.start("reading shards", len(shards))
    for shard in shards:
        reason = ""
        try:
            store.read(shard.fingerprint, set_aside=False)
        except ShardDamagedError as error:
            reason = str(error.__cause__)
        except OSError as error:
            reason = str(error)
        progress.advance()
        yield shard, reason


def _unneeded(contents: Contents, max_size: int | None, before: float) -> list[Shard]:
    """Choose the shards that go."""
    free = [shard for shard in contents.shards if shard.fingerprint not in contents.needed]
    gone = {shard.fingerprint: shard for shard in free if shard.asked < before}
    left = contents.size - sum(shard.size for shard in gone.values())
    if max_size is not None:
        oldest = sorted(
            contents.shards,
            key=lambda s: (s.fingerprint in contents.needed, s.asked, s.fingerprint),
        )
        for shard in oldest:
            if left <= max_size:
                break
            if shard.fingerprint not in gone:
                gone[shard.fingerprint] = shard
                left -= shard.size
    return list(gone.values())


def _shards(root: Path) -> Iterator[Shard]:
    for path in root.glob("??/*.parquet"):
        if len(path.stem) == 64 and _HEX.issuperset(path.stem):
            with contextlib.suppress(FileNotFoundError):
                facts = path.stat()
                yield Shard(path.stem, path, facts.st_size, facts.st_mtime)
