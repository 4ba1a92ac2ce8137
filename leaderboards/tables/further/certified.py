"""Certified accuracy: how many images keep their right verdict under every change up to an L2 radius."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from leaderboards.statistics.intervals import clopper_pearson_lower, wilson
from leaderboards.tables.cells import ScoreColumn, cell_state
from leaderboards.tables.slicing import Slice, pool

CERTIFIED_COLUMNS: Final = (
    "detector", "condition", "class", "radius", "n", "accuracy", "accuracy_lo", "accuracy_hi", "abstained",
)  # fmt: skip
CLASSES: Final = (("all", None), ("real", 0), ("fake", 1))
# Radii of the curve, as a share of the noise.
_STEP: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """One certificate, as far as a board needs to know it.

    Attributes:
        sigma: Standard deviation of the noise, in units of [0, 1].
        n: Copies that certify.
        n0: Copies that choose the verdict.
        alpha: Chance, for each image, that its certificate is wrong.
    """

    sigma: float
    n: int
    n0: int
    alpha: float

    def describe(self) -> str:
        """Write the certificate in words."""
        return (
            f"noise {self.sigma:g}, {self.n0} + {self.n} forward passes an image, each certificate wrong "
            f"with probability {self.alpha:g} at most"
        )

    @property
    def largest(self) -> float:
        """The radius of an image whose copies all agree: none can have a larger one."""
        return self.sigma * float(ndtri(self.alpha ** (1 / self.n)))


class Certificates(NamedTuple):
    """What is certified of each of n images.

    Attributes:
        verdict: (n,) 1 = fake, 0 = real, -1 = none: the copies do not agree enough.
        radius: (n,) L2 radius below which no change turns the verdict, in units of [0, 1]; 0 where none.
    """

    verdict: NDArray[np.int64]
    radius: NDArray[np.float64]


def certificates(pilot: NDArray[Any], votes: NDArray[Any], facts: CertificateFacts) -> Certificates:
    """Certify every image from its votes, as Cohen, Rosenfeld and Kolter 2019 do (algorithm CERTIFY).

    The candidate is the verdict of most pilot copies, ties to *real*. With the one-sided bound p of its share
    among the other copies, the radius is ``sigma * Phi^-1(p)`` where p > 1/2.

    Args:
        pilot: (m,) copies among ``n0`` that were called fake.
        votes: (m,) copies among ``n`` that were called fake.
        facts: The noise and the numbers of copies.

    Example:
        >>> facts = CertificateFacts(sigma=0.25, n=1000, n0=100, alpha=0.001)
        >>> verdict, radius = certificates(np.array([100, 50]), np.array([1000, 510]), facts)
        >>> verdict.tolist(), radius.round(3).tolist()
        ([1, -1], [0.616, 0.0])
    """
    fake = np.asarray(pilot, dtype=np.float64) * 2 > facts.n0
    agreeing = np.where(fake, votes, facts.n - np.asarray(votes, dtype=np.float64))
    share = clopper_pearson_lower(agreeing, facts.n, 1 - facts.alpha)
    certain = share > 0.5
    radius = np.where(certain, facts.sigma * ndtri(share), 0.0)
    return Certificates(np.where(certain, fake.astype(np.int64), -1), radius)


def certified(
    samples: pd.DataFrame,
    cuts: Sequence[Slice],
    columns: Sequence[ScoreColumn],
    facts: Mapping[str, CertificateFacts],
) -> pd.DataFrame:
    """Measure certified accuracy over the radius, every image counted once.

    Args:
        samples: One row an image.
        cuts: Slices of the samples; an image that is in none does not count.
        columns: Score columns; those without votes are passed over.
        facts: Condition to its certificate.

    Returns:
        Columns ``CERTIFIED_COLUMNS``: a row a detector, condition, class and radius, from 0 up to the
        largest that the number of copies allows. ``accuracy`` is the share of the images whose certified
        verdict is right and holds at the radius, with Wilson's 95% interval; an abstention counts as wrong.
    """
    records: list[dict[str, Any]] = []
    everything = pool(samples, cuts)
    for column in columns:
        if column.condition not in facts or column.votes is None or column.pilot_votes is None:
            continue
        rows, certificate = everything.rows, facts[column.condition]
        votes, pilot = column.votes[rows], column.pilot_votes[rows]
        if cell_state(column, rows).status != "ok" or np.isnan(votes).any():
            continue
        given = certificates(pilot, votes, certificate)
        radii = np.arange(0.0, certificate.largest, _STEP * certificate.sigma)
        for name, label in CLASSES:
            chosen = np.isin(everything.labels, [0, 1] if label is None else [label])
            right = chosen & (given.verdict == everything.labels)
            n = int(chosen.sum())
            for radius in radii if n else []:
                k = int(np.count_nonzero(right & (given.radius >= radius)))
                lo, hi = wilson(k, n)
                abstained = float((given.verdict[chosen] < 0).mean())
                values = (
                    column.detector,
                    column.condition,
                    name,
                    float(radius),
                    n,
                    k / n,
                    lo,
                    hi,
                    abstained,
                )
                records.append(dict(zip(CERTIFIED_COLUMNS, values, strict=True)))
    return pd.DataFrame(records, columns=list(CERTIFIED_COLUMNS))
