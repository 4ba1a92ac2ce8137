"""Runs killed at random moments and around every sync, and runs on disks that are full."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.child import Kind
from tests.faults.kinds.common import board_of, finished, held, run
from tests.faults.outcome import Seen


def _prepare(base: Path) -> None:
    finished(base)
    start = time.monotonic()
    assert run(base, base / "again").code == 0
    (base / "seconds").write_text(str(time.monotonic() - start))


def _kill(base: Path, place: Path, case: str) -> Seen:
    """Kill a run in a fork; then the same command must end with the table of an undisturbed run."""
    how, _, number = case.partition(" ")
    child = os.fork()
    if child == 0:
        if how != "random":
            _die_at_sync(int(number), before=how == "before-sync")
        run(base, place / "run")
        os._exit(0)
    if how == "random":
        share = random.Random(case).uniform(0.02, 1.0)
        time.sleep(share * float((base / "seconds").read_text()))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    kept = _shards(place / "run")
    seen = held(run(base, place / "run"), place / "run", board_of(base / "run"))
    if seen.code == 0 and not seen.wrong and not kept.items() <= _shards(place / "run").items():
        return Seen(seen.code, seen.said, lost="a shard that was whole before the kill")
    if seen.code != 0:
        return Seen(seen.code, seen.said, lost="the same command does not go on")
    return seen


def _die_at_sync(number: int, *, before: bool) -> None:
    sync, calls = os.fsync, [0]

    def deadly(handle: int) -> None:
        calls[0] += 1
        if not before:
            sync(handle)
        if calls[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        if before:
            sync(handle)

    os.fsync = deadly


def _shards(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.parquet")
        if "store" in path.parts and not path.name.startswith(".")
    }


def _disk(base: Path, place: Path, case: str) -> Seen:
    """Run where there is so much room; then, with room, the same command must end in the same table."""
    size = int(case.partition(" ")[0])
    out = place / "disk"
    out.mkdir()
    with _room(out, size) as more:
        first = run(base, out / "run")
        if first.code == 0:
            return held(first, out / "run", board_of(base / "run"))
        more()
        again = held(run(base, out / "run"), out / "run", board_of(base / "run"))
    if again.wrong or again.code == 70:
        return again
    if again.code != 0:
        return Seen(again.code, again.said, lost="the same command does not go on with room")
    return first


@contextlib.contextmanager
def _room(folder: Path, size: int):
    """A file system of that many bytes where one may be mounted, else a limit for each file."""
    if _mount(folder, size):
        try:
            yield lambda: _mount(folder, 64 << 20, again=True)
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)
        return
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _mount(folder: Path, size: int, *, again: bool = False) -> bool:
    if sys.platform != "linux":
        return False
    options = f"size={size}" + (",remount" if again else "")
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "bench-faults", str(folder)],
            check=False, capture_output=True,
        )  # fmt: skip
    except OSError:
        return False
    return done.returncode == 0


KILLS = Kind(
    "kills",
    (
        *(f"random {i}" for i in range(26)),
        *(f"before-sync {i}" for i in range(1, 13)),
        *(f"after-sync {i}" for i in range(1, 13)),
    ),
    _kill,
    _prepare,
    own_process=True,
    few=3,
)
DISKS = Kind(
    "full disks",
    tuple(f"{size} bytes" for size in (0, *(int(512 * 1.5**i) for i in range(19)))),
    _disk,
    finished,
    own_process=True,
    few=3,
)
