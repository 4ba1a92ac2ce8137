"""Chunks cut into parts where the work asks for it, and the outcomes of the parts put together again.

A part is a run of whole batches, so its images meet in the very batches of the whole chunk and every score
has the same bits; towards the end of a run a task has some of the units only. What is chosen among all
images of a chunk, the probes of attacks, is a task of its own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from bench.protocol.condition import Condition
from bench.runs.cluster.task import Task
from bench.runs.prepare import Prepared
from bench.scoring.attacking import sharing_groups
from bench.scoring.outcomes import Failed, Scored
from bench.scoring.probes import is_probed, probe_candidates
from bench.store.shards import PROBE_COLUMNS, SCHEMA
from bench.store.units import Chunk, Unit, weight

# Parts of the rows that a thread still gets of what is left, and tasks: with fewer, some threads idle at the
# end while others work. Parts of rows cost nothing; tasks for some of the conditions decode once more.
_PARTS_A_THREAD = 4
_TASKS_A_THREAD = 3

Work = Sequence[tuple[Chunk, Sequence[Unit]]]


class Part(NamedTuple):
    """Some rows of a chunk, and the tasks that score them.

    Attributes:
        start: First row.
        stop: Row behind the last.
        groups: By task: its bundles, by their positions.
    """

    start: int
    stop: int
    groups: tuple[range, ...]


class Rest(NamedTuple):
    """What a chunk's share is taken of.

    Attributes:
        passes: Forward passes left in the run, with those of the chunk.
        threads: Threads of all workers together.
    """

    passes: int
    threads: int


class _Bundle(NamedTuple):
    """Units of one detector that share work, as a gradient: they stay in one task.

    Attributes:
        units: At least one.
        passes: Forward passes that they cost an image; gradients count as the passes they cost.
    """

    units: tuple[Unit, ...]
    passes: int


def passes_left(work: Work, conditions: Mapping[str, Condition]) -> Iterator[int]:
    """Count the forward passes that are left, from each chunk on to the last.

    Args:
        work: Chunks with their units, in the order in which they are sent.
        conditions: By canonical spelling.

    Yields:
        One number a chunk; its own passes are among them.
    """
    costs = [len(c.rows) * sum(weight(conditions[u.condition]) for u in us) for c, us in work]
    left = sum(costs)
    for cost in costs:
        yield left
        left -= cost


def shape(rows: int, step: int, passes: Sequence[int], rest: Rest) -> Iterator[Part]:
    """Choose the tasks of a chunk by their share of what is left: by rows as far as it can, then by bundles.

    Chunks of a large run stay whole until its end; from there on tasks become ever smaller, so that all
    threads end together.

    Args:
        rows: Images in the chunk.
        step: Images that must stay together.
        passes: By bundle: forward passes of one image.
        rest: What is left of the run.

    Yields:
        One part or more, that are all rows together.
    """
    each, left, threads = sum(passes), max(1, rest.passes), max(1, rest.threads)
    batches = math.ceil(rows / step)
    wanted = math.ceil(rows * each * _PARTS_A_THREAD * threads / left)
    parts = min(max(1, wanted), batches)
    bounds = [min(rows, step * (batches * i // parts)) for i in range(parts + 1)]
    for start, stop in itertools.pairwise(bounds):
        cost = (stop - start) * each
        yield Part(start, stop, _split(passes, cost * _TASKS_A_THREAD * threads // left))
        left = max(1, left - cost)


def _split(passes: Sequence[int], count: int) -> tuple[range, ...]:
    """Split bundles into at most ``count`` runs of about the same cost, at least one."""
    whole, before, last = sum(passes), 0, 0
    bounds = [0]
    for position, cost in enumerate(passes):
        # A bundle belongs to the run in which its middle lies.
        run = (2 * before + cost) * count // max(1, 2 * whole)
        if position and run > last:
            bounds.append(position)
        last, before = run, before + cost
    return tuple(itertools.starmap(range, itertools.pairwise([*bounds, len(passes)])))


def cut(
    prepared: Prepared,
    batch_sizes: Mapping[str, int],
    chunk: Chunk,
    units: Sequence[Unit],
    rest: Rest,
) -> Iterator[Task]:
    """Cut the units of a chunk into tasks, the longest first.

    Args:
        prepared: The run that is scored.
        batch_sizes: Images in a batch, by detector.
        chunk: Images to share out, with their rows in the manifest.
        units: Units of these images that are still needed.
        rest: What is left of the run.
    """
    table = prepared.manifest.table.take(chunk.rows)
    step = math.lcm(*(batch_sizes[unit.detector] for unit in units))
    together = step if _in_batches(prepared, units) else len(chunk.rows)
    bundles = _bundles(units, prepared.conditions)
    parts = list(shape(len(table), together, [b.passes for b in bundles], rest))
    for number, part in enumerate(parts):
        rows = table.slice(part.start, part.stop - part.start)
        for group in part.groups:
            own = tuple(unit for position in group for unit in bundles[position].units)
            if len(parts) == 1:
                yield Task(chunk.index, rows, own)
                continue
            probed = tuple(u for u in own if is_probed(prepared.conditions[u.condition].attack))
            if probed and number == 0:
                chosen = probe_candidates(
                    table["label"].to_pylist(), table["sample_id"].to_pylist()
                )
                yield Task(
                    chunk.index, table.take(chosen), probed, "probes", len(parts), len(parts)
                )
            yield Task(chunk.index, rows, own, "rows", number, len(parts))


def _bundles(units: Sequence[Unit], conditions: Mapping[str, Condition]) -> list[_Bundle]:
    """Group units that share work; bundles with the same corruptions come one after the other."""
    chains = {unit: conditions[unit.condition].source_chain for unit in units}
    places = {chain: place for place, chain in enumerate(dict.fromkeys(chains.values()))}
    labels = list(dict.fromkeys(unit.detector for unit in units))
    ranked = sorted(units, key=lambda u: (places[chains[u]], labels.index(u.detector)))
    return [
        _Bundle(tuple(group), sum(weight(conditions[unit.condition]) for unit in group))
        for _, together in itertools.groupby(ranked, key=lambda u: (chains[u], u.detector))
        for group in sharing_groups(list(together), conditions, free_clean=True)
    ]


def _in_batches(prepared: Prepared, units: Sequence[Unit]) -> bool:
    """Tell whether batches follow from the rows alone: every canvas has the size that the card says."""
    detectors = [prepared.detectors.get(label) for label in {unit.detector for unit in units}]
    return all(d is not None and d.fits_by_card and d.card.input.canvas for d in detectors)


@dataclass(slots=True)
class Assembly:
    """Outcomes of parts, kept until those of a whole unit are there.

    Attributes:
        conditions: By canonical spelling.
    """

    conditions: Mapping[str, Condition]
    _parts: dict[Unit, dict[int, Scored | Failed]] = field(default_factory=dict)
    _dropped: set[Unit] = field(default_factory=set)

    def add(self, task: Task, outcome: Scored | Failed) -> Iterator[Scored | Failed]:
        """Take an outcome of a task; give the unit's own once all of its parts are there.

        Where a part ended the detector's process, the parts behind it are not waited for.
        """
        unit = outcome.unit
        if task.role == "whole":
            yield outcome
        elif self.needs(task, unit):
            parts = self._parts.setdefault(unit, {})
            parts[task.part] = outcome
            probes = is_probed(self.conditions[unit.condition].attack)
            ended = _is_settled(parts)
            if ended:
                self._dropped.add(unit)
            if ended or len(parts) == task.parts + probes:
                del self._parts[unit]
                yield _joined([parts[number] for number in sorted(parts)], task.parts)

    def drop(self, task: Task) -> tuple[Unit, ...]:
        """Give up the parts of a task's units; returns those that were not given up before."""
        units = tuple(unit for unit in task.units if unit not in self._dropped)
        self._dropped.update(units)
        for unit in units:
            self._parts.pop(unit, None)
        return units

    def needs(self, task: Task, unit: Unit) -> bool:
        """Tell whether a unit of a task that is about to be sent is still to be scored that way."""
        return task.role == "whole" or unit not in self._dropped


def _is_settled(parts: Mapping[int, Scored | Failed]) -> bool:
    """Tell whether the first part that failed ended a process, and no part before it is missing."""
    for number, place in enumerate(sorted(parts)):
        outcome = parts[place]
        if isinstance(outcome, Failed):
            return bool(outcome.ended) and number == place
    return False


def _joined(outcomes: Sequence[Scored | Failed], parts: int) -> Scored | Failed:
    """Put the outcomes of one unit together; the first failure, in the order of the parts, is its own."""
    tables = []
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            return outcome
        tables.append(outcome.scores)
    whole = pa.concat_tables(tables[:parts]).combine_chunks()
    for probes in tables[parts:]:
        whole = _with_probes(whole, probes)
    return Scored(outcomes[0].unit, whole)


def _with_probes(whole: pa.Table, probes: pa.Table) -> pa.Table:
    places = {sample_id: row for row, sample_id in enumerate(whole["sample_id"].to_pylist())}
    rows = [places[sample_id] for sample_id in probes["sample_id"].to_pylist()]
    for name in PROBE_COLUMNS:
        values = np.full(len(whole), None, dtype=object)
        values[rows] = probes[name].to_pylist()
        column = pa.array(values.tolist(), SCHEMA.field(name).type)
        whole = whole.set_column(whole.column_names.index(name), name, column)
    return whole
