"""One sort of a cell's scores, from which every rank statistic follows.

AUC, average precision and DeLong's variance all depend only on how many real and fake scores share
each distinct value, and in which order the values come. So a cell is sorted once, ties are counted
exactly, and each statistic is a short sum over the distinct values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Placements(NamedTuple):
    """Placement values of both classes by distinct score, each of shape (g,), float64 in [0, 1]."""

    fake: NDArray[np.float64]
    real: NDArray[np.float64]


class Ranking(Protocol):
    """What rank statistics ask of sorted scores, wherever these lie; ``TieGroups`` says what each is."""

    @property
    def n_real(self) -> int:
        """Number of real images."""

    @property
    def n_fake(self) -> int:
        """Number of fake images."""

    def auc(self) -> float:
        """Compute the area under the ROC curve."""

    def squares(self, auc: float) -> tuple[float, float]:
        """Sum the squared distances of placements from an area, over fakes and over reals."""

    def average_precision(self) -> float:
        """Average precision over the scores of the fakes."""

    def fakes_above(self, allowed: int) -> int:
        """Count the fakes strictly above the real that would be one too many."""


@dataclass(frozen=True, slots=True, eq=False)
class TieGroups:
    """Scores of both classes counted by distinct value, in ascending order of value.

    Attributes:
        real: (g,) int64, how many real images have the value.
        fake: (g,) int64, how many fake images have it.
        starts: (g,) int64, where each group starts in ``order``.
        order: (n,) int64, the input's indices in ascending order of score.
    """

    real: NDArray[np.int64]
    fake: NDArray[np.int64]
    starts: NDArray[np.int64]
    order: NDArray[np.int64]

    @property
    def n_real(self) -> int:
        """Number of real images."""
        return int(self.real.sum())

    @property
    def n_fake(self) -> int:
        """Number of fake images."""
        return int(self.fake.sum())

    def auc(self) -> float:
        """Compute the area under the ROC curve, ties counted as one half; nan with a single class.

        The count of ordered pairs is an integer number of halves, so the value is exact up to one
        division.
        """
        n_real, n_fake = self.n_real, self.n_fake
        if not n_real or not n_fake:
            return float("nan")
        real_below = np.cumsum(self.real) - self.real
        halves = int(np.sum(self.fake * (2 * real_below + self.real)))
        return halves / (2 * n_real * n_fake)

    def average_precision(self) -> float:
        """Average precision over the scores of the fakes, without interpolation; nan with one class.

        Tied scores enter together, as in scikit-learn's ``average_precision_score``.
        """
        n_real, n_fake = self.n_real, self.n_fake
        if not n_real or not n_fake:
            return float("nan")
        fake = self.fake[::-1]
        called = np.cumsum(fake + self.real[::-1])
        return float(np.sum(fake * (np.cumsum(fake) / called)) / n_fake)

    def placements(self) -> Placements:
        """Compute the placement values of DeLong, DeLong and Clarke-Pearson (1988), section 2.

        Returns:
            For each distinct score, the share of reals below it (what a fake there scores) and the
            share of fakes above it (what a real there scores), ties counted as one half. Both
            classes must be present.
        """
        real_below = np.cumsum(self.real) - 0.5 * self.real
        fake_above = self.n_fake - np.cumsum(self.fake) + 0.5 * self.fake
        return Placements(fake=real_below / self.n_real, real=fake_above / self.n_fake)

    def squares(self, auc: float) -> tuple[float, float]:
        """Sum the squared distances of placements from an area, over fakes and over reals."""
        placed = self.placements()
        return (
            float(np.sum(self.fake * (placed.fake - auc) ** 2)),
            float(np.sum(self.real * (placed.real - auc) ** 2)),
        )

    def fakes_above(self, allowed: int) -> int:
        """Count the fakes strictly above the real that would be one too many."""
        reals_at_or_above = np.cumsum(self.real[::-1])
        cut = int(np.searchsorted(reals_at_or_above, allowed, side="right"))
        return int(self.fake[::-1][:cut].sum())


def is_fake_mask(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Turn labels into a mask, true for fakes.

    Args:
        labels: (n,) integers or booleans, 1 = AI-generated.

    Raises:
        ValueError: A label other than 0 or 1, or not one dimension.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"labels must have one dimension, got shape {labels.shape}")
    fake = np.asarray(labels == 1, dtype=bool)
    odd = ~(fake | np.asarray(labels == 0, dtype=bool))
    if odd.any():
        raise ValueError(
            f"labels must be 0 (real) or 1 (AI-generated), got {labels[odd].tolist()[0]!r}"
        )
    return fake


def tie_groups(fake: NDArray[np.bool_], logits: NDArray[Any]) -> TieGroups:
    """Sort scores once and count both classes by distinct value.

    Args:
        fake: (n,) bool, true for fakes.
        logits: (n,) floating point, finite; larger means more surely AI-generated.

    Raises:
        ValueError: Shapes that differ, or a score that is not finite.
    """
    logits = np.asarray(logits)
    if logits.shape != fake.shape:
        raise ValueError(f"{fake.shape} labels but {logits.shape} logits: one logit a label")
    finite = np.isfinite(logits)
    if not finite.all():
        raise ValueError(
            f"{np.count_nonzero(~finite)} of {logits.size} logits are NaN or infinite; "
            "leave the cell out, never rank what was not scored"
        )
    order = np.argsort(logits)
    ordered = logits[order]
    first = np.ones(logits.size, dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(first)
    total = np.diff(starts, append=logits.size)
    fakes_before = np.concatenate(([0], np.cumsum(fake[order], dtype=np.int64)))
    fakes = np.diff(fakes_before[np.append(starts, logits.size)])
    return TieGroups(real=total - fakes, fake=fakes, starts=starts, order=order)


def join_codes(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Put together what either of two codings puts together, over any number of steps.

    Args:
        one: (n,) non-negative codes.
        other: (n,) non-negative codes of the same items.

    Returns:
        (n,) codes.

    Example:
        >>> join_codes(np.array([0, 0, 1, 2]), np.array([5, 6, 6, 7])).tolist()
        [0, 0, 0, 1]
    """
    if np.unique(other).size == other.size:
        return one
    # Most boards have no two families of groups to join.
    from scipy.sparse import coo_array  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    n_one = int(one.max(initial=-1)) + 1
    n = n_one + int(other.max(initial=-1)) + 1
    links = coo_array((np.ones(one.size, dtype=bool), (one, n_one + other)), shape=(n, n))
    _, component = connected_components(links, directed=False)
    return np.asarray(component[one], dtype=np.int64)


def tied_pairs(labels: NDArray[Any], logits: NDArray[np.float32]) -> float:
    """Give the share of pairs of a real and an AI-generated image with equal scores; 0 where there is none.

    Args:
        labels: (n,) 1 = AI-generated.
        logits: (n,) scores; nan is left out.

    Example:
        >>> tied_pairs(np.array([0, 0, 1, 1]), np.array([1, 2, 2, 3], dtype=np.float32))
        0.25
    """
    finite = np.isfinite(logits)
    reals, fakes = (logits[finite & (labels == label)] for label in (0, 1))
    if not reals.size or not fakes.size:
        return 0.0
    values, counts = np.unique(reals, return_counts=True)
    places = np.searchsorted(values, fakes).clip(max=len(values) - 1)
    n_ties = int(counts[places][values[places] == fakes].sum())
    return n_ties / (int(reals.size) * int(fakes.size))
