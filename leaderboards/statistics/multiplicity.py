"""Many tests at once: Holm, Benjamini-Hochberg, and ranks that differences have to earn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray


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
