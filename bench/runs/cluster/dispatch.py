"""The client's side: tasks in flight, results as they come, and what a worker died on."""

from __future__ import annotations

import dataclasses
import itertools
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bench.datasets.open import POCKET
from bench.errors import BenchError
from bench.runs.cluster.breaker import Breaker
from bench.runs.cluster.connect import Session
from bench.runs.cluster.flow import Flow
from bench.runs.cluster.parts import Work
from bench.runs.cluster.questions import (
    MOST_WORKER_DEATHS,
    WorkerDiedError,
    on_each,
    once_on_each,
    portable,
    result_of,
)
from bench.runs.cluster.task import Context, Task, TaskResult
from bench.runs.cluster.work import check_machine, condition_codes, score, settle
from bench.runs.prepare import Prepared
from bench.runs.settled import Settled
from bench.scoring.engine import Counts
from bench.scoring.outcomes import BatchTooLargeError, Failed, Scored
from bench.store.units import Chunk, Unit, weight
from bench.support.progress import Progress

_POLL_S = 5.0
# Seconds between two looks at who is there.
_LOOK_S = 1.0


class _Finished(NamedTuple):
    """A task that is no longer in flight, and its result; ``None`` where its workers died on it."""

    task: Task
    result: TaskResult | None


@dataclass(slots=True)
class Dispatcher:
    """A scorer of chunks that sends them to the workers of a session.

    Attributes:
        session: Client and workers.
        progress: Shows the workers that leave.
        counts: Work done by all workers together.
        score_apart: Scores units of one detector in a process of its own on a worker; by default, in the
            worker's.
    """

    session: Session
    progress: Progress
    counts: Counts
    score_apart: Callable[[Context, Task], TaskResult] = score
    _apart: set[str] = field(default_factory=set)
    _deaths: Counter[str] = field(default_factory=Counter)
    _run: str = field(default_factory=lambda: uuid.uuid4().hex)
    _threads: Mapping[str, int] = field(default_factory=dict)
    _looked_at: float = 0.0
    _empty_since: float | None = None

    def outcomes(
        self,
        prepared: Prepared,
        settled: Settled,
        work: Sequence[tuple[Chunk, Sequence[Unit]]],
        skip: Callable[[Unit], bool],
    ) -> Iterator[Scored | Failed]:
        """Score the units of the chunks, in any order.

        Args:
            prepared: The run that is scored.
            settled: Batch sizes and thresholds that the run has settled.
            work: Chunks with their units.
            skip: Whether a unit is no longer needed; called when its task is sent.

        Yields:
            One outcome a unit that was sent.

        Raises:
            BatchTooLargeError: A batch does not fit a worker's device.
            BenchError: A worker may not score for this run; no worker is left.
        """
        if not work:
            return
        context = dataclasses.replace(self._context(prepared), settled=settled)
        self._settle(context)
        if prepared.request.isolated:
            work = _by_detector(work)
        threads = sum(self.session.workers().values())
        flow = Flow(prepared, context, work, skip, threads, apart=self._apart)
        breaker = Breaker(context.costs, work, self.progress)
        try:
            while True:
                room = max(0, self._window() - len(flow.running))
                for task in itertools.islice(flow, room):
                    self._send(flow, task)
                if not flow.running:
                    return
                yield from self._received(flow, breaker)
        finally:
            self.session.client.cancel(list(flow.running), force=True)

    def _settle(self, context: Context) -> None:
        """Have every worker checked, and its detectors loaded where they are not scored apart.

        Raises:
            BenchError: A worker may not score for this run.
        """
        if context.request.isolated:
            self._apart.update(context.identities)
        if not self._apart.issuperset(context.identities):
            try:
                once_on_each(self.session, lambda address: (settle, context, address))
            except WorkerDiedError:
                self.progress.note(
                    "cluster: a worker died as it loaded the detectors: each gets a process of its own"
                )
                self._apart.update(context.identities)
            else:
                return
        on_each(self.session, lambda address: (check_machine, context, address))

    def _received(self, flow: Flow, breaker: Breaker) -> Iterator[Scored | Failed]:
        """Take what has come back; what a worker died on is sent again, each detector in its own process."""
        suspects: list[Task] = []
        for task, result in self._finished(flow):
            if result is None:
                self._suspect(flow, task, suspects)
                continue
            if not (suspects or task.apart):
                # The worker gets its next chunk before this one's scores are written.
                following = next(flow, None)
                if following is not None:
                    self._send(flow, following)
            yield from self._counted(flow, breaker, task, result)
        if suspects:
            yield from self._score_suspects(flow, breaker, suspects)

    def _suspect(self, flow: Flow, task: Task, suspects: list[Task]) -> None:
        """Take a task that a worker died on: once more in processes of their own, at last unit by unit."""
        labels = {unit.detector for unit in task.units}
        self._deaths.update(labels)
        # What passes is not to blame; but where no worker has lived with it, the next one need not try.
        self._apart.update(label for label in labels if self._deaths[label] >= MOST_WORKER_DEATHS)
        if task.deaths + 1 < MOST_WORKER_DEATHS:
            self.progress.note(
                f"cluster: a worker died {task.place}: what it had in work is tried with a process for "
                "each detector"
            )
            flow.send_apart(task)
        else:
            suspects.append(task)

    def _score_suspects(
        self, flow: Flow, breaker: Breaker, suspects: list[Task]
    ) -> Iterator[Scored | Failed]:
        """Score the units of tasks that three workers died on, one at a time with nothing else in flight.

        A worker that dies then died on that unit.
        """
        # All that is under suspicion is known first: the cheapest of it settles most.
        while self._send_suspected(flow) or flow.running:
            for task, result in self._finished(flow):
                if result is None:
                    self._suspect(flow, task, suspects)
                else:
                    yield from self._counted(flow, breaker, task, result)
        alone = [
            dataclasses.replace(task, units=(unit,), insists=True)
            for task in suspects
            for unit in task.units
        ]
        # The cheapest of the first images come first, as their failure may settle the others.
        for task in sorted(
            alone, key=lambda t: (t.index, breaker.costs[t.units[0].condition], t.part)
        ):
            if flow.needs(task, task.units[0]):
                yield from self._score_alone(flow, breaker, task)

    def _score_alone(self, flow: Flow, breaker: Breaker, task: Task) -> Iterator[Scored | Failed]:
        """Score a task of one unit, with nothing else in flight; it fails where three workers die on it."""
        for _ in range(MOST_WORKER_DEATHS):
            self._send(flow, task)
            while flow.running:
                for _, result in self._finished(flow):
                    if result is not None:
                        yield from self._counted(flow, breaker, task, result)
                        return
        yield from self._outcome(flow, breaker, task, _worker_died(task))

    def _send_suspected(self, flow: Flow) -> bool:
        """Send what waits to be tried in processes of its own; tells whether there was any."""
        tasks = flow.suspected()
        for task in tasks:
            self._send(flow, task)
        return bool(tasks)

    def _send(self, flow: Flow, task: Task) -> None:
        name = f"score-{self._run[:8]}-{task.index}-{uuid.uuid4().hex[:8]}"
        score_it = self.score_apart if task.apart else score
        # What is under suspicion comes before what waits: nothing new is sent until it is cleared up.
        options = {"key": name, "pure": False, "priority": int(task.deaths > 0)}
        flow.running[self.session.client.submit(score_it, flow.context, task, **options)] = task

    def _finished(self, flow: Flow) -> Iterator[_Finished]:
        """Take the finished tasks out of those in flight; waits a while for the first."""
        from distributed import KilledWorker, wait  # noqa: PLC0415

        wait_for: Any = wait
        try:
            finished = wait_for(
                list(flow.running), timeout=_POLL_S, return_when="FIRST_COMPLETED"
            ).done
        except TimeoutError:
            finished = set()
        self._look_at_workers()
        for future in finished:
            task = flow.running.pop(future)
            if future.status == "error" and isinstance(future.exception(), KilledWorker):
                yield _Finished(task, None)
            else:
                yield _Finished(task, result_of(future))

    def _counted(
        self, flow: Flow, breaker: Breaker, task: Task, result: TaskResult
    ) -> Iterator[Scored | Failed]:
        """Count the work of a task, and hand on the outcomes of units that are whole.

        Raises:
            BatchTooLargeError: After the outcomes, where memory ran out behind them.
        """
        self.counts.decoded += result.decoded
        self.counts.scored += result.scored
        for remark in result.remarks:
            self.progress.note(remark)
        for outcome in result.outcomes:
            yield from self._outcome(flow, breaker, task, outcome)
        if result.inseparable:
            flow.send_whole(task)
        elif task.apart and not result.too_large:
            scored = {outcome.unit for outcome in result.outcomes}
            flow.send_last(task, (unit for unit in task.units if unit not in scored))
        if result.too_large:
            raise BatchTooLargeError(result.too_large)

    def _outcome(
        self, flow: Flow, breaker: Breaker, task: Task, outcome: Scored | Failed
    ) -> Iterator[Scored | Failed]:
        """Hand on an outcome where its unit is whole, and what follows from it for the detector."""
        if isinstance(outcome, Scored) and not task.apart:
            self._deaths[outcome.unit.detector] = 0
        if isinstance(outcome, Failed) and outcome.ended:
            # Its process is not the worker's from here on, whatever comes of it.
            self._apart.add(outcome.unit.detector)
        for whole in flow.assembly.add(task, outcome):
            yield whole
            if isinstance(whole, Failed):
                yield from breaker.add(whole)

    def _context(self, prepared: Prepared) -> Context:
        request = prepared.request
        embedded = (request.data or request.suite.dataset) == POCKET
        return Context(
            run=self._run,
            request=portable(request),
            root=None if embedded else prepared.manifest.root,
            environment=prepared.environment,
            identities=prepared.identities,
            codes=condition_codes(prepared),
            settled=prepared.initial,
            broken=prepared.broken,
            costs={spelled: weight(c) for spelled, c in prepared.conditions.items()},
        )

    def _window(self) -> int:
        """Count the tasks that may be in flight: for each thread one and one that waits.

        Raises:
            BenchError: If no worker has been there for too long.
        """
        self._look_at_workers()
        return 2 * sum(self._threads.values()) if self._threads else 1

    def _look_at_workers(self) -> None:
        """Look now and then who is there, and note who left.

        Raises:
            BenchError: If no worker has been there for too long.
        """
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_S or not self._threads:
            before, self._threads, self._looked_at = self._threads, self.session.workers(), now
            if gone := len(set(before) - set(self._threads)):
                self.progress.note(
                    f"cluster: {gone} worker(s) left, {len(self._threads)} there; what they had in work is "
                    "done again elsewhere"
                )
        if self._threads:
            self._empty_since = None
            return
        self._empty_since = self._empty_since or now
        if now - self._empty_since > self.session.patience_s:
            raise BenchError(
                f"no worker has been there for {self.session.patience_s / 60:g} minutes: what was scored "
                "is kept, run the same command again to go on"
            )


def _by_detector(work: Work) -> Work:
    """Give the same work one detector after the other: a worker then keeps the process that it has."""
    labels = dict.fromkeys(unit.detector for _, units in work for unit in units)
    return [
        (chunk, own)
        for label in labels
        for chunk, units in work
        if (own := [unit for unit in units if unit.detector == label])
    ]


def _worker_died(task: Task) -> Failed:
    (unit,) = task.units
    ended = "its worker died three times"
    reason = f"{ended} {task.place}: a crash of the detector, or too little memory"
    return Failed(unit, "failed", reason, ended=ended)
