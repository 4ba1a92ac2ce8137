"""The looks of a run that stopped at a target, repeated from its scores alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.protocol.cuts import cut_samples
from bench.protocol.until import Until, parse_until
from bench.store.run_shards import StoredScores
from bench.store.run_spec import RunSpec
from leaderboards.statistics.sequential.precision import Precision
from leaderboards.tables.rounds.stopping import Looks, Reach, Scores


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """The looks at the slices of a run.

    Attributes:
        looks: Every look there may be.
        target: Where a cell stops.
        ids: (n,) ids of the images.
    """

    looks: Looks
    target: Until
    ids: NDArray[np.object_]

    @classmethod
    def of(cls, spec: RunSpec, samples: pd.DataFrame) -> Replay | None:
        """Lay out the looks of a run; None where it was to score everything.

        Args:
            spec: Request of the run, as its folder records it.
            samples: Every selected image, those that cannot be read among them.
        """
        if not spec.until:
            return None
        cuts = cut_samples(
            samples, spec.suite.slices, spec.pairing,
            dataset=spec.dataset, split=spec.split, matched=spec.suite.pairing == "matched",
        )  # fmt: skip
        looks = Looks.of(samples, cuts, spec.seed)
        return cls(looks, parse_until(spec.until), samples["sample_id"].to_numpy(dtype=object))

    def reach(self, stored: StoredScores, threshold: float) -> Reach | None:
        """Say how far each slice of one column was to be scored."""
        there = ~np.isnan(stored.logits) | np.isin(self.ids, list(stored.bad))
        target = self.target
        if not isinstance(target, Precision):
            return self.looks.reach_of_all(there)
        scores = Scores(stored.logits, there, threshold)
        numbers = range(len(self.looks.cuts))
        return self.looks.reach([self.looks.follow(n, scores, target) for n in numbers])


def open_slices(reach: Reach) -> int:
    """Count the slices of a column whose next round is not scored yet."""
    return sum(state == "open" for state in reach.states.values())
