"""What a detector does at the working points that matter, and how far its probabilities are off."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrik, expit

from leaderboards.statistics.intervals import NAN, Interval, wilson
from leaderboards.statistics.ranking import Ranking, TieGroups

PARTIAL_MAX_FPR = 0.1
ECE_BINS = 15


class Estimate(NamedTuple):
    """A value with its 95% interval, both ends nan where it has none."""

    value: float
    lo: float
    hi: float

    @property
    def interval(self) -> Interval:
        """Both ends as an interval."""
        return Interval(self.lo, self.hi)


UNDEFINED = Estimate(NAN, NAN, NAN)


def tpr_at_fpr(groups: Ranking, fpr: float) -> Estimate:
    """Compute the share of fakes found where at most a share ``fpr`` of reals is called fake.

    ``TP(t) / n_fake`` at the least threshold t, a score, with ``FP(t) <= fpr n_real``. Undefined with
    fewer than ``1 / fpr`` reals: so low a rate cannot be set with them. The interval joins Wilson's for
    the fakes with the distribution-free interval for the threshold (the binomial bounds on the rank of
    the reals' quantile), by the square root of the sum of squares; it is undefined where all reals may
    lie below the true threshold (368 reals are needed at 1%).

    Args:
        groups: Scores of both classes, sorted.
        fpr: False-positive rate, in (0, 1).

    Example:
        >>> from leaderboards.statistics.ranking import tie_groups
        >>> fake = np.array([False, False, True, True])
        >>> tpr_at_fpr(tie_groups(fake, np.array([1.0, 2.0, 1.5, 3.0])), 0.5).value
        1.0

    Source:
        Zou and Donner (2008), Statistics in Medicine 27, 1693-1702, for joining the two.
    """
    n_real, n_fake = groups.n_real, groups.n_fake
    if not n_fake or n_real * fpr < 1:
        return UNDEFINED
    # The summand undoes rounding: 0.29 * 100 is a little less than 29.
    allowed = math.floor(fpr * n_real + 1e-9)
    fewest, most = _allowed_bounds(n_real, fpr)
    n_found = groups.fakes_above(allowed)
    value = n_found / n_fake
    if not fewest:
        return Estimate(value, NAN, NAN)
    sampling = wilson(n_found, n_fake)
    strictest, laxest = (groups.fakes_above(k) / n_fake for k in (fewest, most))
    lo = value - math.hypot(value - sampling.lo, value - strictest)
    hi = value + math.hypot(sampling.hi - value, laxest - value)
    return Estimate(value, max(0.0, lo), min(1.0, hi))


@lru_cache(maxsize=256)
def _allowed_bounds(n_real: int, fpr: float) -> tuple[int, int]:
    """Between which numbers of reals lie above the true threshold, with 95% probability."""
    return _binomial_quantile(0.025, n_real, fpr), _binomial_quantile(0.975, n_real, fpr)


def _binomial_quantile(share: float, n: int, p: float) -> int:
    """Give the least count that a binomial of n draws does not exceed with a probability of ``share``.

    Not by ``scipy.stats``: importing that takes longer than a small run scores.
    """
    count = max(0, math.ceil(float(bdtrik(share, n, p))))
    return count - 1 if count and bdtr(count - 1, n, p) >= share else count


def roc(groups: TieGroups) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Trace false- and true-positive rate from the strictest threshold to the laxest, (g + 1,) each."""
    fpr = np.concatenate(([0], np.cumsum(groups.real[::-1]))) / groups.n_real
    tpr = np.concatenate(([0], np.cumsum(groups.fake[::-1]))) / groups.n_fake
    return fpr, tpr


def equal_error_rate(groups: TieGroups) -> float:
    """Find the error rate where as many reals are called fake as fakes are missed: ``FPR = 1 - TPR``.

    Between two points of the ROC curve it lies on the straight line; nan with a single class.

    Example:
        >>> from leaderboards.statistics.ranking import tie_groups
        >>> fake = np.array([False, False, True, True])
        >>> equal_error_rate(tie_groups(fake, np.array([0.1, 0.4, 0.35, 0.8])))
        0.5

    Source:
        Martin and others (1997), Eurospeech, 1895-1898 (the DET curve).
    """
    if not groups.n_real or not groups.n_fake:
        return NAN
    fpr, tpr = roc(groups)
    gap = fpr - (1 - tpr)
    crossing = int(np.searchsorted(gap, 0.0, side="left"))
    if crossing == 0 or gap[crossing] == 0:
        return float(fpr[crossing])
    before = crossing - 1
    share = -gap[before] / (gap[crossing] - gap[before])
    return float(fpr[before] + share * (fpr[crossing] - fpr[before]))


def partial_auc(groups: TieGroups, max_fpr: float = PARTIAL_MAX_FPR) -> float:
    """Compute the area under the ROC curve up to a false-positive rate, scaled so that guessing is 0.5.

    ``(1 + (A - m^2 / 2) / (m - m^2 / 2)) / 2`` for the area A over FPR in [0, m]; nan with a single class.

    Args:
        groups: Scores of both classes, sorted.
        max_fpr: False-positive rate m, in (0, 1].

    Example:
        >>> from leaderboards.statistics.ranking import tie_groups
        >>> fake = np.array([False, False, True, True])
        >>> round(partial_auc(tie_groups(fake, np.array([0.1, 0.4, 0.35, 0.8]))), 4)
        0.7368

    Source:
        McClish (1989), Medical Decision Making 9, 190-195; as scikit-learn's ``max_fpr``.
    """
    if not groups.n_real or not groups.n_fake:
        return NAN
    fpr, tpr = roc(groups)
    stop = int(np.searchsorted(fpr, max_fpr, side="right"))
    x = np.append(fpr[:stop], max_fpr)
    y = np.append(
        tpr[:stop], np.interp(max_fpr, fpr[stop - 1 : stop + 1], tpr[stop - 1 : stop + 1])
    )
    return partial_area(float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2)), max_fpr)


def partial_area(area: float, max_fpr: float) -> float:
    """Scale an area over FPR in [0, ``max_fpr``] so that guessing is 0.5; see ``partial_auc``."""
    least = max_fpr**2 / 2
    return 0.5 * (1 + (area - least) / (max_fpr - least))


def brier(fake: NDArray[np.bool_], logits: NDArray[Any]) -> float:
    """Compute the mean squared error of the probability: ``mean of (sigmoid(logit) - label)^2``.

    Args:
        fake: (n,) bool, true for fakes.
        logits: (n,) finite floating point.

    Returns:
        In [0, 1]; nan without images.

    Example:
        >>> round(brier(np.array([False, True]), np.array([0.0, 2.0])), 4)
        0.1321

    Source:
        Brier (1950), Monthly Weather Review 78, 1-3, for two classes.
    """
    if not fake.size:
        return NAN
    return float(np.mean((expit(np.asarray(logits, dtype=np.float64)) - fake) ** 2))


def calibration_error(fake: NDArray[np.bool_], logits: NDArray[Any]) -> float:
    """Compute the expected calibration error of ``sigmoid(logit)`` in 15 bins of equal width.

    ``sum over bins of (m / n) |mean probability - share of fakes|`` for m of n images in a bin.

    Args:
        fake: (n,) bool, true for fakes.
        logits: (n,) finite floating point.

    Returns:
        In [0, 1]; nan without images.

    Example:
        >>> round(calibration_error(np.array([False, True, True]), np.array([2.0, 2.0, 2.0])), 4)
        0.2141

    Source:
        Naeini, Cooper and Hauskrecht (2015), AAAI, 2901-2907.
    """
    if not fake.size:
        return NAN
    probability = expit(np.asarray(logits, dtype=np.float64))
    gap = np.bincount(bins_of(probability), weights=probability - fake, minlength=ECE_BINS)
    return float(np.abs(gap).sum() / fake.size)


def bins_of(probability: NDArray[np.float64]) -> NDArray[np.int64]:
    """Give the bin of each probability, (n,) from 0 to 14, in which calibration errors are summed."""
    return np.minimum((probability * ECE_BINS).astype(np.int64), ECE_BINS - 1)


def balanced_nll(fake: NDArray[np.bool_], logits: NDArray[Any]) -> float:
    """Compute the negative log-likelihood of ``sigmoid(logit)``, both classes weighted alike, in nats.

    ``(mean over fakes of ln(1 + e^-logit) + mean over reals of ln(1 + e^logit)) / 2``: ln 2 for a detector
    that always says one half, whatever the share of fakes. Divided by ln 2 it is speaker recognition's
    Cllr.

    Args:
        fake: (n,) bool, true for fakes.
        logits: (n,) finite floating point.

    Returns:
        At least 0, without an upper bound; nan with a single class.

    Example:
        >>> fake = np.array([False, False, True, True])
        >>> round(balanced_nll(fake, np.array([-5.9374785, -4.441922, 4.430519, 3.8499813])), 7)
        0.0118086

    Source:
        Bruemmer and du Preez (2006), Computer Speech and Language 20, 230-275; the example is a published
        figure of B-Free (Guillaro and others, 2025, CVPR).
    """
    reals, fakes = _sorted_by_class(fake, logits)
    if not reals.size or not fakes.size:
        return NAN
    return float((np.logaddexp(0, -fakes).mean() + np.logaddexp(0, reals).mean()) / 2)


def balanced_calibration_error(fake: NDArray[np.bool_], logits: NDArray[Any]) -> float:
    """Compute the expected calibration error as if there were as many reals as fakes.

    ``sum over bins of |sum of w (sigmoid(logit) - label)|`` in 15 bins of equal width, each image with
    the weight w = 1 / (2 n_class).

    Args:
        fake: (n,) bool, true for fakes.
        logits: (n,) finite floating point.

    Returns:
        In [0, 1]; nan with a single class.

    Example:
        >>> fake = np.array([False, False, True, True])
        >>> round(balanced_calibration_error(fake, np.array([-5.9374785, -4.441922, 4.430519, 3.8499813])), 7)
        0.0117182

    Source:
        As ``calibration_error``; the example is a published figure of B-Free (Guillaro and others, 2025,
        CVPR).
    """
    reals, fakes = _sorted_by_class(fake, logits)
    if not reals.size or not fakes.size:
        return NAN
    gap = np.zeros(ECE_BINS)
    for scores, label in ((reals, 0), (fakes, 1)):
        probability = expit(scores)
        sums = np.bincount(bins_of(probability), weights=probability - label, minlength=ECE_BINS)
        gap += sums / (2 * scores.size)
    return float(np.abs(gap).sum())


def _sorted_by_class(
    fake: NDArray[np.bool_], logits: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The logits of reals and of fakes, sorted: a sum over them does not hang on the order of images."""
    z = np.asarray(logits, dtype=np.float64)
    return np.sort(z[~fake]), np.sort(z[fake])


def mean_of_two(a: Interval, b: Interval, values: tuple[float, float]) -> Interval:
    """Compute the interval of the mean of two independent rates from the interval of each.

    Args:
        a: Interval of one rate.
        b: Interval of the other.
        values: Both rates.

    Example:
        >>> lo, hi = mean_of_two(Interval(0.6, 0.8), Interval(0.7, 0.9), (0.7, 0.8))
        >>> round(lo, 4), round(hi, 4)
        (0.6793, 0.8207)

    Source:
        Newcombe (1998), Statistics in Medicine 17, 873-890, method 10.
    """
    centre = (values[0] + values[1]) / 2
    lo = centre - math.hypot(values[0] - a.lo, values[1] - b.lo) / 2
    hi = centre + math.hypot(a.hi - values[0], b.hi - values[1]) / 2
    return Interval(lo, hi)


def f1_interval(tp: int, fp: int, n_fake: int, n_real: int) -> Interval:
    """Compute the interval of F1 from Wilson's for both classes' rates, joined by sums of squares.

    Args:
        tp: Fakes called fake.
        fp: Reals called fake.
        n_fake: Fake images.
        n_real: Real images.

    Returns:
        Inside [0, 1]; (nan, nan) with a single class.

    Example:
        >>> lo, hi = f1_interval(8, 2, 10, 10)
        >>> round(lo, 4), round(hi, 4)
        (0.5552, 0.9013)

    Source:
        Zou and Donner (2008), Statistics in Medicine 27, 1693-1702.
    """
    if not n_fake or not n_real:
        return Interval(NAN, NAN)
    recall, alarm = tp / n_fake, fp / n_real

    def f1(recall: float, alarm: float) -> float:
        called = recall * n_fake + alarm * n_real
        return 2 * recall * n_fake / (called + n_fake)

    centre, of_recall, of_alarm = f1(recall, alarm), wilson(tp, n_fake), wilson(fp, n_real)
    lo = centre - math.hypot(centre - f1(of_recall.lo, alarm), centre - f1(recall, of_alarm.hi))
    hi = centre + math.hypot(f1(of_recall.hi, alarm) - centre, f1(recall, of_alarm.lo) - centre)
    return Interval(max(0.0, lo), min(1.0, hi))
