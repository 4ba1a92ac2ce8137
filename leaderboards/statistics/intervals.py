"""Intervals and variances: Wilson and Clopper-Pearson for rates, DeLong for the area under the ROC curve."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, betaincinv, ndtri, stdtrit

from leaderboards.statistics.ranking import Ranking, is_fake_mask, tie_groups

NAN = float("nan")


class Interval(NamedTuple):
    """A two-sided confidence interval; both ends nan where it is undefined."""

    lo: float
    hi: float


def median_interval(values: NDArray[Any], confidence: float = 0.95) -> Interval:
    """Compute the distribution-free interval of a median, from order statistics.

    ``[x_(k), x_(n + 1 - k)]`` with the largest k for which ``P(Binomial(n, 1/2) < k)`` is at most half
    of what the confidence leaves.

    Args:
        values: (n,) floating point, infinite ones allowed: they are larger than all others.
        confidence: Coverage, in (0, 1); fewer than 6 values cannot reach 95%, and give (nan, nan).

    Example:
        >>> median_interval(np.arange(1.0, 11.0))
        Interval(lo=2.0, hi=9.0)

    Source:
        Conover (1999), Practical Nonparametric Statistics, section 3.2.
    """
    n = len(values)
    tails = bdtr(np.arange(n // 2 + 1), n, 0.5)
    k = int(np.count_nonzero(tails <= (1 - confidence) / 2))
    if k < 1:
        return Interval(NAN, NAN)
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    return Interval(float(ordered[k - 1]), float(ordered[n - k]))


class Delong(NamedTuple):
    """An area under the ROC curve in [0, 1] and the variance of its estimate."""

    auc: float
    variance: float


@lru_cache(maxsize=16)
def _quantile(confidence: float) -> float:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence!r}; usual is 0.95")
    return float(ndtri(0.5 + confidence / 2))


def wilson(k: float, n: int, confidence: float = 0.95) -> Interval:
    """Compute Wilson's score interval for a binomial rate.

    ``(r + z^2 / 2n +- z sqrt(r (1 - r) / n + z^2 / 4n^2)) / (1 + z^2 / n)`` for the rate ``r = k / n``
    and the normal quantile z, 1.96 at 95%.

    Args:
        k: Successes, 0 <= k <= n; a fraction is allowed (ties count one half).
        n: Trials; 0 gives (nan, nan).
        confidence: Coverage, in (0, 1).

    Raises:
        ValueError: k outside [0, n], or a confidence outside (0, 1).

    Example:
        >>> lo, hi = wilson(8, 10)
        >>> round(lo, 4), round(hi, 4)
        (0.4902, 0.9433)

    Source:
        Wilson (1927), JASA 22, 209-212; without continuity correction.
    """
    if not 0 <= k <= n:
        raise ValueError(f"successes must lie between 0 and the {n} trials, got {k!r}")
    z = _quantile(confidence)
    if n == 0:
        return Interval(NAN, NAN)
    rate = k / n
    centre = rate + z * z / (2 * n)
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # The ends are exactly 0 and 1 at the extremes; rounding must not say otherwise.
    lo = 0.0 if k == 0 else max(0.0, (centre - half) / scale)
    hi = 1.0 if k == n else min(1.0, (centre + half) / scale)
    return Interval(lo, hi)


def clopper_pearson_lower(k: NDArray[Any], n: int, confidence: float) -> NDArray[np.float64]:
    """Compute the exact one-sided lower bound of binomial rates: it is too high in at most 1 - confidence.

    ``B(1 - confidence; k, n - k + 1)``, a quantile of the beta distribution; 0 where k is 0.

    Args:
        k: (m,) successes, whole numbers from 0 to n.
        n: Trials, at least 1.
        confidence: Least coverage, in (0, 1).

    Returns:
        (m,) float64 in [0, 1].

    Raises:
        ValueError: k outside [0, n], no trials, or a confidence outside (0, 1).

    Example:
        >>> clopper_pearson_lower(np.array([0, 8, 10]), 10, 0.95).round(4).tolist()
        [0.0, 0.4931, 0.7411]

    Source:
        Clopper and Pearson (1934), Biometrika 26, 404-413.
    """
    k = np.asarray(k, dtype=np.float64)
    if n < 1 or not 0.0 < confidence < 1.0:
        raise ValueError(
            f"give at least one trial and a confidence in (0, 1), got {n}, {confidence!r}"
        )
    if not bool(((k >= 0) & (k <= n)).all()):
        raise ValueError(
            f"successes must lie between 0 and the {n} trials, got {k.min()} to {k.max()}"
        )
    bound = betaincinv(np.maximum(k, 1), n - np.maximum(k, 1) + 1, 1 - confidence)
    return np.where(k == 0, 0.0, bound)


def has_variance(n_real: int, n_fake: int) -> bool:
    """Say whether an area under the ROC curve has a variance: one image of a class tells of no spread.

    Args:
        n_real: Real images behind it.
        n_fake: Fake images behind it.
    """
    return min(n_real, n_fake) > 1


def cluster_correction(n_clusters: int, n: int) -> float:
    """Give the factor on the squared sums over clusters: ``k / (k - 1) (1 - 1 / n)``; nan for one cluster.

    With single images, k = n, it is 1.

    Args:
        n_clusters: Clusters that hold an image, k.
        n: Images.
    """
    return n_clusters / (n_clusters - 1) * (1 - 1 / n) if n_clusters > 1 else NAN


def delong(labels: NDArray[Any], logits: NDArray[Any]) -> Delong:
    """Estimate the area under the ROC curve with DeLong's variance, in O(n log n), ties included.

    ``var = s_fake^2 / n_fake + s_real^2 / n_real``, where ``s^2`` is the variance over one class of the
    share of the other class that an image is ranked rightly against, ties counted as one half.

    Args:
        labels: (n,) 0 or 1, 1 = AI-generated.
        logits: (n,) finite floating point.

    Returns:
        The area (nan with a single class) and its variance (nan with fewer than two of a class).

    Raises:
        ValueError: Labels other than 0/1, shapes that differ, scores that are not finite.

    Example:
        >>> delong(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
        Delong(auc=0.75, variance=0.125)

    Source:
        DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44, 837-845, equations 3 to 6.
    """
    return delong_of(tie_groups(is_fake_mask(labels), logits))


def delong_of(groups: Ranking) -> Delong:
    """Make DeLong's estimate from scores already sorted; see ``delong``."""
    auc = groups.auc()
    n_real, n_fake = groups.n_real, groups.n_fake
    if not has_variance(n_real, n_fake):
        return Delong(auc, NAN)
    of_fakes, of_reals = groups.squares(auc)
    fake_variance, real_variance = of_fakes / (n_fake - 1), of_reals / (n_real - 1)
    return Delong(auc, fake_variance / n_fake + real_variance / n_real)


def auc_interval(
    estimate: Delong,
    n_real: int,
    n_fake: int,
    confidence: float = 0.95,
    *,
    df: float = math.inf,
) -> Interval:
    """Compute DeLong's interval on the logit scale, so that it stays in (0, 1) and keeps its coverage.

    ``expit(logit(AUC) +- z sd / (AUC (1 - AUC)))``, with the normal quantile z, 1.96 at 95%.

    Where the variance is zero (every fake above every real, the reverse, or all scores tied)
    DeLong has nothing to say, and a point interval would claim certainty. There the interval is
    Wilson's for ``min(n_real, n_fake)`` real-fake pairs, which is conservative: disjoint pairs are
    independent trials of "the fake scores above the real".

    Args:
        estimate: Area and variance from ``delong``.
        n_real: Real images behind it.
        n_fake: Fake images behind it.
        confidence: Coverage, in (0, 1).
        df: Degrees of freedom behind the variance: clusters less one where it is theirs. Student's
            quantile then takes the place of z.

    Returns:
        (nan, nan) where the area or its variance is undefined.

    Example:
        >>> lo, hi = auc_interval(Delong(auc=0.9, variance=0.001), n_real=50, n_fake=50)
        >>> round(lo, 4), round(hi, 4)
        (0.8188, 0.9471)

    Source:
        Pepe (2003), The Statistical Evaluation of Medical Tests, section 5.2 (logit transform).
    """
    auc, variance = estimate
    if math.isnan(auc) or math.isnan(variance):
        return Interval(NAN, NAN)
    pairs = min(n_real, n_fake)
    if variance == 0.0:
        return wilson(auc * pairs, pairs, confidence)
    centre = math.log(auc / (1 - auc))
    quantile = _quantile(confidence) if math.isinf(df) else float(stdtrit(df, 0.5 + confidence / 2))
    half = quantile * math.sqrt(variance) / (auc * (1 - auc))
    return Interval(_expit(centre - half), _expit(centre + half))


def _expit(x: float) -> float:
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    return math.exp(x) / (1 + math.exp(x))
