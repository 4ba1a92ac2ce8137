"""Cases in processes of their own: whatever one does to its process, the campaign sees it and goes on.

The processes are forks of one that has imported everything, so that a case costs no start.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.outcome import Ended, Outcome, Seen, classify

Case = Callable[[Path, Path, str], Seen]
_PRELOADED = [
    "bench.cli.main", "bench.api", "bench.runs.runner", "bench.results.board", "bench.results.export",
    "bench.results.gate", "bench.results.comparison", "bench.results.html.report", "bench.catalogue",
    "bench.inference.prediction", "bench.results.verification.verify", "detectors.adapters", "torch",
    "pandas", "pyarrow.parquet", "scipy.stats", "PIL.Image", "safetensors.torch",
]  # fmt: skip


def nothing(base: Path) -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    Attributes:
        name: As the table has it.
        cases: The names of its cases; a case is made from its name alone.
        run: Called with the kind's folder, a folder of the case's own, and the case's name.
        prepare: Called once, with the kind's folder.
        limit: Seconds after which a case hangs.
        own_process: Whether each case has a process of its own, as its last words cannot be trusted.
        few: How many cases every run of the tests tries.
    """

    name: str
    cases: Sequence[str]
    run: Case
    prepare: Callable[[Path], None] = nothing
    limit: float = 120.0
    own_process: bool = False
    few: int = 3


def campaign(kind: Kind, cases: Sequence[str], base: Path) -> Iterator[Outcome]:
    """Try cases one after another; a process that died or hangs is replaced."""
    (base / "kind").mkdir()
    prepared = list(_answers(_prepare, kind, base, ["prepare"], 1200.0))
    assert prepared[0].seen is not None, f"{kind.name} cannot be prepared: {prepared[0]}"
    left = list(cases)
    while left:
        part = left[:1] if kind.own_process else left
        answered = 0
        for case, ended in zip(part, _answers(_try, kind, base, part, kind.limit), strict=False):
            answered += 1
            yield Outcome(kind.name, case, *classify(ended))
        left = left[answered:]


def _answers(
    target: Callable[..., None], kind: Kind, base: Path, cases: Sequence[str], limit: float
) -> Iterator[Ended]:
    """Give how each case ended; the last one given is the one that took the process with it."""
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, kind, base, cases), daemon=False)
    process.start()
    theirs.close()
    try:
        for _ in cases:
            if not _ready(ours, process, limit):
                yield Ended(is_late=True)
                return
            try:
                yield ours.recv()
            except (EOFError, OSError):
                process.join(30)
                yield Ended(died=f"its process ended with {process.exitcode}")
                return
    finally:
        if process.is_alive():
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
        process.join(30)
        ours.close()


def _ready(connection: Any, process: Any, limit: float) -> bool:
    end = time.monotonic() + limit
    while time.monotonic() < end:
        # What it has started may still hold the other end.
        if connection.poll(0.2) or not process.is_alive():
            return True
    return False


def _prepare(connection: Any, kind: Kind, base: Path, cases: Sequence[str]) -> None:
    with _alone(base):
        kind.prepare(base / "kind")
        connection.send(Ended(Seen()))


def _try(connection: Any, kind: Kind, base: Path, cases: Sequence[str]) -> None:
    with _alone(base):
        for number, case in enumerate(cases):
            place = base / f"{os.getpid()}-{number}"
            place.mkdir()
            os.chdir(place)
            try:
                ended = Ended(kind.run(base / "kind", place, case))
            except BaseException as error:
                ended = Ended(raised=f"{type(error).__name__}: {_where(error)}")
            connection.send(ended)


def _where(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))[-600:]
    except BaseException:
        return "it cannot be described"


@contextlib.contextmanager
def _alone(base: Path) -> Iterator[None]:
    """Set up a forked process: a session and an environment of its own, and nothing on our terminal."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for name in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        os.environ.pop(name, None)
    os.environ |= {"BENCH_CACHE": str(base / "cache"), "OMP_NUM_THREADS": "1", "COLUMNS": "110"}
    noise = os.open(base / "noise.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(noise, 1)
    os.dup2(noise, 2)
    importlib.import_module("torch").set_num_threads(1)
    yield


def command(*arguments: object) -> tuple[Seen, str]:
    """Run ``bench ARGS...`` in this process; gives exit code and stderr, and stdout."""
    from bench.cli import main as entry

    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["bench", *map(str, arguments)]
    code: object = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            entry.main()
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.argv = before
    return Seen(code if isinstance(code, int) else 1, err.getvalue()), out.getvalue()
