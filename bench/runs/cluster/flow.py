"""The tasks of one call on their way: those still to be sent, those in flight, parts that came back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from bench.runs.cluster.parts import Assembly, Work, cut, pieces
from bench.runs.cluster.work import Context, Task
from bench.runs.prepare import Prepared
from bench.store.units import Unit


class Flow:
    """An iterator over the tasks of some work, each made when it is sent: only a window is in memory.

    Attributes:
        context: What all of the tasks share.
        assembly: Outcomes of parts, until those of whole units are there.
        running: Tasks in flight, by their future.
    """

    def __init__(
        self,
        prepared: Prepared,
        context: Context,
        work: Work,
        skip: Callable[[Unit], bool],
        threads: int,
    ) -> None:
        self.context = context
        self.assembly = Assembly(prepared.conditions)
        self.running: dict[Any, Task] = {}
        self._prepared = prepared
        self._chunks = {chunk.index: chunk for chunk, _ in work}
        self._skip = skip
        self._first: deque[Task] = deque()
        self._tasks = self._made(work, threads)

    def __iter__(self) -> Iterator[Task]:
        return self

    def __next__(self) -> Task:
        return self._first.popleft() if self._first else next(self._tasks)

    def needs(self, task: Task, unit: Unit) -> bool:
        """Tell whether a unit of a task is still to be scored, and by that task."""
        return self.assembly.needs(task, unit) and not self._skip(unit)

    def send_whole(self, task: Task) -> None:
        """Send a part's units with their whole chunk next, and forget what other parts gave for them."""
        rows = self._chunks[task.index].rows
        if units := self.assembly.drop(task):
            table = self._prepared.manifest.table.take(rows)
            self._first.append(Task(task.index, table, units))

    def _made(self, work: Work, threads: int) -> Iterator[Task]:
        counts = pieces(work, self._prepared.conditions, threads)
        sizes = self.context.settled.batch_sizes
        for (chunk, units), count in zip(work, counts, strict=True):
            needed = [unit for unit in units if not self._skip(unit)]
            if not needed:
                continue
            for task in cut(self._prepared, sizes, chunk, needed, count):
                left = tuple(unit for unit in task.units if self.assembly.needs(task, unit))
                if left:
                    yield task if left == task.units else task.of(left)
