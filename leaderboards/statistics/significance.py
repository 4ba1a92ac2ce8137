"""What a difference must earn: McNemar's exact test, Holm and Benjamini-Hochberg for many tests, ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr


class McNemar(NamedTuple):
    """Result of an exact McNemar test.

    Attributes:
        lost: Images only the baseline had right.
        won: Images only the candidate has right.
        p_two_sided: P value of "no difference".
        p_drop: One-sided p value of "the candidate is no worse".
    """

    lost: int
    won: int
    p_two_sided: float
    p_drop: float


def mcnemar(baseline: NDArray[np.bool_], candidate: NDArray[np.bool_]) -> McNemar:
    """Test two sets of verdicts on the same images exactly.

    The p value is ``2 P(X <= min(lost, won))`` for X binomial in ``lost + won`` trials of 1/2, at most 1.

    Args:
        baseline: (n,) whether the baseline is right.
        candidate: (n,) whether the candidate is.

    Example:
        >>> right = np.array([True, True, True, True, False])
        >>> mcnemar(right, ~right)
        McNemar(lost=4, won=1, p_two_sided=0.375, p_drop=0.1875)

    Source:
        McNemar (1947), Psychometrika 12, 153-157; the binomial form, no continuity correction.
    """
    lost = int(np.count_nonzero(baseline & ~candidate))
    won = int(np.count_nonzero(~baseline & candidate))
    n = lost + won
    if n == 0:
        return McNemar(0, 0, 1.0, 1.0)
    # P(at most so many of n fair coins).
    two_sided = min(1.0, 2 * float(bdtr(min(lost, won), n, 0.5)))
    return McNemar(lost, won, two_sided, float(bdtr(won, n, 0.5)))


def holm(p: Sequence[float]) -> NDArray[np.float64]:
    """Adjust p values so that the chance of any false alarm is at most the level they are held against.

    The k-th smallest of m becomes ``max over j <= k of (m - j + 1) p_(j)``, at most 1.

    Args:
        p: Any number of p values; nan (not tested) stays nan and does not count.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
        [0.03, 0.06, 0.06]

    Source:
        Holm (1979), Scandinavian Journal of Statistics 6, 65-70.
    """
    return _adjusted(p, lambda n: n - np.arange(n, dtype=np.float64), np.maximum.accumulate)


def benjamini_hochberg(p: Sequence[float]) -> NDArray[np.float64]:
    """Adjust p values so that the expected share of false alarms among alarms is at most the level.

    The k-th smallest of m becomes ``min over j >= k of (m / j) p_(j)``, at most 1.

    Args:
        p: Any number of p values; nan (not tested) stays nan and does not count.

    Example:
        >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
        [0.03, 0.04, 0.04]

    Source:
        Benjamini and Hochberg (1995), Journal of the Royal Statistical Society B 57, 289-300.
    """

    def from_the_end(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.minimum.accumulate(values[::-1])[::-1]

    return _adjusted(p, lambda n: n / np.arange(1, n + 1), from_the_end)


def _adjusted(
    p: Sequence[float],
    factor: Callable[[int], NDArray[np.float64]],
    monotone: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> NDArray[np.float64]:
    values = np.asarray(p, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(values))
    adjusted = np.full(values.shape, np.nan)
    order = tested[np.argsort(values[tested], kind="stable")]
    adjusted[order] = np.minimum(1.0, monotone(values[order] * factor(order.size)))
    return adjusted


def rank_groups(values: Sequence[float], p: NDArray[np.float64], level: float = 0.05) -> list[int]:
    """Rank by significant differences only: 1 + the number of entries significantly better.

    Args:
        values: (k,) estimates, larger is better; nan ranks nobody and is ranked 0.
        p: (k, k) adjusted p values of "no difference", symmetric.
        level: Level of significance, in (0, 1).

    Returns:
        (k,) ranks; entries that no test tells apart from the best share rank 1.

    Example:
        >>> p = np.array([[1.0, 0.4, 0.01], [0.4, 1.0, 0.2], [0.01, 0.2, 1.0]])
        >>> rank_groups([0.9, 0.85, 0.8], p)
        [1, 1, 2]
    """
    estimates = np.asarray(values, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        better = (estimates[None, :] > estimates[:, None]) & (p < level)
    ranks = 1 + better.sum(axis=1)
    return [0 if np.isnan(v) else int(rank) for v, rank in zip(estimates, ranks, strict=True)]
