"""Where a cell stops: its looks, replayed from the scores there are.

A cell is looked at after whole rounds of its own, and nothing but the scores of these rounds decides: so any
machine, any number of threads and a run that was killed stop at the same image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaderboards.statistics.sequential.precision import Precision
from leaderboards.tables.rounds.order import looks, positions
from leaderboards.tables.slicing import Slice, clusters_of

State = Literal["open", "target met", "all scored", "gate decided"]
SliceKey = tuple[str, str]


class Course(NamedTuple):
    """How far a cell has come.

    Attributes:
        look: Number of the look it has come to, from 0.
        end: Images at places below it are scored, or are to be.
        state: "open" while images below ``end`` are still to be scored.
        was_met: Whether the target was met at the look before.
    """

    look: int
    end: float
    state: State = "open"
    was_met: bool = False


class Scores(NamedTuple):
    """The scores there are of one detector under one condition.

    Attributes:
        logits: (n,) float32; nan where there is none.
        there: (n,) bool, whether an image was scored, or found to be unreadable.
        threshold: Logit above which an image is called fake.
    """

    logits: NDArray[np.float32]
    there: NDArray[np.bool_]
    threshold: float


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """How far each slice of a column was scored before its target was met.

    Attributes:
        places: (n,) place of every image in the order of scoring.
        ends: Generator and domain of a slice to the place it was scored up to.
        states: The same to why it stopped there.
    """

    places: NDArray[np.float64]
    ends: Mapping[SliceKey, float]
    states: Mapping[SliceKey, State]

    def part(self, cut: Slice) -> Slice:
        """Restrict a slice to the images it was scored on.

        A slice that had no target of its own, such as one of several pooled, has the images up to which
        every slice was scored: of each the same share.
        """
        end = self.ends.get((cut.generator, cut.domain), self.least)
        return replace(
            cut,
            real_rows=cut.real_rows[self.places[cut.real_rows] < end],
            fake_rows=cut.fake_rows[self.places[cut.fake_rows] < end],
        )

    @property
    def least(self) -> float:
        """Place up to which every slice was scored."""
        return min(self.ends.values(), default=float("inf"))

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Reach:
        """Keep the places of some images, by their numbers or by a mask over all."""
        return replace(self, places=self.places[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """The looks at every slice of a data set.

    Attributes:
        cuts: Slices of the samples.
        places: (n,) place of every image in the order of scoring.
        ends: For each slice, the places up to which it is scored before each look.
        clusters: (n,) codes of dependent images; None where there are none.
    """

    cuts: Sequence[Slice]
    places: NDArray[np.float64]
    ends: Sequence[Sequence[float]]
    clusters: NDArray[np.int64] | None

    @classmethod
    def of(cls, samples: pd.DataFrame, cuts: Sequence[Slice], seed: int) -> Looks:
        """Lay out the looks at slices of some samples, in the order that a seed gives."""
        ends = [looks(len(cut.real_rows), len(cut.fake_rows)) for cut in cuts]
        return cls(cuts, positions(samples, seed), ends, clusters_of(samples))

    def follow(
        self,
        number: int,
        scores: Scores,
        target: Precision,
        since: Course | None = None,
    ) -> Course:
        """Go from look to look as far as the scores allow.

        A cell stops where its target is met at two looks in a row: one alone is met too early where an
        error is underestimated by chance, and intervals near 0 and 1 would then hold the truth too seldom.

        Args:
            number: Which slice.
            scores: Scores of one detector under one condition.
            target: What is asked for.
            since: Where it had come to; the beginning by default.
        """
        cut, ends, logits = self.cuts[number], self.ends[number], scores.logits
        rows, labels = cut.rows, cut.labels
        places, arrived = self.places[rows], scores.there[rows]
        usable = ~np.isnan(logits[rows])
        since = since or Course(0, ends[0])
        was_met = since.was_met
        for position in range(since.look, len(ends)):
            end = ends[position]
            below = places < end
            if not arrived[below].all():
                return Course(position, end, "open", was_met)
            kept = below & usable
            dependent = None if self.clusters is None else self.clusters[rows[kept]]
            is_met = bool(kept.any()) and target.is_met(
                labels[kept], logits[rows[kept]], scores.threshold, dependent
            )
            if is_met and (was_met or position == len(ends) - 1):
                return Course(position, end, "target met", was_met)
            was_met = is_met
        return Course(len(ends) - 1, ends[-1], "all scored")

    def reach_of_all(self, there: NDArray[np.bool_]) -> Reach | None:
        """Say how far a column was scored whose slices went on together; None where nothing was."""
        missing = self.places[~there]
        end = float(missing.min()) if missing.size else float("inf")
        if not any((self.places[cut.rows] < end).any() for cut in self.cuts):
            return None
        return self.reach([Course(0, end, "gate decided")] * len(self.cuts))

    def reach(self, courses: Sequence[Course]) -> Reach:
        """Put the courses of all slices of one column together."""
        keys = [(cut.generator, cut.domain) for cut in self.cuts]
        return Reach(
            self.places,
            {key: course.end for key, course in zip(keys, courses, strict=True)},
            {key: course.state for key, course in zip(keys, courses, strict=True)},
        )
