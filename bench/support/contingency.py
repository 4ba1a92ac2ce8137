"""Tests of whether two groups differ in counts, without importing ``scipy.stats`` where it can be helped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc


def independence_p(table: NDArray[np.float64]) -> float:
    """Give the p-value of Pearson's chi-squared test of independence, not corrected for continuity.

    Args:
        table: (2, k) counts, no row and no column of zeros.
    """
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return float(chdtrc(table.shape[1] - 1, statistic))


def exact_p(lost: Sequence[int], kept: Sequence[int]) -> float:
    """Give the p-value of Fisher's exact test of whether one group loses more than the other.

    Args:
        lost: Counts of what each of the two groups lost.
        kept: Counts of what each of them kept.

    Returns:
        A probability; 1 where nothing is lost.
    """
    if not any(lost):
        return 1.0
    from scipy.stats import fisher_exact  # noqa: PLC0415  (a second, and it is rarely needed)

    return float(fisher_exact([lost, kept]).pvalue)
