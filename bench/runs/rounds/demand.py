"""What the cells of a run need next: the units of one round, asked for by the scores of those before."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.runs.prepare import Prepared
from bench.runs.settled import Settled
from bench.store.units import Chunk, Plan, Unit
from leaderboards import CLEAN
from leaderboards.statistics.sequential.precision import Precision
from leaderboards.tables.rounds.stopping import Course, Looks, Scores

Column = tuple[str, str]


@dataclass(slots=True, eq=False)
class _Scores:
    """What is known so far of one detector under one condition.

    Attributes:
        logits: (n,) float32 in the order of the chunks; nan where there is none.
        there: (n,) whether an image was scored, or found to be unreadable.
        courses: How far each slice has come; one that is not open stays as it is.
        units: By chunk.
        read: Chunks whose scores are in ``logits``.
    """

    logits: NDArray[np.float32]
    there: NDArray[np.bool_]
    courses: list[Course]
    units: Mapping[int, Unit]
    read: set[int] = field(default_factory=set)

    @property
    def is_open(self) -> bool:
        return any(course.state == "open" for course in self.courses)


@dataclass(slots=True, eq=False)
class Demand:
    """The rounds of a run that stops at a target.

    Attributes:
        prepared: Run with everything looked up, of which units are asked for.
        settled: Thresholds that it has settled.
        plan: Every unit there may be.
        given_up: Whether a cell has failed, by one of its units: it needs nothing any more.
    """

    prepared: Prepared
    settled: Settled
    plan: Plan
    given_up: Callable[[Unit], bool]
    _columns: dict[Column, _Scores] = field(init=False)

    def __post_init__(self) -> None:
        looks, n = self._looks, len(self.prepared.rows)
        units: dict[Column, dict[int, Unit]] = {}
        for unit in self.plan.units:
            units.setdefault((unit.detector, unit.condition), {})[unit.chunk] = unit
        start = [Course(0, ends[0]) for ends in looks.ends]
        self._columns = {
            column: _Scores(np.full(n, np.nan, np.float32), np.zeros(n, bool), list(start), of)
            for column, of in units.items()
        }

    @property
    def _looks(self) -> Looks:
        assert self.prepared.looks is not None
        return self.prepared.looks

    @property
    def _target(self) -> Precision:
        target = self.prepared.request.until
        assert isinstance(target, Precision)
        return target

    @property
    def n_cells(self) -> int:
        """Count the cells of the whole run."""
        return len(self._columns) * len(self._looks.cuts)

    @property
    def n_open(self) -> int:
        """Count the cells that still need scores."""
        return sum(course.state == "open" for scores in self._open() for course in scores.courses)

    def rounds(self) -> Iterator[Mapping[int, Sequence[Unit]]]:
        """Ask for scores, round by round; each is to be stored, or to have failed, before the next is taken.

        Yields:
            Units by chunk, one entry a chunk.

        Raises:
            ShardDamagedError: Stored scores are damaged; they have been set aside.
        """
        bounds = np.cumsum([0, *(len(chunk.rows) for chunk in self.plan.chunks)])
        places = self._looks.places
        first = [float(places[start:stop].min()) for start, stop in itertools.pairwise(bounds)]
        members = self._members(bounds)
        while True:
            asked = self._needed_columns(members, first)
            if not any(chunks for _, chunks in asked):
                return
            needed: dict[int, list[Unit]] = {chunk.index: [] for chunk in self.plan.chunks}
            for column, chunks in asked:
                for index in chunks:
                    needed[index].append(self._columns[column].units[index])
            yield needed
            for column, chunks in asked:
                self._read(self._columns[column], chunks, bounds)
                self._follow(column, self._columns[column])

    def _needed_columns(
        self, members: Sequence[NDArray[np.bool_]], first: Sequence[float]
    ) -> list[tuple[Column, list[int]]]:
        """List the chunks that each column needs for its open slices and has not read."""
        chunks: dict[Column, set[int]] = {}
        for column, scores in self._columns.items():
            if not scores.is_open or self.given_up(scores.units[0]):
                continue
            wanted = {
                index
                for course, of_slice in zip(scores.courses, members, strict=True)
                if course.state == "open"
                for index in np.flatnonzero(of_slice).tolist()
                if first[index] < course.end
            }
            chunks.setdefault(column, set()).update(wanted)
            # What an attack does is told beside the verdicts on the same images, clean.
            beside = (column[0], CLEAN)
            if self.prepared.conditions[column[1]].attack is not None and beside in self._columns:
                chunks.setdefault(beside, set()).update(wanted)
        return [
            (column, sorted(chunks[column] - self._columns[column].read))
            for column in self._columns
            if column in chunks
        ]

    def _members(self, bounds: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
        """For each slice, which chunks hold images of it."""
        owner = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        members = []
        for cut in self._looks.cuts:
            member = np.zeros(len(bounds) - 1, dtype=bool)
            member[owner[cut.rows]] = True
            members.append(member)
        return members

    def _open(self) -> Iterator[_Scores]:
        for scores in self._columns.values():
            if scores.is_open and not self.given_up(scores.units[0]):
                yield scores

    def _read(self, scores: _Scores, chunks: Sequence[int], bounds: NDArray[np.int64]) -> None:
        """Take up the stored scores of some chunks."""
        store, ids = self.prepared.store, self.prepared.manifest.table["sample_id"]
        for index in chunks:
            unit, chunk = scores.units[index], self._chunk(index)
            scores.read.add(index)
            if not store.has(unit.fingerprint):
                continue  # the cell has failed
            shard = store.read(unit.fingerprint, ids.take(chunk.rows).combine_chunks())
            rows = slice(int(bounds[index]), int(bounds[index + 1]))
            scores.logits[rows] = shard["logit"].to_numpy()
            scores.there[rows] = True

    def _chunk(self, index: int) -> Chunk:
        return self.plan.chunks[index]

    def _follow(self, column: Column, scores: _Scores) -> None:
        """Go on to the next look of every open slice that has all it needs."""
        if self.given_up(scores.units[0]):
            return
        known = Scores(scores.logits, scores.there, self.settled.threshold(column[0]))
        scores.courses = [
            course
            if course.state != "open"
            else self._looks.follow(number, known, self._target, course)
            for number, course in enumerate(scores.courses)
        ]
