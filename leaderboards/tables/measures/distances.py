"""How far images are from the nearest one that fools, as an attack that looks for it found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics.intervals import median_interval
from leaderboards.statistics.thresholds import called_fake

if TYPE_CHECKING:
    from leaderboards.tables.cells import ScoreColumn
    from leaderboards.tables.slicing import Slice


def distances_of(column: ScoreColumn, cut: Slice, threshold: float) -> NDArray[np.float64]:
    """Give how far the attacked images of a slice are from the nearest one that fools.

    Args:
        column: Scores under the attack.
        cut: Images to measure.
        threshold: Logit above which an image is called fake.

    Returns:
        (m,) in the attack's norm, units of [0, 1]: 0 where the image is judged wrongly as it is,
        infinite where nothing fools; (0,) where the attack looks for no distance.
    """
    sizes = column.linf if column.distance_norm == "linf" else column.l2
    if not column.distance_norm or sizes is None:
        return np.empty(0)
    lengths = np.asarray(sizes, dtype=np.float64)[cut.rows]
    wrong = called_fake(column.logits[cut.rows], threshold) != (cut.labels == 1)
    return np.where(wrong, lengths, np.inf)[~np.isnan(lengths)]


def median_distance(distances: NDArray[np.float64]) -> dict[str, float]:
    """Give the median of distances with its 95% interval; nothing where there are none."""
    if not distances.size:
        return {}
    low, high = median_interval(distances)
    return {
        "median_distance": float(np.median(distances)),
        "median_distance_lo": low,
        "median_distance_hi": high,
    }
