"""The client's side: a window of tasks in flight, results as they come, and who is to blame for a death."""

from __future__ import annotations

import dataclasses
import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.datasets.open import POCKET
from bench.errors import BenchError
from bench.runs.cluster.connect import Session
from bench.runs.cluster.work import (
    Context,
    Done,
    Task,
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
# Below so many chunks a thread, a chunk is shared between workers, a detector each.
_FEW = 3


def machine(session: Session, request: RunRequest) -> Machine:
    """What all workers are; fingerprints are made of it.

    Raises:
        BenchError: Where two differ, or one has no bench or no such device.
    """
    sent = portable(request)
    found = _on_each(session, lambda where: (machine_of, sent, where))
    for other in found[1:]:
        if difference := differs(found[0].environment, other.environment):
            raise BenchError(
                f"worker {other.name} differs from {found[0].name}: {difference}; run all workers "
                "with the same installation on the same kind of machine"
            )
    first: Machine = found[0]
    return first


def portable(request: RunRequest) -> RunRequest:
    """The request with absolute paths to detectors and weights: workers have folders of their own."""
    return dataclasses.replace(request, detectors=tuple(d.absolute() for d in request.detectors))


def _on_each(session: Session, job: Callable[[str], tuple[Any, ...]]) -> list[Any]:
    """Run a job once on every worker that is there, in the thread that tasks run in."""
    submit = session.client.submit
    # Another worker may take it up: should this one die meanwhile, nobody waits for ever.
    futures = [
        submit(*job(where), workers=[where], allow_other_workers=True, pure=False)
        for where in sorted(session.workers())
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


@dataclass(slots=True)
class Dispatcher:
    """Sends the chunks of one run to the workers of a session.

    Attributes:
        session: Where.
        progress: Told of workers that come and go.
        counts: Work done by all workers together.
    """

    session: Session
    progress: Progress
    counts: Counts
    _run: str = field(default_factory=lambda: uuid.uuid4().hex)
    _seen: Mapping[str, int] = field(default_factory=dict)
    _asked: float = 0.0
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
            settled: Its batch sizes and thresholds.
            work: Chunks with their units.
            skip: Whether a unit is no longer wanted; asked when its task is sent.

        Yields:
            One outcome a unit that was sent.

        Raises:
            BatchTooLargeError: A batch does not fit a worker's device.
            BenchError: A worker may not score for this run; no worker is left.
        """
        if not work:
            return
        context = dataclasses.replace(self._context(prepared), settled=settled)
        _on_each(self.session, lambda where: (settle, context, where))
        tasks = self._tasks(prepared, work, skip)
        running: dict[Any, Task] = {}
        try:
            while True:
                for task in itertools.islice(tasks, max(0, self._window() - len(running))):
                    running[self._send(context, task)] = task
                if not running:
                    return
                suspects: list[Task] = []
                for task, done in self._finished(running):
                    if done is None:
                        suspects.append(task)
                        continue
                    # The worker gets its next chunk before this one's scores are written.
                    for following in itertools.islice(tasks, 0 if suspects else 1):
                        running[self._send(context, following)] = following
                    yield from self._told(done)
                if suspects:
                    yield from self._drained(context, running, suspects, skip)
        finally:
            self.session.client.cancel(list(running), force=True)

    def _drained(
        self,
        context: Context,
        running: dict[Any, Task],
        suspects: list[Task],
        skip: Callable[[Unit], bool],
    ) -> Iterator[Scored | Failed]:
        """Wait for all else, then send the suspects' units one at a time: a death has one culprit."""
        while running:
            for task, done in self._finished(running):
                if done is None:
                    suspects.append(task)
                else:
                    yield from self._told(done)
        for unit, task in [(unit, each) for each in suspects for unit in each.units]:
            if skip(unit):
                continue
            alone = dataclasses.replace(task, units=(unit,))
            running[self._send(context, alone)] = alone
            while running:
                for _, done in self._finished(running):
                    if done is None:
                        yield _killer(unit, task)
                    else:
                        yield from self._told(done)

    def _send(self, context: Context, task: Task) -> Any:
        name = f"score-{self._run[:8]}-{task.index}-{uuid.uuid4().hex[:8]}"
        return self.session.client.submit(score, context, task, key=name, pure=False)

    def _finished(self, running: dict[Any, Task]) -> Iterator[tuple[Task, Done | None]]:
        """Take what is finished out of ``running``; ``None`` for a task that its workers died on."""
        from distributed import KilledWorker, wait  # noqa: PLC0415

        wait_for: Any = wait
        try:
            finished = wait_for(list(running), timeout=_POLL_S, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            finished = set()
        self._window()
        for future in finished:
            task = running.pop(future)
            if future.status == "error" and isinstance(future.exception(), KilledWorker):
                yield task, None
            else:
                yield task, _result(future)

    def _told(self, done: Done) -> Iterator[Scored | Failed]:
        self.counts.decoded += done.decoded
        self.counts.scored += done.scored
        yield from done.outcomes
        if done.too_large:
            raise BatchTooLargeError(done.too_large)

    def _tasks(
        self,
        prepared: Prepared,
        work: Sequence[tuple[Chunk, Sequence[Unit]]],
        skip: Callable[[Unit], bool],
    ) -> Iterator[Task]:
        """Tasks in chunk order, made when they are sent: only the window is ever in memory."""
        few = len(work) < _FEW * max(1, sum(self.session.workers().values()))
        for chunk, units in work:
            table = prepared.manifest.table.take(chunk.rows)
            groups: dict[str, list[Unit]] = {}
            for unit in units:
                groups.setdefault(unit.detector if few else "", []).append(unit)
            for group in groups.values():
                if wanted := tuple(unit for unit in group if not skip(unit)):
                    yield Task(chunk.index, table, wanted)

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
        )

    def _window(self) -> int:
        """Tasks in flight: one a thread and one that waits; looks who is there now and then.

        Raises:
            BenchError: If no worker has been there for too long.
        """
        now = time.monotonic()
        if now - self._asked >= 1.0 or not self._seen:
            before, self._seen, self._asked = self._seen, self.session.workers(), now
            if gone := len(set(before) - set(self._seen)):
                self.progress.note(
                    f"cluster: {gone} worker(s) left, {len(self._seen)} there; what they had in work is "
                    "done again elsewhere"
                )
        if self._seen:
            self._empty_since = None
            return 2 * sum(self._seen.values())
        self._empty_since = self._empty_since or now
        if now - self._empty_since > self.session.patience_s:
            raise BenchError(
                f"no worker has been there for {self.session.patience_s / 60:g} minutes: what was scored "
                "is kept, run the same command again to go on"
            )
        return 1


def _killer(unit: Unit, task: Task) -> Failed:
    ids = task.table["sample_id"]
    return Failed(
        unit,
        "failed",
        f"its worker died three times on the images {ids[0].as_py()} to {ids[-1].as_py()}: a crash of "
        "the detector, or too little memory",
    )
