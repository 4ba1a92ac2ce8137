"""A run: resolve, plan, score what the store lacks, report. Resuming is running the same command again."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from bench.errors import BenchError
from bench.inference.profiling import Profile
from bench.results.board import Report
from bench.results.by_image.image_scores import image_scores
from bench.runs import calibration
from bench.runs.arithmetic.check import with_arithmetic
from bench.runs.doubts import with_doubts
from bench.runs.executor import Executor, Here
from bench.runs.folder.claim import claimed
from bench.runs.folder.log import RunLog
from bench.runs.isolation.detectors import Isolation
from bench.runs.isolation.executor import Isolated
from bench.runs.isolation.process import Children
from bench.runs.order.failures import FirstFailures
from bench.runs.prepare import Prepared, prepare
from bench.runs.record import report_with, run_spec
from bench.runs.request import RunRequest
from bench.runs.settled import Settled
from bench.scoring.engine import Counts
from bench.scoring.outcomes import BatchTooLargeError, Failed
from bench.store.run_spec import Failure
from bench.store.rundir import RunDir, RunRecord
from bench.store.shards import ShardDamagedError
from bench.store.units import Plan, Unit, weight
from bench.store.users import sign_up
from bench.support.files import writable
from bench.support.progress import Progress, Silent
from leaderboards import Board


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run and its board.

    Attributes:
        folder: Folder that holds the files of the run.
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
        """The leaderboard of the run."""
        return self.report.board

    @property
    def scores(self) -> pd.DataFrame:
        """The scores, a row an image, detector and condition; parameters of conditions are columns.

        Read anew from the folder each time; see :func:`bench.results.by_image.image_scores.image_scores`.
        """
        return image_scores(self.folder)


def execute(request: RunRequest, progress: Progress | None = None) -> RunResult:
    """Score everything the store lacks and write the board.

    Args:
        request: What to run.
        progress: Shows how the run goes on; silent by default.

    Returns:
        The finished run. Cells that failed are in the board, with their reason.

    Raises:
        BenchError: On bad input, before any work; nothing half-written is left.
    """
    log, counts = RunLog(progress or Silent()), Counts()
    # Whatever somebody's code does to the working folder, results go where they were meant to.
    request = request.anchored()
    request.check()
    with ExitStack() as stack:
        stack.enter_context(log.ending())
        if request.cluster is not None:
            # What not every run needs is imported where it is needed: small runs are mostly imports.
            from bench.runs.cluster.connect import connected  # noqa: PLC0415
            from bench.runs.cluster.dispatch import Dispatcher  # noqa: PLC0415
            from bench.runs.cluster.questions import machine  # noqa: PLC0415
            from bench.runs.cluster.spec import Remote  # noqa: PLC0415
            from bench.runs.cluster.spec import parse as parse_cluster  # noqa: PLC0415
            from bench.runs.isolation.on_worker import release, score_apart  # noqa: PLC0415

            where = parse_cluster(request.cluster)
            session = stack.enter_context(connected(where, request.tls, log))
            elsewhere = machine(session, request)
            # A detector of somebody's own file may end the process that looks at it: here, this is not ours.
            children = stack.enter_context(Children(request.timeout))
            looked_at = Isolation(children, log, own_files_only=not request.isolated)
            prepared = prepare(request, log, elsewhere=elsewhere, loader=looked_at.load)
            executor: Executor = Dispatcher(session, log, counts, score_apart)
            if isinstance(where, Remote):
                stack.callback(session.tell, release)
        elif request.isolated:
            isolation = Isolation(stack.enter_context(Children(request.timeout)), log)
            prepared = prepare(request, log, loader=isolation.load)
            executor = Isolated(isolation, counts)
        else:
            prepared = prepare(request, log)
            pool = stack.enter_context(ThreadPoolExecutor(max_workers=prepared.threads))
            executor = Here(pool, counts)
        prepared = stack.enter_context(claimed(prepared, log))
        log.keep(prepared.request.folder)
        return _Run(prepared, executor, counts, log).finish()


@dataclass(frozen=True, slots=True)
class _Run:
    """A prepared run under way."""

    prepared: Prepared
    executor: Executor
    counts: Counts
    progress: RunLog

    def finish(self) -> RunResult:
        """Score what the store lacks, in smaller batches where memory runs out, and write the board.

        Scores that turn out to be damaged when the board is made are scored anew.
        """
        prepared, folder = self.prepared, RunDir(self.prepared.request.folder)
        prepared.store.prepare()
        sign_up(prepared.store.root, folder.root)
        settled = with_doubts(prepared, prepared.initial, self.progress)
        healed = set[str]()
        while True:
            try:
                record = self._attempt(folder, settled)
                finished = report_with(folder, record, prepared.manifest, self.progress)
                break
            except BatchTooLargeError as error:
                settled = self._halved(settled, error)
            except ShardDamagedError as error:
                self._note_damage(error, healed)
                healed |= set(error.fingerprints)
        with writable(folder.root):
            finished.board.write(folder.root)
        profile = prepared.watch.read(prepared.threads)
        return RunResult(folder.root, finished, self.counts, profile)

    def _attempt(self, folder: RunDir, settled: Settled) -> RunRecord:
        """Choose thresholds and score, in batches of the settled sizes; returns what was recorded."""
        prepared = self.prepared
        if prepared.request.numerics.precision == "auto":
            settled = dataclasses.replace(settled, arithmetic={}, forms=())
            settled, _ = self._under_policy(folder, settled)
            self._record(folder, prepared.plan(settled), settled)
            settled = with_arithmetic(prepared, settled, self._score_apart, self.progress)
        # A threshold is chosen from scores of the very arithmetic that it judges.
        settled, unchosen = self._under_policy(folder, settled)
        plan = prepared.plan(settled)
        record = self._record(folder, plan, settled)
        score = self._score if prepared.looks is None else self._score_in_rounds
        failures = score(plan, settled, unchosen)
        return dataclasses.replace(record, failures=tuple(failures))

    def _under_policy(self, folder: RunDir, settled: Settled) -> tuple[Settled, list[Failure]]:
        """Settle thresholds as the policy of the suite says; see :meth:`_with_thresholds`."""
        prepared, policy = self.prepared, self.prepared.request.suite.policy
        if policy.kind == "fixed":
            return settled.with_thresholds(calibration.given(policy, prepared.detectors)), []
        if policy.kind == "zero":
            return settled, []
        # Recorded before thresholds are chosen too: a killed run can then be looked at.
        self._record(folder, prepared.plan(settled), settled)
        return self._with_thresholds(settled)

    def _record(self, folder: RunDir, plan: Plan, settled: Settled) -> RunRecord:
        """Record what is about to be scored."""
        prepared = self.prepared
        return folder.begin(run_spec(prepared, settled), prepared.manifest, prepared.rows, plan)

    def _note_damage(self, error: ShardDamagedError, healed: Set[str]) -> None:
        """Tell of damaged shards that will be scored anew, unless that has been tried already."""
        again = healed & set(error.fingerprints)
        if again:
            raise BenchError(
                f"score shard {min(again)[:12]} in {self.prepared.store.root} was damaged again as soon as "
                "it was written: check that disk, or choose another --store"
            ) from error
        count = len(error.fingerprints)
        self.progress.warn(
            f"{count} damaged score shards are set aside (*.damaged) and scored anew: {error}"
        )

    def _halved(self, settled: Settled, error: BatchTooLargeError) -> Settled:
        label, device = error.detector, self.prepared.device
        if settled.batch_sizes[label] == 1:
            reason = f"does not fit the memory of {device} even one image at a time: use another --device"
            self.progress.note(f"{label} {reason}")
            return settled.without(label, f"it {reason}")
        if device.type == "cuda":
            torch.cuda.empty_cache()
        smaller = settled.halved(label)
        size = smaller.batch_sizes[label]
        self.progress.note(f"{label}: out of memory, going on with batches of {size}")
        return smaller

    def _with_thresholds(self, settled: Settled) -> tuple[Settled, list[Failure]]:
        """Choose thresholds by the policy of the suite.

        Returns:
            The settled values with them, and the failed cells of detectors that have none.
        """
        prepared, policy = self.prepared, self.prepared.request.suite.policy
        plan = prepared.calibration_plan(settled)
        reasons = {f.detector: f.reason for f in self._score(plan, settled, [])}
        cards = {label: detector.card for label, detector in prepared.detectors.items()}
        choice = calibration.choose(prepared.manifest, policy, plan, prepared.store, cards)
        refused = {label: reasons.get(label, reason) for label, reason in choice.refused.items()}
        for label, record in choice.thresholds.items():
            self.progress.note(f"{label}: threshold {record.value:g} by {policy}")
        failures = calibration.failures(refused, list(prepared.conditions))
        return settled.with_thresholds(choice.thresholds), failures

    def _score(self, plan: Plan, settled: Settled, unchosen: Sequence[Failure]) -> list[Failure]:
        """Score the units the store lacks and keep what comes; a cell that failed is not tried again.

        Returns:
            One failure a (detector, condition) that has one, in the plan's order.
        """
        failures = self._known_failures(settled, unchosen)
        self._score_units(plan, plan.by_chunk, settled, failures)
        return failures.in_order(plan)

    def _score_apart(
        self,
        plan: Plan,
        units: Mapping[int, Sequence[Unit]],
        settled: Settled,
        title: str,
    ) -> list[Failure]:
        """Score some units for themselves: what fails here is tried again where it counts."""
        failures = self._known_failures(settled, [])
        self._score_units(plan, units, settled, failures, title)
        return failures.in_order(plan)

    def _score_in_rounds(
        self, plan: Plan, settled: Settled, unchosen: Sequence[Failure]
    ) -> list[Failure]:
        """Score what open cells need, look at the scores, and go on until every cell has stopped."""
        from bench.runs.rounds.rounds import rounds_of  # noqa: PLC0415

        failures = self._known_failures(settled, unchosen)
        for title, units in rounds_of(self.prepared, settled, plan, failures.cover):
            self._score_units(plan, units, settled, failures, title)
        return failures.in_order(plan)

    def _known_failures(self, settled: Settled, unchosen: Sequence[Failure]) -> FirstFailures:
        given_up = [
            Failure(detector=label, condition=condition, status="failed", reason=reason)
            for label, reason in settled.given_up.items()
            for condition in self.prepared.conditions
        ]
        return FirstFailures([*unchosen, *given_up])

    def _score_units(
        self,
        plan: Plan,
        units: Mapping[int, Sequence[Unit]],
        settled: Settled,
        failures: FirstFailures,
        title: str = "scoring",
    ) -> None:
        """Score some units, by chunk, as far as the store lacks them; failures are added to the others."""
        prepared, store = self.prepared, self.prepared.store
        missing = {
            chunk.index: [u for u in units[chunk.index] if not store.take(u.fingerprint)]
            for chunk in plan.chunks
        }
        total = sum(len(of_chunk) for of_chunk in units.values())
        left = sum(len(of_chunk) for of_chunk in missing.values())
        if left < total and self.prepared.looks is None:
            self.progress.note(f"{total - left} of {total} units are stored already")
        left_of = Counter[tuple[str, str]]()  # passes that each cell still costs
        for chunk in plan.chunks:
            for unit in missing[chunk.index]:
                cost = len(chunk.rows) * weight(prepared.conditions[unit.condition])
                left_of[unit.detector, unit.condition] += cost
        self.progress.start(title, left_of.total())
        chunks = [(chunk, missing[chunk.index]) for chunk in plan.chunks if missing[chunk.index]]
        for outcome in self.executor.outcomes(prepared, settled, chunks, failures.cover):
            unit, chunk = outcome.unit, plan.chunks[outcome.unit.chunk]
            cell = (unit.detector, unit.condition)
            self.progress.at(f"{unit.detector} under {unit.condition}")
            cost = min(len(chunk.rows) * weight(prepared.conditions[unit.condition]), left_of[cell])
            if isinstance(outcome, Failed):
                cost = left_of[cell]  # what is left of a failed cell is not scored
                if not failures.cover(unit):
                    where = f"{unit.detector} under {unit.condition}"
                    self.progress.note(f"{where}: {outcome.status}: {outcome.reason}")
                failures.add(outcome)
            else:
                with prepared.watch.time("store"):
                    store.write(unit.fingerprint, outcome.scores)
            left_of[cell] -= cost
            self.progress.advance(cost)
