"""A run: resolve, plan, score what the store lacks, report. Resuming is running the same command again."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from bench import calibration
from bench.cluster.connect import connected
from bench.cluster.dispatch import Dispatcher, machine
from bench.cluster.spec import parse as parse_cluster
from bench.condition import Condition
from bench.datasets import Manifest
from bench.engine import BatchTooLargeError, Counts, Failed
from bench.errors import BenchError
from bench.executor import Executor, Here
from bench.families import curves
from bench.files import ensure_writable, writable
from bench.honesty import attack_facts
from bench.plan import Plan, Unit, weight, work
from bench.prepare import Prepared, prepare
from bench.profiling import Profile
from bench.progress import Progress, Silent
from bench.provenance import git_state, versions
from bench.report import Report, report
from bench.request import RunRequest
from bench.rundir import ConditionRecord, DetectorRecord, Failure, RunDir, RunSpec
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


def _spec(prepared: Prepared) -> RunSpec:
    request, manifest = prepared.request, prepared.manifest
    environment = prepared.environment
    store, folder = prepared.store.root, request.folder
    along = curves(list(prepared.conditions.values()))
    return RunSpec(
        suite=request.suite,
        dataset=manifest.name,
        layout=manifest.layout,
        pairing={name: tuple(sources) for name, sources in manifest.pairing.items()},
        manifest_digest=manifest.digest,
        split=request.suite.split if request.split is None else request.split,
        limit=request.limit,
        n_images=len(prepared.rows),
        n_available=prepared.n_available,
        detectors=tuple(
            DetectorRecord(
                label=wanted.label,
                requested=wanted.name,
                identity=prepared.identities[wanted.label],
                batch_size=prepared.batch_size[wanted.label],
                card=prepared.detectors[wanted.label].card.model_dump(mode="json"),
            )
            for wanted in request.detectors
        ),
        thresholds=dict(prepared.thresholds),
        conditions=tuple(_condition_record(c, along) for c in prepared.conditions.values()),
        seed=request.seed,
        precision=request.precision,
        device=prepared.device.type,
        environment=environment,
        decode=dataclasses.asdict(prepared.policy),
        versions=versions(),
        git=git_state(),
        store=os.path.relpath(store, folder)
        if store.is_relative_to(folder)
        else str(store.resolve()),
    )


def _condition_record(
    condition: Condition, along: Mapping[str, tuple[str, int]]
) -> ConditionRecord:
    corruptions = [*condition.before, *condition.after]
    family, strength = along.get(str(condition), ("", 0))
    told = [done for step in corruptions if (done := getattr(step.plugin, "as_done", ""))]
    return ConditionRecord(
        spelled=str(condition),
        resolved=": ".join([condition.resolved, *(["; then ".join(told)] if told else [])]),
        family=family,
        strength=strength,
        attack=condition.attack is not None,
        facts=attack_facts(condition),
        must_change=any(not getattr(step.plugin, "may_be_identity", False) for step in corruptions),
    )
