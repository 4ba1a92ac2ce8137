"""Chunks cut into parts where the work asks for it, and the outcomes of the parts put together again.

A part is a run of whole batches, so its images meet in the very batches of the whole chunk and every score
has the same bits. What is chosen among all images of a chunk, the probes of attacks, is a task of its own.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from bench.protocol.condition import Condition
from bench.runs.cluster.task import Task
from bench.runs.prepare import Prepared
from bench.scoring.outcomes import Failed, Scored
from bench.scoring.probes import is_probed, probe_candidates
from bench.store.shards import PROBE_COLUMNS, SCHEMA
from bench.store.units import Chunk, Unit, weight

# Tasks that a thread still gets of what is left: with fewer, some idle at the end while others work.
_TASKS_A_THREAD = 4

Work = Sequence[tuple[Chunk, Sequence[Unit]]]


def pieces(work: Work, conditions: Mapping[str, Condition], threads: int) -> Iterator[int]:
    """Choose into how many pieces each chunk is cut, by the forward passes that its units cost.

    Gradients count as the forward passes they cost; see :func:`shares`.

    Args:
        work: Chunks with their units, in the order in which they are sent.
        conditions: By canonical spelling.
        threads: Threads of all workers together.

    Yields:
        One number a chunk, at least 1.
    """
    costs = [len(c.rows) * sum(weight(conditions[u.condition]) for u in us) for c, us in work]
    yield from shares(costs, threads)


def shares(costs: Sequence[int], threads: int) -> Iterator[int]:
    """Choose into how many pieces each chunk is cut, by what each costs.

    A chunk is cut once its work is more than a thread's share of a quarter of what is left: chunks of a large
    run stay whole until its end.

    Args:
        costs: Forward passes of each chunk, in the order in which they are sent.
        threads: Threads of all workers together.

    Yields:
        One number a chunk, at least 1.
    """
    left = sum(costs)
    for cost in costs:
        yield max(1, math.ceil(cost * _TASKS_A_THREAD * max(1, threads) / max(1, left)))
        left -= cost


def cut(
    prepared: Prepared,
    batch_sizes: Mapping[str, int],
    chunk: Chunk,
    units: Sequence[Unit],
    count: int,
) -> Iterator[Task]:
    """Cut the units of a chunk into about ``count`` tasks, the longest first.

    Args:
        prepared: The run that is scored.
        batch_sizes: Images in a batch, by detector.
        chunk: Images to share out, with their rows in the manifest.
        units: Units of these images that are still needed.
        count: Tasks to aim at.
    """
    table = prepared.manifest.table.take(chunk.rows)
    step = math.lcm(*(batch_sizes[unit.detector] for unit in units))
    together = step if _in_batches(prepared, units) else len(chunk.rows)
    parts, by_detector = shape(len(chunk.rows), together, count)
    for group in _groups(units, by_detector=by_detector):
        if parts == 1:
            yield Task(chunk.index, table, group)
            continue
        probed = tuple(u for u in group if is_probed(prepared.conditions[u.condition].attack))
        if probed:
            rows = probe_candidates(table["label"].to_pylist(), table["sample_id"].to_pylist())
            yield Task(chunk.index, table.take(rows), probed, "probes", parts, parts)
        batches = math.ceil(len(table) / step)
        bounds = [min(len(table), step * (batches * i // parts)) for i in range(parts + 1)]
        for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
            part = table.slice(start, stop - start)
            yield Task(chunk.index, part, group, "rows", number, parts)


def shape(rows: int, step: int, count: int) -> tuple[int, bool]:
    """Choose how a chunk gives about ``count`` tasks: by rows as far as it can, then by detector too.

    Args:
        rows: Images in the chunk.
        step: Images that must stay together.
        count: Tasks to aim at.

    Returns:
        Parts of its rows, and whether each detector has tasks of its own.
    """
    parts = min(count, math.ceil(rows / step))
    return parts, parts < count


def _in_batches(prepared: Prepared, units: Sequence[Unit]) -> bool:
    """Tell whether batches follow from the rows alone: every canvas has the size that the card says."""
    detectors = [prepared.detectors.get(label) for label in {unit.detector for unit in units}]
    return all(d is not None and d.fits_by_card and d.card.input.canvas for d in detectors)


def _groups(units: Sequence[Unit], *, by_detector: bool) -> list[tuple[Unit, ...]]:
    groups: dict[str, list[Unit]] = {}
    for unit in units:
        groups.setdefault(unit.detector if by_detector else "", []).append(unit)
    return [tuple(group) for group in groups.values()]


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
