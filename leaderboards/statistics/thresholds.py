"""The decision rule, and thresholds chosen from scores: by balanced accuracy, or for an error rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics.ranking import is_fake_mask, tie_groups


def called_fake(logits: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """Call fake every image whose logit lies strictly above the threshold.

    Args:
        logits: (n,) floating point.
        threshold: On the logit scale. Compared in float64, so a threshold is never rounded to the
            precision of the scores.

    Example:
        >>> called_fake(np.array([-1.0, 0.0, 2.0]), 0.0).tolist()
        [False, False, True]
    """
    return np.asarray(logits).astype(np.float64) > threshold


def best_balanced_accuracy(labels: NDArray[Any], logits: NDArray[Any]) -> float:
    """Choose the threshold of largest balanced accuracy: ``argmax over t of TP(t)/n_fake + TN(t)/n_real``.

    It lies half-way between two scores.
    Where several do equally well, the one nearest to logit 0, where the detector was trained to
    decide.

    Args:
        labels: (n,) 0 or 1, both present.
        logits: (n,) finite.

    Raises:
        ValueError: A single class.

    Example:
        >>> best_balanced_accuracy(np.array([0, 0, 1, 1]), np.array([-3.0, 1.0, 2.0, 5.0]))
        1.5
    """
    fake = is_fake_mask(labels)
    groups = tie_groups(fake, logits)
    if not groups.n_real or not groups.n_fake:
        raise ValueError("it holds a single class; a threshold needs real and fake images")
    values = np.asarray(logits, dtype=np.float64)[groups.order[groups.starts]]
    between = (values[1:] + values[:-1]) / 2
    candidates = np.concatenate(([values[0] - 1], between, [values[-1] + 1]))
    real_below = np.concatenate(([0], np.cumsum(groups.real)))
    fake_above = groups.n_fake - np.concatenate(([0], np.cumsum(groups.fake)))
    # In whole numbers, so that equal is equal.
    score = real_below * groups.n_fake + fake_above * groups.n_real
    # Any point of a gap does equally well: where the best gap holds 0, take 0 itself.
    if score[np.searchsorted(values, 0.0, side="right")] == score.max():
        return 0.0
    best = candidates[score == score.max()]
    return float(best[np.argmin(np.abs(best))])


def at_false_positive_rate(labels: NDArray[Any], logits: NDArray[Any], fpr: float) -> float:
    """Choose the lowest threshold that calls at most a share ``fpr`` of the reals fake.

    The score of the real that is number ``floor(fpr n_real) + 1`` from the highest.

    Args:
        labels: (n,) 0 or 1; only the reals count.
        logits: (n,) finite.
        fpr: In (0, 1).

    Raises:
        ValueError: Too few reals to set so low a rate.

    Example:
        >>> at_false_positive_rate(np.zeros(10), np.arange(10.0), fpr=0.2)
        7.0
    """
    reals = np.sort(np.asarray(logits, dtype=np.float64)[~is_fake_mask(labels)])[::-1]
    if reals.size * fpr < 1:
        raise ValueError(
            f"it holds {reals.size} real images; a false-positive rate of {fpr:g} needs "
            f"{math.ceil(1 / fpr)}"
        )
    return float(reals[math.floor(fpr * reals.size + 1e-9)])
