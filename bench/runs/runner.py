"""A run: resolve, plan, score what the store lacks, report. Resuming is running the same command again."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.datasets import Manifest
from bench.errors import BenchError
from bench.inference.profiling import Profile
from bench.results.board import Report, report
from bench.runs import calibration
from bench.runs.cluster.connect import connected
from bench.runs.cluster.dispatch import Dispatcher, machine
from bench.runs.cluster.spec import parse as parse_cluster
from bench.runs.executor import Executor, Here
from bench.runs.prepare import Prepared, prepare
from bench.runs.record import _spec
from bench.runs.request import RunRequest
from bench.scoring.engine import BatchTooLargeError, Counts, Failed
from bench.store.rundir import Failure, RunDir
from bench.store.units import Plan, Unit, weight, work
from bench.support.files import ensure_writable, writable
from bench.support.progress import Progress, Silent
from leaderboards import Board


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run.

    Attributes:
        folder: Where its files are.
        report: Board, images left out, number of incomplete cells.
        counts: Images decoded and scored by this call; both zero where everything was stored.
        profile: Where the time of this call went.
    """

    folder: Path
    report: Report
    counts: Counts
    profile: Profile

    @property
    def board(self) -> Board:
        """The leaderboard."""
        return self.report.board


def execute(request: RunRequest, progress: Progress | None = None) -> RunResult:
    """Score everything the store lacks and write the board.

    Args:
        request: What to run.
        progress: Told how it goes on; silent by default.

    Returns:
        The finished run. Cells that failed are in the board, with their reason.

    Raises:
        BenchError: On bad input, before any work; nothing half-written is left.
    """
    progress, counts = progress or Silent(), Counts()
    request.check()
    with ExitStack() as stack:
        if request.cluster is None:
            prepared = prepare(request, progress)
            pool = stack.enter_context(ThreadPoolExecutor(max_workers=prepared.threads))
            executor: Executor = Here(pool, counts)
        else:
            session = stack.enter_context(
                connected(parse_cluster(request.cluster), request.tls, progress)
            )
            prepared = prepare(request, progress, elsewhere=machine(session, request))
            executor = Dispatcher(session, progress, counts)
        return _finish(prepared, executor, counts, progress)


def _finish(
    prepared: Prepared, executor: Executor, counts: Counts, progress: Progress
) -> RunResult:
    request, folder = prepared.request, RunDir(prepared.request.folder)
    ensure_writable(folder.root)
    prepared.store.prepare()
    while True:
        if request.suite.policy.kind != "zero":
            # Recorded before thresholds are chosen too: a killed run can then be looked at.
            folder.begin(_spec(prepared), prepared.manifest, prepared.rows, prepared.plan())
        try:
            known = _thresholds(prepared, executor, progress)
            plan = prepared.plan()
            folder.begin(_spec(prepared), prepared.manifest, prepared.rows, plan)
            failures = _score(prepared, plan, executor, progress, known=known)
            break
        except BatchTooLargeError as error:
            _halve(prepared, error, progress)
    done = report_with(folder, failures, prepared.manifest)
    with writable(folder.root):
        done.board.write(folder.root)
    return RunResult(folder.root, done, counts, prepared.watch.read(prepared.threads))


def report_with(folder: RunDir, failures: Sequence[Failure], manifest: Manifest) -> Report:
    """Record the failures, build the report, and list every image that was left out."""
    folder.failed(failures)
    done = report(folder.root)
    indexed = [(row["path"], row["reason"]) for row in manifest.bad.to_pylist()]
    folder.left_out(sorted({*indexed, *done.bad}))
    return done


def _halve(prepared: Prepared, error: BatchTooLargeError, progress: Progress) -> None:
    size = prepared.batch_size[error.detector]
    if size == 1:
        raise BenchError(
            f"{error.detector} does not fit the memory of {prepared.device} even one image at a time: "
            "use another --device"
        ) from error
    prepared.batch_size[error.detector] = size // 2
    if prepared.device.type == "cuda":
        torch.cuda.empty_cache()
    progress.note(f"{error.detector}: out of memory, going on with batches of {size // 2}")


def _thresholds(prepared: Prepared, executor: Executor, progress: Progress) -> list[Failure]:
    """Choose the thresholds the suite asks for; gives the cells of detectors that have none."""
    policy = prepared.request.suite.policy
    if policy.kind == "zero":
        return []
    prepared.thresholds = {}
    plan = prepared.calibration_plan()
    reasons = {f.detector: f.reason for f in _score(prepared, plan, executor, progress)}
    cards = {label: detector.card for label, detector in prepared.detectors.items()}
    prepared.thresholds, failed = calibration.choose(
        prepared.manifest, policy, plan, prepared.store, cards
    )
    told = [(label, reasons.get(label, reason)) for label, reason in failed]
    for label, record in prepared.thresholds.items():
        progress.note(f"{label}: threshold {record.value:g} by {policy}")
    return calibration.failures(told, list(prepared.conditions))


def _score(
    prepared: Prepared,
    plan: Plan,
    executor: Executor,
    progress: Progress,
    *,
    known: Sequence[Failure] = (),
) -> list[Failure]:
    """Score the units the store lacks and keep what comes; a cell that failed is not tried again."""
    store = prepared.store
    todo = {
        chunk.index: [u for u in plan.by_chunk[chunk.index] if not store.has(u.fingerprint)]
        for chunk in plan.chunks
    }
    total, left = len(plan.units), sum(len(units) for units in todo.values())
    if left < total:
        progress.note(f"{total - left} of {total} units are stored already")
    progress.start("scoring", work(plan.chunks, todo, prepared.conditions))
    failures = {(failure.detector, failure.condition): (-1, failure) for failure in known}

    def skip(unit: Unit) -> bool:
        return (unit.detector, unit.condition) in failures

    chunks = [(chunk, todo[chunk.index]) for chunk in plan.chunks if todo[chunk.index]]
    for outcome in executor.outcomes(prepared, chunks, skip):
        unit, chunk = outcome.unit, plan.chunks[outcome.unit.chunk]
        key = (unit.detector, unit.condition)
        if isinstance(outcome, Failed):
            failure = Failure(
                detector=key[0], condition=key[1], status=outcome.status, reason=outcome.reason
            )
            if key not in failures:
                progress.note(f"{key[0]} under {key[1]}: {outcome.status}: {outcome.reason}")
            # Chunks may come in any order; the first one speaks, so that runs agree on the reason.
            if chunk.index < failures.get(key, (chunk.index + 1, failure))[0]:
                failures[key] = (chunk.index, failure)
        else:
            with prepared.watch.time("store"):
                store.write(unit.fingerprint, outcome.scores)
        progress.advance(len(chunk.rows) * weight(prepared.conditions[unit.condition]))
    # In the plan's order, whichever came first: the same command records the same bytes.
    order = {(u.detector, u.condition): i for i, u in enumerate(plan.units)}
    told = [failure for _, failure in failures.values()]
    return sorted(told, key=lambda f: order.get((f.detector, f.condition), -1))
