"""A run: resolve, plan, score what the store lacks, report. Resuming is running the same command again."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from bench import calibration
from bench.condition import Condition
from bench.datasets import Manifest
from bench.decoding import DecodedChunk, decode_chunk
from bench.engine import BatchTooLargeError, Counts, Scored
from bench.errors import BenchError
from bench.families import curves
from bench.files import ensure_writable, writable
from bench.honesty import attack_facts
from bench.plan import Chunk, Plan, Unit, weight, work
from bench.prepare import Prepared, RunRequest, prepare
from bench.profiling import Profile
from bench.progress import Progress, Silent
from bench.provenance import git_state, versions
from bench.report import Report, report
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
    progress = progress or Silent()
    prepared = prepare(request, progress)
    folder = RunDir(request.folder)
    ensure_writable(folder.root)
    prepared.store.prepare()
    counts = Counts()
    with ThreadPoolExecutor(max_workers=prepared.threads) as pool:
        while True:
            if request.suite.policy.kind != "zero":
                # Recorded before thresholds are chosen too: a killed run can then be looked at.
                folder.begin(_spec(prepared), prepared.manifest, prepared.rows, prepared.plan())
            try:
                known = _thresholds(prepared, pool, counts, progress)
                plan = prepared.plan()
                folder.begin(_spec(prepared), prepared.manifest, prepared.rows, plan)
                failures = _score(prepared, plan, pool, counts, progress, known=known)
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


def _thresholds(
    prepared: Prepared, pool: Executor, counts: Counts, progress: Progress
) -> list[Failure]:
    """Choose the thresholds the suite asks for; gives the cells of detectors that have none."""
    policy = prepared.request.suite.policy
    if policy.kind == "zero":
        return []
    prepared.thresholds = {}
    plan = prepared.calibration_plan()
    reasons = {f.detector: f.reason for f in _score(prepared, plan, pool, counts, progress)}
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
    pool: Executor,
    counts: Counts,
    progress: Progress,
    *,
    known: Sequence[Failure] = (),
) -> list[Failure]:
    """Score the units the store lacks, chunk by chunk; the next chunk is decoded meanwhile."""
    store = prepared.store
    todo = {
        chunk.index: [u for u in plan.by_chunk[chunk.index] if not store.has(u.fingerprint)]
        for chunk in plan.chunks
    }
    total, left = len(plan.units), sum(len(units) for units in todo.values())
    if left < total:
        progress.note(f"{total - left} of {total} units are stored already")
    progress.start("scoring", work(plan.chunks, todo, prepared.conditions))
    engine = prepared.engine(pool, counts)
    failures = {(failure.detector, failure.condition): failure for failure in known}

    def wanted() -> Iterator[tuple[DecodedChunk, list[Unit]]]:
        for chunk, decoded in _ahead(prepared, [c for c in plan.chunks if todo[c.index]], pool):
            units = todo[chunk.index]
            yield decoded, [u for u in units if (u.detector, u.condition) not in failures]

    for outcome in engine.stream(wanted()):
        unit = outcome.unit
        key = (unit.detector, unit.condition)
        if isinstance(outcome, Scored):
            with prepared.watch.time("store"):
                store.write(unit.fingerprint, outcome.scores)
        elif key not in failures:
            failures[key] = Failure(
                detector=key[0], condition=key[1], status=outcome.status, reason=outcome.reason
            )
            progress.note(f"{key[0]} under {key[1]}: {outcome.status}: {outcome.reason}")
        size = len(plan.chunks[unit.chunk].rows)
        progress.advance(size * weight(prepared.conditions[unit.condition]))
    # In the plan's order, whichever came first: the same command records the same bytes.
    order = {(u.detector, u.condition): i for i, u in enumerate(plan.units)}
    return sorted(failures.values(), key=lambda f: order.get((f.detector, f.condition), -1))


def _ahead(
    prepared: Prepared, chunks: Sequence[Chunk], pool: Executor
) -> Iterator[tuple[Chunk, DecodedChunk]]:
    """Decode one chunk ahead of those in work: three chunks in memory, never more."""

    def decode(chunk: Chunk) -> DecodedChunk:
        return decode_chunk(prepared.manifest, chunk, prepared.policy, pool, prepared.watch)

    with ThreadPoolExecutor(max_workers=1) as reader:
        pending: Future[DecodedChunk] | None = None
        for position, chunk in enumerate(chunks):
            decoded = pending.result() if pending else decode(chunk)
            following = chunks[position + 1] if position + 1 < len(chunks) else None
            pending = reader.submit(decode, following) if following else None
            yield chunk, decoded


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
