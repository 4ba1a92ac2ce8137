"""The client's side: tasks in flight, results as they come, and the unit that a worker died on."""

from __future__ import annotations

import dataclasses
import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bench.datasets.open import POCKET
from bench.errors import BenchError
from bench.runs.cluster.connect import Session
from bench.runs.cluster.flow import Flow
from bench.runs.cluster.work import (
    Context,
    Task,
    TaskResult,
    condition_codes,
    differs,
    machine_of,
    score,
    settle,
)
from bench.runs.prepare import Machine, Prepared
from bench.runs.request import RunRequest
from bench.runs.settled import Settled
from bench.scoring.engine import Counts
from bench.scoring.outcomes import BatchTooLargeError, Failed, Scored
from bench.store.units import Chunk, Unit
from bench.support.progress import Progress

_POLL_S = 5.0
# Seconds between two looks at who is there.
_LOOK_S = 1.0


def machine(session: Session, request: RunRequest) -> Machine:
    """Describe the machine that all workers are alike; fingerprints are made of it.

    Raises:
        BenchError: Where two differ, or one has no bench or no such device.
    """
    sent = portable(request)
    machines = _on_each(session, lambda address: (machine_of, sent, address))
    first: Machine = machines[0]
    for other in machines[1:]:
        if difference := differs(first.environment, other.environment):
            raise BenchError(
                f"worker {other.name} differs from {first.name}: {difference}; run all workers "
                "with the same installation on the same kind of machine"
            )
    return first


def portable(request: RunRequest) -> RunRequest:
    """Make the paths to detectors and weights absolute: workers run in other folders."""
    return dataclasses.replace(request, detectors=tuple(d.absolute() for d in request.detectors))


def _on_each(session: Session, job: Callable[[str], tuple[Any, ...]]) -> list[Any]:
    """Run a job once on every worker that is there, in the thread that tasks run in.

    Args:
        session: Client and workers.
        job: From the address of a worker to a function and its arguments.
    """
    submit = session.client.submit
    # Another worker may take it up: should this one die meanwhile, nobody waits for ever.
    futures = [
        submit(*job(address), workers=[address], allow_other_workers=True, pure=False)
        for address in sorted(session.workers())
    ]
    return [_result(future) for future in futures]


def _result(future: Any) -> Any:
    try:
        return future.result()
    except BenchError:
        raise
    except ImportError as error:
        raise BenchError(
            f"a worker cannot import bench ({error}): install the same version on every machine"
        ) from error
    except Exception as error:  # whatever a foreign machine comes up with
        text = " ".join(str(error).split())[:300]
        raise BenchError(f"a worker failed: {type(error).__name__}: {text}") from error


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
    """

    session: Session
    progress: Progress
    counts: Counts
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
        _on_each(self.session, lambda address: (settle, context, address))
        flow = Flow(prepared, context, work, skip, sum(self.session.workers().values()))
        try:
            while True:
                room = max(0, self._window() - len(flow.running))
                for task in itertools.islice(flow, room):
                    self._send(flow, task)
                if not flow.running:
                    return
                suspects: list[Task] = []
                for task, result in self._finished(flow):
                    if result is None:
                        suspects.append(task)
                        continue
                    # The worker gets its next chunk before this one's scores are written.
                    following = None if suspects else next(flow, None)
                    if following is not None:
                        self._send(flow, following)
                    yield from self._counted(flow, task, result)
                if suspects:
                    yield from self._score_suspects(flow, suspects)
        finally:
            self.session.client.cancel(list(flow.running), force=True)

    def _score_suspects(self, flow: Flow, suspects: list[Task]) -> Iterator[Scored | Failed]:
        """Score the units of tasks that workers died on, one at a time once nothing else is in flight.

        A worker that dies then died on that unit.
        """
        while flow.running:
            for task, result in self._finished(flow):
                if result is None:
                    suspects.append(task)
                else:
                    yield from self._counted(flow, task, result)
        for task in suspects:
            for unit in task.units:
                if flow.needs(task, unit):
                    yield from self._score_alone(flow, task.of((unit,)))

    def _score_alone(self, flow: Flow, task: Task) -> Iterator[Scored | Failed]:
        """Score a task of one unit, with nothing else in flight; it fails where its worker dies again."""
        self._send(flow, task)
        while flow.running:
            for _, result in self._finished(flow):
                if result is None:
                    yield from flow.assembly.add(task, _worker_died(task))
                else:
                    yield from self._counted(flow, task, result)

    def _send(self, flow: Flow, task: Task) -> None:
        name = f"score-{self._run[:8]}-{task.index}-{uuid.uuid4().hex[:8]}"
        future = self.session.client.submit(score, flow.context, task, key=name, pure=False)
        flow.running[future] = task

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
                yield _Finished(task, _result(future))

    def _counted(self, flow: Flow, task: Task, result: TaskResult) -> Iterator[Scored | Failed]:
        """Count the work of a task, and hand on the outcomes of units that are whole.

        Raises:
            BatchTooLargeError: After the outcomes, where memory ran out behind them.
        """
        self.counts.decoded += result.decoded
        self.counts.scored += result.scored
        for outcome in result.outcomes:
            yield from flow.assembly.add(task, outcome)
        if result.inseparable:
            flow.send_whole(task)
        if result.too_large:
            raise BatchTooLargeError(result.too_large)

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


def _worker_died(task: Task) -> Failed:
    (unit,) = task.units
    ids = task.table["sample_id"]
    return Failed(
        unit,
        "failed",
        f"its worker died three times on the images {ids[0].as_py()} to {ids[-1].as_py()}: a crash of "
        "the detector, or too little memory",
    )
