"""What one attack run says of every budget: robust accuracy by distance, success by queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaderboards.statistics.intervals import wilson
from leaderboards.statistics.thresholds import called_fake
from leaderboards.tables.cells import CLEAN, ScoreColumn, cell_state
from leaderboards.tables.measures.distances import distances_of, median_distance
from leaderboards.tables.slicing import Slice

DISTANCE_COLUMNS: Final = (
    "detector", "condition", "norm", "n", "never_fooled", "median_distance", "median_distance_lo",
    "median_distance_hi", "eps", "robust_accuracy", "robust_accuracy_lo", "robust_accuracy_hi",
)  # fmt: skip
QUERY_COLUMNS: Final = (
    "detector", "condition", "n", "queries", "success", "success_lo", "success_hi",
)  # fmt: skip
# Budgets that papers print, in units of [0, 1].
EPS: Final = {
    "linf": (0.0, 1 / 255, 2 / 255, 4 / 255, 8 / 255, 16 / 255),
    "l2": (0.0, 0.25, 0.5, 1.0, 2.0, 4.0),
}
QUERIES: Final = (1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
# Rounding that a float32 distance may exceed its budget by.
_TOLERANCE: Final = 1e-6


def robust_accuracy(
    everything: Slice, columns: Sequence[ScoreColumn], thresholds: Mapping[str, float]
) -> pd.DataFrame:
    """Measure the share of images that no change of length eps or less fools, from their distances.

    Args:
        everything: The pooled images.
        columns: Scores; only those of attacks that look for the smallest change are used.
        thresholds: Detector to the logit above which an image is called fake.

    Returns:
        Columns ``DISTANCE_COLUMNS``, a row a detector, attack and budget; eps 0 is clean accuracy.
        Intervals are Wilson's, and that of the median from order statistics; an infinite median
        means that half of the images or more were never fooled.
    """
    records: list[dict[str, Any]] = []
    for column in columns:
        part = column.part(everything)
        if not column.distance_norm or cell_state(column, part.rows).status != "ok":
            continue
        distances = distances_of(column, part, thresholds.get(column.detector, 0.0))
        if not distances.size:
            continue
        head = {
            "detector": column.detector, "condition": column.condition,
            "norm": column.distance_norm, "n": distances.size,
            "never_fooled": int(np.isinf(distances).sum()),
            **median_distance(distances),
        }  # fmt: skip
        for eps in EPS[column.distance_norm]:
            robust = int((distances > eps + _TOLERANCE * max(eps, 1)).sum())
            records.append(
                {**head, "eps": eps, **_share("robust_accuracy", robust, distances.size)}
            )
    return pd.DataFrame(records, columns=list(DISTANCE_COLUMNS))


def success_by_queries(
    everything: Slice, columns: Sequence[ScoreColumn], thresholds: Mapping[str, float]
) -> pd.DataFrame:
    """Count what an attacker has fooled after so many queries, from one run to the last of them.

    Args:
        everything: The pooled images.
        columns: Scores; only those of query attacks that stop at success are used, where the clean
            ones are there too.
        thresholds: Detector to the logit above which an image is called fake.

    Returns:
        Columns ``QUERY_COLUMNS``, a row a detector, attack and number of queries: of the attacked
        images that are judged rightly when clean, the share fooled by then, with Wilson's interval.
    """
    clean = {c.detector: c for c in columns if c.condition == CLEAN}
    records: list[dict[str, Any]] = []
    for column in columns:
        before = clean.get(column.detector)
        if not column.counts_queries or column.steps is None or before is None:
            continue
        part = before.part(column.part(everything))
        rows, fake = part.rows, part.labels == 1
        if any(cell_state(each, rows).status != "ok" for each in (column, before)):
            continue
        threshold = thresholds.get(column.detector, 0.0)
        steps: NDArray[np.float64] = np.asarray(column.steps, dtype=np.float64)[rows]
        right = (called_fake(before.logits[rows], threshold) == fake) & ~np.isnan(steps)
        wrong = called_fake(column.logits[rows], threshold) != fake
        needed = np.where(wrong, steps, np.inf)[right]
        if not needed.size:
            continue
        longest = float(steps[right].max())
        marks = [number for number in QUERIES if number < longest]
        for queries in [*marks, int(longest)]:
            share = _share("success", int((needed <= queries).sum()), needed.size)
            head = {"detector": column.detector, "condition": column.condition}
            records.append({**head, "n": needed.size, "queries": queries, **share})
    return pd.DataFrame(records, columns=list(QUERY_COLUMNS))


def _share(name: str, k: int, n: int) -> dict[str, float]:
    low, high = wilson(k, n)
    return {name: k / n, f"{name}_lo": low, f"{name}_hi": high}
