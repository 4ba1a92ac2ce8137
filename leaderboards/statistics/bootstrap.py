"""The paired bootstrap: whole resamples at once as a matrix of weights, shared by all that is compared.

A resample of n images is a row of n weights (how often each was drawn). Two detectors under the same
rows are paired; cells with the same images may share the rows too. Without clusters each class is
resampled apart, as the data were gathered; with clusters, whole clusters are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics.intervals import NAN
from leaderboards.statistics.ranking import is_fake_mask
from leaderboards.statistics.thresholds import called_fake

Weights = NDArray[np.float32]
# (labels (n,), logits (n,), weights (b, n), threshold) -> (b,) float64, nan where undefined.
Statistic = Callable[[NDArray[Any], NDArray[Any], Weights, float], NDArray[np.float64]]


def resamples(
    strata: NDArray[Any],
    n_resamples: int,
    seed: int,
    clusters: NDArray[np.int64] | None = None,
) -> Weights:
    """Draw resamples with replacement, and count how often each image is in each.

    Args:
        strata: (n,) labels, or codes of whatever was gathered apart.
        n_resamples: Number of resamples, a row each.
        seed: The same seed gives the same rows.
        clusters: (n,) codes; whole clusters are drawn. None: images, each stratum apart.

    Returns:
        (n_resamples, n) float32 whole numbers.

    Example:
        >>> weights = resamples(np.array([0, 0, 1]), n_resamples=2, seed=0)
        >>> weights.sum(axis=1).tolist(), weights[:, 2].tolist()
        ([3.0, 3.0], [1.0, 1.0])

    Source:
        Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapters 6 and 8.
    """
    rng = np.random.default_rng(seed)
    if clusters is not None:
        _, codes = np.unique(clusters, return_inverse=True)
        return np.ascontiguousarray(_drawn(rng, int(codes.max()) + 1, n_resamples)[:, codes])
    weights = np.empty((n_resamples, len(strata)), dtype=np.float32)
    for mask in (strata == code for code in np.unique(strata)):
        weights[:, mask] = _drawn(rng, int(np.count_nonzero(mask)), n_resamples)
    return weights


def _drawn(rng: np.random.Generator, n: int, rows: int) -> Weights:
    if not n:
        return np.zeros((rows, 0), dtype=np.float32)
    drawn = rng.integers(0, n, size=(rows, n), dtype=np.int32)
    drawn += np.arange(rows, dtype=np.int32)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float32)


class _Counts(NamedTuple):
    """Weighted counts in every resample, (b,) float64 each."""

    tp: NDArray[np.float64]
    fp: NDArray[np.float64]
    n_fake: NDArray[np.float64]
    n_real: NDArray[np.float64]


def _counts(
    labels: NDArray[Any], logits: NDArray[Any], weights: Weights, threshold: float
) -> _Counts:
    fake, called = is_fake_mask(labels), called_fake(logits, threshold)
    parts = np.stack([fake & called, ~fake & called, fake, ~fake], axis=1).astype(np.float32)
    # Sums of small whole numbers: exact in float32 below 2**24 images.
    return _Counts(*(weights @ parts).astype(np.float64).T)


def _ratio(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(b > 0, a / b, NAN)


def weighted_accuracy(
    labels: NDArray[Any], logits: NDArray[Any], weights: Weights, threshold: float
) -> NDArray[np.float64]:
    """Compute accuracy in every resample: ``(TP + TN) / n``; see ``Statistic``.

    Example:
        >>> labels, logits = np.array([0, 1]), np.array([1.0, 2.0])
        >>> weighted_accuracy(labels, logits, np.array([[1, 1], [0, 2]], np.float32), 0.0).tolist()
        [0.5, 1.0]
    """
    c = _counts(labels, logits, weights, threshold)
    return _ratio(c.tp + c.n_real - c.fp, c.n_fake + c.n_real)


def weighted_balanced_accuracy(
    labels: NDArray[Any], logits: NDArray[Any], weights: Weights, threshold: float
) -> NDArray[np.float64]:
    """Compute balanced accuracy in every resample: ``(TP / n_fake + TN / n_real) / 2``."""
    c = _counts(labels, logits, weights, threshold)
    return (_ratio(c.tp, c.n_fake) + _ratio(c.n_real - c.fp, c.n_real)) / 2


def weighted_precision(
    labels: NDArray[Any], logits: NDArray[Any], weights: Weights, threshold: float
) -> NDArray[np.float64]:
    """Compute precision in every resample: ``TP / (TP + FP)``."""
    c = _counts(labels, logits, weights, threshold)
    return _ratio(c.tp, c.tp + c.fp)


def weighted_recall(
    labels: NDArray[Any], logits: NDArray[Any], weights: Weights, threshold: float
) -> NDArray[np.float64]:
    """Compute the recall of fakes in every resample: ``TP / n_fake``."""
    c = _counts(labels, logits, weights, threshold)
    return _ratio(c.tp, c.n_fake)


def weighted_real_recall(
    labels: NDArray[Any], logits: NDArray[Any], weights: Weights, threshold: float
) -> NDArray[np.float64]:
    """Compute the recall of reals in every resample: ``TN / n_real``."""
    c = _counts(labels, logits, weights, threshold)
    return _ratio(c.n_real - c.fp, c.n_real)


def weighted_f1(
    labels: NDArray[Any], logits: NDArray[Any], weights: Weights, threshold: float
) -> NDArray[np.float64]:
    """Compute F1 in every resample: ``2 TP / (2 TP + FP + FN)``; nan with a single class."""
    c = _counts(labels, logits, weights, threshold)
    has_both = np.minimum(c.n_fake, c.n_real) > 0
    return np.where(has_both, _ratio(2 * c.tp, c.tp + c.fp + c.n_fake), NAN)


def weighted_auc(
    labels: NDArray[Any], logits: NDArray[Any], weights: Weights, threshold: float
) -> NDArray[np.float64]:
    """Compute the area under the ROC curve in every resample: won real-fake pairs over all pairs.

    A pair counts by the product of both weights; a tie is half won. The threshold plays no part.

    Example:
        >>> labels, logits = np.array([0, 0, 1]), np.array([1.0, 3.0, 2.0])
        >>> weights = np.array([[1, 1, 1], [2, 0, 1]], np.float32)
        >>> weighted_auc(labels, logits, weights, 0.0).tolist()
        [0.5, 1.0]
    """
    del threshold
    fake, logits = is_fake_mask(labels), np.asarray(logits)
    reals, fakes = logits[~fake], logits[fake]
    order = np.argsort(reals, kind="stable")
    reals_below = _from_zero(np.take(weights, np.flatnonzero(~fake)[order], axis=1))
    first, last = (np.searchsorted(reals[order], fakes, side=side) for side in ("left", "right"))
    of_fakes = np.take(weights, np.flatnonzero(fake), axis=1)
    below = reals_below[:, first] + reals_below[:, last]
    won = np.einsum("bn,bn->b", of_fakes, below, dtype=np.float64) / 2
    n_fake = of_fakes.sum(axis=1, dtype=np.float64)
    return _ratio(won, n_fake * reals_below[:, -1].astype(np.float64))


def weighted_tpr_at(fpr: float) -> Statistic:
    """Make the statistic "share of fakes found where at most a share ``fpr`` of reals is called fake".

    It is nan in a resample with fewer than ``1 / fpr`` reals.

    Example:
        >>> labels, logits = np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 1.5, 3.0])
        >>> weighted_tpr_at(0.5)(labels, logits, np.ones((1, 4), np.float32), 0.0).tolist()
        [1.0]
    """

    def statistic(
        labels: NDArray[Any], logits: NDArray[Any], weights: Weights, threshold: float
    ) -> NDArray[np.float64]:
        del threshold
        fake, logits = is_fake_mask(labels), np.asarray(logits)
        order = np.argsort(-logits, kind="stable")
        reals, fakes = order[~fake[order]], order[fake[order]]
        n_real = weights @ (~fake).astype(np.float32)
        fakes_above = _from_zero(np.take(weights, fakes, axis=1))
        # Weights are whole: the summand only undoes the rounding of the product.
        allowed = np.floor(fpr * n_real + 1e-4)
        limit = _first_beyond(weights, reals, allowed, fpr)
        # Fakes strictly above the real that would be one too many are found.
        n_above = np.searchsorted(-logits[fakes], -logits[reals], side="left")[limit]
        n_found = fakes_above[np.arange(len(weights)), n_above].astype(np.float64)
        rates = _ratio(n_found, fakes_above[:, -1].astype(np.float64))
        return np.where(n_real * fpr >= 1 - 1e-6, rates, NAN)

    return statistic


def _first_beyond(
    weights: Weights, reals: NDArray[np.int64], allowed: NDArray[np.float64], fpr: float
) -> NDArray[np.int64]:
    """In every resample, the place of the real that would be one too many, highest scores first."""
    # It is among the few highest nearly always: look there before summing all.
    for n_looked_at in (int(4 * fpr * reals.size) + 50, reals.size):
        summed = np.cumsum(np.take(weights, reals[:n_looked_at], axis=1), axis=1)
        if n_looked_at >= reals.size or (summed[:, -1] > allowed).all():
            break
    limit: NDArray[np.int64] = np.argmax(summed > allowed[:, None], axis=1)
    return limit


def _from_zero(weights: Weights) -> Weights:
    summed = np.zeros((weights.shape[0], weights.shape[1] + 1), dtype=np.float32)
    np.cumsum(weights, axis=1, out=summed[:, 1:])
    return summed
