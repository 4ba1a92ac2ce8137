"""Scoring with a process a detector: what one does to its process costs one of its units."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.datasets.open import POCKET
from bench.errors import BenchError, DataError
from bench.runs.cluster.work import Context, Task, condition_codes
from bench.runs.isolation import child as inside
from bench.runs.isolation.detectors import Isolation
from bench.runs.isolation.process import ChildDiedError, ChildError
from bench.runs.prepare import Prepared
from bench.runs.settled import Settled
from bench.scoring.engine import Counts
from bench.scoring.outcomes import BatchTooLargeError, Failed, Scored
from bench.store.units import Chunk, Unit

# Deaths in a row, with nothing scored between them, after which a detector is not begun again for each unit.
_MOST_DEATHS = 3


@dataclass(frozen=True, slots=True)
class Isolated:
    """Scoring with a process a detector, one detector after the other.

    Attributes:
        isolation: Loader and keeper of the processes.
        counts: Work done so far.
    """

    isolation: Isolation
    counts: Counts

    def outcomes(
        self,
        prepared: Prepared,
        settled: Settled,
        work: Sequence[tuple[Chunk, Sequence[Unit]]],
        skip: Callable[[Unit], bool],
    ) -> Iterator[Scored | Failed]:
        """Score the units of the chunks; see :class:`bench.runs.executor.Executor`."""
        for label in prepared.detectors:
            context = self._context(prepared, settled, label)
            for chunk, units in work:
                needed = tuple(u for u in units if u.detector == label and not skip(u))
                if needed:
                    table = prepared.manifest.table.take(chunk.rows)
                    yield from self._score(label, context, Task(chunk.index, table, needed), skip)

    def _score(
        self, label: str, context: Context, task: Task, skip: Callable[[Unit], bool]
    ) -> Iterator[Scored | Failed]:
        """Score a task; where the process dies on it, its units one at a time: it then died on that unit."""
        left = {unit.fingerprint: unit for unit in task.units}
        deaths = self.isolation.deaths
        try:
            child = self.isolation.children.of(label)
            child.call(inside.load, context)
            for item in child.stream(inside.score, context, task):
                if isinstance(item, Counts):
                    self.counts.decoded += item.decoded
                    self.counts.scored += item.scored
                elif left.pop(item.unit.fingerprint, None) is not None:
                    if isinstance(item, Scored):
                        deaths[label] = 0
                    yield item
        except (BatchTooLargeError, DataError):
            raise
        except ChildDiedError as death:
            self.isolation.children.drop(label)
            deaths[label] += 1
            if left:
                task = dataclasses.replace(task, units=tuple(left.values()))
                yield from self._after(death, context, task, skip)
        except (ChildError, BenchError) as error:
            yield from (Failed(unit, "failed", str(error)) for unit in left.values())

    def _after(
        self,
        death: ChildDiedError,
        context: Context,
        task: Task,
        skip: Callable[[Unit], bool],
    ) -> Iterator[Scored | Failed]:
        """Find out which of the units that are left a process died on."""
        ids = task.table["sample_id"]
        where = f"on the images {ids[0].as_py()} to {ids[-1].as_py()}"
        label = task.units[0].detector
        if len(task.units) == 1 or self.isolation.deaths[label] >= _MOST_DEATHS:
            yield from (Failed(unit, "failed", f"{death} ({where})") for unit in task.units)
            return
        for unit in task.units:
            if not skip(unit):
                alone = dataclasses.replace(task, units=(unit,))
                yield from self._score(label, context, alone, skip)

    def _context(self, prepared: Prepared, settled: Settled, label: str) -> Context:
        request = prepared.request
        detectors = tuple(detector.absolute() for detector in request.detectors)
        embedded = (request.data or request.suite.dataset) == POCKET
        return Context(
            run=f"{self.isolation.run}-{label}-scoring",
            request=dataclasses.replace(request, detectors=detectors),
            root=None if embedded else prepared.manifest.root,
            environment=prepared.environment,
            identities={label: prepared.identities[label]},
            codes=condition_codes(prepared),
            settled=settled,
            broken=prepared.broken,
            threads=prepared.threads,
        )
