"""Counts of rows by group, and tests of whether two groups differ in them, without ``scipy.stats``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

# The column that says how many images a row stands for; a frame without it has a row an image.
IMAGES: Final = "images"


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


def weights_of(samples: pd.DataFrame) -> pd.Series | None:
    """Give how many images each row stands for; None where it is one."""
    return samples[IMAGES] if IMAGES in samples.columns else None


def image_count(samples: pd.DataFrame) -> int:
    """Count the images that the rows stand for."""
    weights = weights_of(samples)
    return len(samples) if weights is None else int(weights.sum())


def counted(values: Any, labels: Any, weights: pd.Series | None) -> pd.DataFrame:
    """Count images by value and class: a row a value, a column a label, both sorted.

    Args:
        values: (n,) one fact of each image.
        labels: (n,) 1 = AI-generated.
        weights: From ``weights_of``.
    """
    if weights is None:
        return pd.crosstab(values, labels)
    table = pd.crosstab(values, labels, values=weights, aggfunc="sum")
    return table.fillna(0).astype("int64")
