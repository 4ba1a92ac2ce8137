"""Scoring with a process a detector: what one does to its process costs one of its units."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.datasets.open import POCKET
from bench.errors import BenchError, DataError
from bench.runs.cluster.breaker import MOST_DEATHS
from bench.runs.cluster.task import Context, InseparableError, Task
from bench.runs.cluster.work import condition_codes
from bench.runs.isolation import child as inside
from bench.runs.isolation.detectors import Isolation, about
from bench.runs.isolation.process import ChildDiedError, ChildError
from bench.runs.prepare import Prepared
from bench.runs.settled import Settled
from bench.scoring.engine import Counts
from bench.scoring.outcomes import BatchTooLargeError, Failed, Scored
from bench.store.units import Chunk, Unit, weight


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
        costs = {spelled: weight(c) for spelled, c in prepared.conditions.items()}
        for label in prepared.detectors:
            context = self._context(prepared, settled, label)
            scoring = Scoring(self.isolation, self.counts, label, context, costs, skip)
            for chunk, units in work:
                needed = tuple(u for u in units if u.detector == label and not skip(u))
                if needed:
                    table = prepared.manifest.table.take(chunk.rows)
                    yield from scoring.outcomes(Task(chunk.index, table, needed))

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


@dataclass(frozen=True, slots=True)
class Scoring:
    """The scoring of one detector in its process.

    Attributes:
        isolation: Keeper of the processes.
        counts: Work done so far.
        label: Label of the detector that is scored.
        context: What its process is told of the run.
        costs: Forward passes of one image, by condition.
        skip: Whether a unit is no longer needed.
        decides: Whether the units that are not tried after too many deaths fail here; somebody else decides
            on them otherwise, and they have no outcome.
    """

    isolation: Isolation
    counts: Counts
    label: str
    context: Context
    costs: Mapping[str, int]
    skip: Callable[[Unit], bool]
    decides: bool = True

    def outcomes(self, task: Task) -> Iterator[Scored | Failed]:
        """Score a task; where the process dies on it, its units one at a time: it then died on that unit."""
        left = {unit.fingerprint: unit for unit in task.units}
        isolation = self.isolation
        try:
            child = isolation.children.of(self.label)
            child.call(inside.load, self.context)
            for item in child.stream(inside.score, self.context, task):
                if isinstance(item, Counts):
                    self.counts.decoded += item.decoded
                    self.counts.scored += item.scored
                elif left.pop(item.unit.fingerprint, None) is not None:
                    if isinstance(item, Scored):
                        isolation.deaths[self.label] = 0
                    yield item
        except (BatchTooLargeError, DataError, InseparableError):
            raise
        except ChildDiedError as death:
            isolation.children.drop(self.label)
            isolation.deaths[self.label] += 1
            units = tuple(left.values())
            if len(task.units) == 1:
                how = str(death)
                reason = f"{how} ({task.place})"
                yield from (Failed(unit, "failed", reason, ended=how) for unit in units)
            elif units:
                yield from self._one_by_one(death, dataclasses.replace(task, units=units))
        except (ChildError, BenchError) as error:
            yield from (Failed(unit, "failed", str(error)) for unit in left.values())

    def _one_by_one(self, death: ChildDiedError, task: Task) -> Iterator[Scored | Failed]:
        """Score the units that a process left, the cheapest first, until it has died too often in a row.

        What is dearer than units that took too long would take longer still.
        """
        deaths, where, last = self.isolation.deaths, task.place, ""
        units = sorted(task.units, key=lambda unit: self.costs[unit.condition])
        self.isolation.progress.note(
            f"{self.label}: {about(death)} {where}: what is left there is tried one unit at a time"
        )
        while units and deaths[self.label] < MOST_DEATHS:
            if self.skip(unit := units.pop(0)):
                continue
            yield from self.outcomes(dataclasses.replace(task, units=(unit,)))
            last = f", the last under {unit.condition}"
        units = [unit for unit in units if not self.skip(unit)]
        if units and self.decides:
            again = f"{deaths[self.label]} times in a row"
            self.isolation.progress.warn(
                f"{self.label}: given up {where}, as {about(death)} {again}{last}: {len(units)} more units "
                "there get no result"
            )
            reason = f"given up after this {again}: {death} ({where})"
            yield from (Failed(unit, "failed", reason) for unit in units)
