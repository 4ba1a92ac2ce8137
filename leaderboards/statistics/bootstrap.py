"""The paired bootstrap: whole resamples at once as a matrix of weights, shared by all that is compared.

A resample of n images is a row of n weights (how often each was drawn). Two detectors under the same
rows are paired; cells with the same images may share the rows too. Without clusters each class is
resampled apart, as the data were gathered; with clusters, whole clusters are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics.intervals import NAN, Interval
from leaderboards.statistics.metrics import called_fake
from leaderboards.statistics.ranking import is_fake_mask

Weights = NDArray[np.float32]
# (labels (n,), logits (n,), weights (b, n), threshold) -> (b,) float64, nan where undefined.
Statistic = Callable[[NDArray[Any], NDArray[Any], Weights, float], NDArray[np.float64]]


class Bootstrapped(NamedTuple):
    """A paired difference by resampling.

    Attributes:
        value: Candidate minus baseline on the images as they are.
        draws: (b,) the difference in every resample where it is defined.
    """

    value: float
    draws: NDArray[np.float64]

    def interval(self, confidence: float = 0.95) -> Interval:
        """The percentile interval."""
        if not self.draws.size:
            return Interval(NAN, NAN)
        lo, hi = np.quantile(self.draws, [0.5 - confidence / 2, 0.5 + confidence / 2])
        return Interval(float(lo), float(hi))

    @property
    def variance(self) -> float:
        """Of the difference."""
        return float(np.var(self.draws, ddof=1)) if self.draws.size > 1 else NAN


def resamples(
    strata: NDArray[Any],
    n_resamples: int,
    seed: int,
    clusters: NDArray[np.int64] | None = None,
) -> Weights:
    """How often each image is drawn, resample by resample.

    Args:
        strata: (n,) labels, or codes of whatever was gathered apart.
        n_resamples: Rows.
        seed: The same seed gives the same rows.
        clusters: (n,) codes; whole clusters are drawn. None: images, each stratum apart.

    Returns:
        (n_resamples, n) float32 whole numbers.
    """
    rng = np.random.default_rng(seed)
    if clusters is not None:
        _, codes = np.unique(clusters, return_inverse=True)
        return np.ascontiguousarray(_counts(rng, int(codes.max()) + 1, n_resamples)[:, codes])
    weights = np.empty((n_resamples, len(strata)), dtype=np.float32)
    for mask in (strata == code for code in np.unique(strata)):
        weights[:, mask] = _counts(rng, int(np.count_nonzero(mask)), n_resamples)
    return weights


def _counts(rng: np.random.Generator, n: int, rows: int) -> Weights:
    if not n:
        return np.zeros((rows, 0), dtype=np.float32)
    drawn = rng.integers(0, n, size=(rows, n), dtype=np.int32)
    drawn += np.arange(rows, dtype=np.int32)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float32)


def paired_bootstrap(
    labels: NDArray[Any],
    baseline: tuple[NDArray[Any], float],
    candidate: tuple[NDArray[Any], float],
    statistic: str | Statistic,
    weights: Weights,
) -> Bootstrapped:
    """The difference of any metric between two detectors on the same images.

    Args:
        labels: (n,) 0 or 1.
        baseline: Logits (n,) and threshold of one detector.
        candidate: Those of the other.
        statistic: A name in ``STATISTICS``, or a function of the same form.
        weights: From ``resamples``.
    """
    function = STATISTICS[statistic] if isinstance(statistic, str) else statistic
    whole = np.ones((1, len(labels)), dtype=np.float32)

    def gap(rows: Weights) -> NDArray[np.float64]:
        return function(labels, candidate[0], rows, candidate[1]) - function(
            labels, baseline[0], rows, baseline[1]
        )

    draws = gap(weights)
    return Bootstrapped(float(gap(whole)[0]), draws[np.isfinite(draws)])


class _Counts(NamedTuple):
    tp: NDArray[np.float64]
    fp: NDArray[np.float64]
    n_fake: NDArray[np.float64]
    n_real: NDArray[np.float64]


def _table(
    labels: NDArray[Any], logits: NDArray[Any], weights: Weights, threshold: float
) -> _Counts:
    fake, called = is_fake_mask(labels), called_fake(logits, threshold)
    parts = np.stack([fake & called, ~fake & called, fake, ~fake], axis=1).astype(np.float32)
    # Sums of small whole numbers: exact in float32 below 2**24 images.
    return _Counts(*(weights @ parts).astype(np.float64).T)


def _ratio(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(b > 0, a / b, NAN)


def _accuracy(*of: Any) -> NDArray[np.float64]:
    c = _table(*of)
    return _ratio(c.tp + c.n_real - c.fp, c.n_fake + c.n_real)


def _balanced(*of: Any) -> NDArray[np.float64]:
    c = _table(*of)
    return (_ratio(c.tp, c.n_fake) + _ratio(c.n_real - c.fp, c.n_real)) / 2


def _precision(*of: Any) -> NDArray[np.float64]:
    c = _table(*of)
    return _ratio(c.tp, c.tp + c.fp)


def _recall(*of: Any) -> NDArray[np.float64]:
    c = _table(*of)
    return _ratio(c.tp, c.n_fake)


def _real_recall(*of: Any) -> NDArray[np.float64]:
    c = _table(*of)
    return _ratio(c.n_real - c.fp, c.n_real)


def _f1(*of: Any) -> NDArray[np.float64]:
    c = _table(*of)
    return np.where(
        np.minimum(c.n_fake, c.n_real) > 0, _ratio(2 * c.tp, c.tp + c.fp + c.n_fake), NAN
    )


def _auc(
    labels: NDArray[Any], logits: NDArray[Any], weights: Weights, threshold: float
) -> NDArray[np.float64]:
    del threshold
    fake, logits = is_fake_mask(labels), np.asarray(logits)
    reals, fakes = logits[~fake], logits[fake]
    order = np.argsort(reals, kind="stable")
    below = _from_zero(np.take(weights, np.flatnonzero(~fake)[order], axis=1))
    lo, hi = (np.searchsorted(reals[order], fakes, side=side) for side in ("left", "right"))
    of_fakes = np.take(weights, np.flatnonzero(fake), axis=1)
    wins = np.einsum("bn,bn->b", of_fakes, below[:, lo] + below[:, hi], dtype=np.float64) / 2
    pairs = of_fakes.sum(axis=1, dtype=np.float64) * below[:, -1].astype(np.float64)
    return _ratio(wins, pairs)


def _tpr_at(fpr: float) -> Statistic:
    def statistic(
        labels: NDArray[Any], logits: NDArray[Any], weights: Weights, threshold: float
    ) -> NDArray[np.float64]:
        del threshold
        fake, logits = is_fake_mask(labels), np.asarray(logits)
        order = np.argsort(-logits, kind="stable")
        top, found = order[~fake[order]], order[fake[order]]
        n_real = weights @ (~fake).astype(np.float32)
        above = _from_zero(np.take(weights, found, axis=1))
        n_fake = above[:, -1].astype(np.float64)
        allowed = np.floor(fpr * n_real + 1e-4)
        # The first real that would be one too many; it is among the few highest, nearly always.
        for few in (int(4 * fpr * top.size) + 50, top.size):
            of_reals = np.cumsum(np.take(weights, top[:few], axis=1), axis=1)
            if few >= top.size or (of_reals[:, -1] > allowed).all():
                break
        limit = np.argmax(of_reals > allowed[:, None], axis=1)
        # Fakes strictly above it are found.
        count = np.searchsorted(-logits[found], -logits[top], side="left")[limit]
        rates = _ratio(above[np.arange(len(weights)), count].astype(np.float64), n_fake)
        return np.where(n_real * fpr >= 1 - 1e-6, rates, NAN)

    return statistic


def _from_zero(weights: Weights) -> Weights:
    summed = np.zeros((weights.shape[0], weights.shape[1] + 1), dtype=np.float32)
    np.cumsum(weights, axis=1, out=summed[:, 1:])
    return summed


STATISTICS: Mapping[str, Statistic] = {
    "auc": _auc,
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced,
    "precision": _precision,
    "recall": _recall,
    "fake_recall": _recall,
    "real_recall": _real_recall,
    "f1": _f1,
    "tpr_at_1_fpr": _tpr_at(0.01),
    "tpr_at_5_fpr": _tpr_at(0.05),
}
