"""The tasks of one call on their way: those still to be sent, those in flight, parts that came back."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from bench.runs.cluster.parts import Assembly, Rest, Work, cut, passes_left
from bench.runs.cluster.task import Context, Task
from bench.runs.prepare import Prepared
from bench.store.units import Unit


class Flow:
    """An iterator over the tasks of some work, each made when it is sent: only a window is in memory.

    Attributes:
        context: What all of the tasks share.
        assembly: Outcomes of parts, until those of whole units are there.
        running: Tasks in flight, by their future.

    Args:
        prepared: The run that is scored.
        context: What all of the tasks share.
        work: Chunks with their units.
        skip: Whether a unit is no longer needed.
        threads: Threads of all workers together.
        apart: Labels of detectors that are scored in processes of their own; more may join.
    """

    def __init__(
        self,
        prepared: Prepared,
        context: Context,
        work: Work,
        skip: Callable[[Unit], bool],
        threads: int,
        *,
        apart: AbstractSet[str] = frozenset(),
    ) -> None:
        self.context = context
        self.assembly = Assembly(prepared.conditions)
        self.running: dict[Any, Task] = {}
        self._prepared = prepared
        self._chunks = {chunk.index: chunk for chunk, _ in work}
        self._skip = skip
        self._apart = apart
        self._first: deque[Task] = deque()
        self._last: deque[Task] = deque()
        self._tasks = self._made(work, threads)

    def __iter__(self) -> Iterator[Task]:
        return self

    def __next__(self) -> Task:
        """Give the next task that may be sent now; more may follow as those in flight come back."""
        while self._first:
            if task := self._still_needed(self._first.popleft()):
                return task
        if any(task.deaths for task in self.running.values()):
            raise StopIteration  # what took a worker along may be in every task
        if (task := next(self._tasks, None)) is not None:
            return task
        while self._last and not self.running:
            if task := self._still_needed(self._last.popleft()):
                return task
        raise StopIteration

    def suspected(self) -> list[Task]:
        """Take out the tasks that a worker died on, and that wait to be tried in processes of their own."""
        tasks = [task for task in self._first if task.deaths]
        self._first = deque(task for task in self._first if not task.deaths)
        return [needed for task in tasks if (needed := self._still_needed(task))]

    def _still_needed(self, task: Task) -> Task | None:
        units = tuple(unit for unit in task.units if self.needs(task, unit))
        return task.of(units) if units else None

    def needs(self, task: Task, unit: Unit) -> bool:
        """Tell whether a unit of a task is still to be scored, and by that task."""
        return self.assembly.needs(task, unit) and not self._skip(unit)

    def send_whole(self, task: Task) -> None:
        """Send a part's units with their whole chunk next, and forget what other parts gave for them."""
        rows = self._chunks[task.index].rows
        if units := self.assembly.drop(task):
            table = self._prepared.manifest.table.take(rows)
            self._first.append(Task(task.index, table, units, apart=task.apart))

    def send_apart(self, task: Task) -> None:
        """Send a task that a worker died on next, each detector in a process of its own."""
        for label in dict.fromkeys(unit.detector for unit in task.units):
            units = tuple(unit for unit in task.units if unit.detector == label)
            again = dataclasses.replace(task, units=units, apart=True, deaths=task.deaths + 1)
            self._first.append(again)

    def send_last(self, task: Task, units: Iterable[Unit]) -> None:
        """Send units that a worker gave up when nothing else is in flight, as far as they are needed then."""
        if left := tuple(units):
            self._last.append(dataclasses.replace(task, units=left, deaths=0, insists=True))

    def _made(self, work: Work, threads: int) -> Iterator[Task]:
        left = passes_left(work, self._prepared.conditions)
        sizes = self.context.settled.batch_sizes
        for (chunk, units), passes in zip(work, left, strict=True):
            needed = [unit for unit in units if not self._skip(unit)]
            if not needed:
                continue
            for group in self._groups(needed).values():
                for task in cut(self._prepared, sizes, chunk, group, Rest(passes, threads)):
                    if wanted := self._still_needed(task):
                        # A detector may have killed a worker since the chunk's first task was sent.
                        for label, own in self._groups(wanted.units).items():
                            yield dataclasses.replace(wanted, units=tuple(own), apart=bool(label))

    def _groups(self, units: Sequence[Unit]) -> dict[str, list[Unit]]:
        """Share units out by detectors that are scored apart; "" stands for all others together."""
        groups: dict[str, list[Unit]] = {}
        for unit in units:
            label = unit.detector if unit.detector in self._apart else ""
            groups.setdefault(label, []).append(unit)
        return groups
