"""Many tests at once: Holm, Benjamini-Hochberg, and ranks that differences have to earn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray


def holm(p: Sequence[float]) -> NDArray[np.float64]:
    """Adjusted p that keep the chance of any false alarm at the level they are compared with.

    Args:
        p: Any number of p values; nan (not tested) stays nan and does not count.

    Source:
        Holm (1979), Scandinavian Journal of Statistics 6, 65-70.
    """
    return _adjusted(p, lambda n: n - np.arange(n, dtype=np.float64), np.maximum.accumulate)


def benjamini_hochberg(p: Sequence[float]) -> NDArray[np.float64]:
    """Adjusted p that keep the expected share of false alarms among alarms at the level.

    Args:
        p: Any number of p values; nan (not tested) stays nan and does not count.

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
    found = np.full(values.shape, np.nan)
    order = tested[np.argsort(values[tested], kind="stable")]
    found[order] = np.minimum(1.0, monotone(values[order] * factor(order.size)))
    return found


def rank_groups(values: Sequence[float], p: NDArray[np.float64], level: float = 0.05) -> list[int]:
    """Ranks that a difference has to earn: 1 + the number of entries significantly better.

    Args:
        values: (k,) estimates, larger is better; nan ranks nobody and is ranked 0.
        p: (k, k) symmetric adjusted p of no difference.
        level: Of significance.

    Returns:
        (k,) ranks; entries that no test tells apart from the best share rank 1.
    """
    estimates = np.asarray(values, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        better = (estimates[None, :] > estimates[:, None]) & (p < level)
    ranks = 1 + better.sum(axis=1)
    return [0 if np.isnan(v) else int(rank) for v, rank in zip(estimates, ranks, strict=True)]
