"""Comparing two detectors on the same images: paired DeLong, shares, clusters.

Every estimate here is a mean of per-image parts, so its error is the sum of what each image
contributes. Those contributions (influence values) add up: over cells for a macro mean, over the
images of one cluster where images are not independent, and their products over two detectors give
the covariance. With one image a cluster this is DeLong's test exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from leaderboards.statistics.intervals import (
    NAN,
    Interval,
    cluster_correction,
    has_variance,
    wilson,
)
from leaderboards.statistics.ranking import is_fake_mask, join_codes, tie_groups

_ROUNDING = 1e-24


class Influence(NamedTuple):
    """An estimate, and what each image contributes to its error.

    Attributes:
        value: The estimate; nan where undefined.
        parts: (n,) float64; the variance of the estimate is the sum of their squares. nan with
            fewer than two images of a class.
    """

    value: float
    parts: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """Candidate minus baseline on the same images; negative is a drop.

    Attributes:
        value: Difference of the two estimates, in [-1, 1].
        variance: Variance of the difference; nan where undefined.
        floor_sd: Standard error to believe where no image tells the two apart, since a variance of
            zero is no certainty. 0 where the two are identical, image by image.
        df: Degrees of freedom behind the variance: clusters less one, or infinite without clusters.
            Few clusters tell little of how clusters differ, and Student's t says so.

    Example:
        >>> drop = Difference(value=-0.2, variance=0.01)
        >>> round(drop.p_two_sided, 4), round(drop.p_drop, 4)
        (0.0455, 0.0228)
    """

    value: float
    variance: float
    floor_sd: float = 0.0
    df: float = math.inf

    @property
    def sd(self) -> float:
        """Standard error; ``floor_sd`` where the variance is zero."""
        if not self.defined:
            return NAN
        return math.sqrt(self.variance) if self.variance > _ROUNDING else self.floor_sd

    @property
    def defined(self) -> bool:
        """Whether there is anything to test."""
        return not (math.isnan(self.value) or math.isnan(self.variance))

    @property
    def p_two_sided(self) -> float:
        """P value of "no difference": ``2 P(Z > |value| / sd)``."""
        if not self.defined:
            return NAN
        if self.sd == 0:
            return 1.0 if self.value == 0 else 0.0
        # The lower tail of minus the statistic: one minus the upper one would round to 0 beyond 8 sd.
        return 2 * self._below(-abs(self.value) / self.sd)

    @property
    def p_drop(self) -> float:
        """One-sided p value of "the candidate is no worse": small where it dropped."""
        if not self.defined:
            return NAN
        if self.sd == 0:
            return 0.5 if self.value == 0 else float(self.value > 0)
        return self._below(self.value / self.sd)

    def quantile(self, probability: float) -> float:
        """Invert the normal distribution, or Student's with ``df`` degrees of freedom."""
        return float(ndtri(probability) if math.isinf(self.df) else stdtrit(self.df, probability))

    def lower(self, confidence: float = 0.95) -> float:
        """Compute the one-sided lower bound of the difference."""
        return self.value - self.quantile(confidence) * self.sd

    def interval(self, confidence: float = 0.95) -> Interval:
        """Compute the two-sided interval of the difference, inside [-1, 1]."""
        half = self.quantile(0.5 + confidence / 2) * self.sd
        if math.isnan(half):
            return Interval(NAN, NAN)
        return Interval(max(-1.0, self.value - half), min(1.0, self.value + half))

    def _below(self, statistic: float) -> float:
        return float(ndtr(statistic) if math.isinf(self.df) else stdtr(self.df, statistic))


def auc_influence(labels: NDArray[Any], logits: NDArray[Any]) -> Influence:
    """Compute the area under the ROC curve with DeLong's structural components, ties included.

    An image contributes ``(V - AUC) / sqrt(m (m - 1))``, where V is the share of the other class that
    it is ranked rightly against and m the size of its own class. Takes O(n log n).

    Args:
        labels: (n,) 0 or 1, 1 = AI-generated.
        logits: (n,) finite floating point.

    Example:
        >>> auc_influence([0, 0, 1, 1], [-1.0, 2.5, 2.0, 3.0]).value
        0.75

    Source:
        DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44, 837-845; sorted as in Sun and Xu
        (2014), IEEE Signal Processing Letters 21, 1389-1393.
    """
    fake = is_fake_mask(labels)
    groups = tie_groups(fake, logits)
    value = groups.auc()
    n_real, n_fake = groups.n_real, groups.n_fake
    if not has_variance(n_real, n_fake):
        return Influence(value, np.full(fake.size, NAN))
    member = np.empty(fake.size, dtype=np.int64)
    member[groups.order] = np.repeat(np.arange(groups.starts.size), groups.real + groups.fake)
    placed = groups.placements()
    of_fakes = (placed.fake[member] - value) / math.sqrt(n_fake * (n_fake - 1))
    of_reals = (placed.real[member] - value) / math.sqrt(n_real * (n_real - 1))
    return Influence(value, np.where(fake, of_fakes, of_reals))


def share_influence(
    labels: NDArray[Any], right: NDArray[np.bool_], metric: str = "accuracy"
) -> Influence:
    """Compute accuracy, balanced accuracy, or one class's recall, with each image's contribution.

    An image contributes ``(right - share) / sqrt(m (m - 1))``, m being the size of what is counted.

    Args:
        labels: (n,) 0 or 1.
        right: (n,) whether the verdict was right.
        metric: "accuracy", "balanced_accuracy", "fake_recall", "recall" or "real_recall".

    Example:
        >>> share_influence([0, 0, 1, 1], np.array([True, False, True, True])).value
        0.75
    """
    fake = is_fake_mask(labels)
    masks: dict[str, list[NDArray[np.bool_]]] = {
        "accuracy": [np.ones(fake.size, dtype=bool)],
        "balanced_accuracy": [fake, ~fake],
        "fake_recall": [fake],
        "recall": [fake],
        "real_recall": [~fake],
    }
    shares = [_share(right, mask) for mask in masks[metric]]
    value = sum(share.value for share in shares) / len(shares)
    return Influence(value, np.sum([share.parts for share in shares], axis=0) / len(shares))


def _share(right: NDArray[np.bool_], mask: NDArray[np.bool_]) -> Influence:
    n = int(np.count_nonzero(mask))
    if n < 2:
        return Influence(float(right[mask][0]) if n else NAN, np.full(right.size, NAN))
    value = float(np.count_nonzero(right & mask)) / n
    return Influence(value, np.where(mask, (right - value) / math.sqrt(n * (n - 1)), 0.0))


def variance_of(parts: NDArray[np.float64], clusters: NDArray[np.int64] | None = None) -> float:
    """Sum the variance of an estimate from its parts; images of one cluster may depend on each other.

    Without clusters ``sum of parts^2``; with k of them ``k / (k - 1) sum of (sum of parts)^2``, each
    inner sum over one cluster, and a factor ``1 - 1 / n`` so that single images give the same value.

    Args:
        parts: (n,) influence values, or differences or sums of such.
        clusters: (n,) codes from ``cluster_codes``; None takes every image as its own cluster.

    Example:
        >>> variance_of(np.array([0.5, -0.5]))
        0.5

    Source:
        Obuchowski (1997), Biometrics 53, 567-578, for clustered ROC data.
    """
    if clusters is None:
        return float(np.dot(parts, parts))
    sums = np.bincount(clusters, weights=parts)
    filled = int(np.count_nonzero(np.bincount(clusters)))
    return float(np.dot(sums, sums)) * cluster_correction(filled, parts.size)


def cluster_codes(
    groups: Sequence[str], contents: Sequence[str] | None = None
) -> NDArray[np.int64] | None:
    """Code clusters as integers: images of one group, or of equal content, are dependent.

    Args:
        groups: (n,) source photograph or prompt of each image; an empty one stands alone.
        contents: (n,) hash of each image's bytes; an empty one is not known.

    Returns:
        (n,) codes; None where every image stands alone.

    Example:
        >>> cluster_codes(["a", "", "a"]).tolist()
        [0, 1, 0]
        >>> cluster_codes(["a", "b", "c"], ["x", "y", "x"]).tolist()
        [0, 1, 0]
    """
    codes = _codes(groups)
    if contents is not None:
        codes = join_codes(codes, _codes(contents))
    return None if codes.size == np.unique(codes).size else codes


def _codes(names: Sequence[str]) -> NDArray[np.int64]:
    """Code equal names alike; an empty one is like no other."""
    array = np.asarray(names, dtype=object)
    alone = array == ""
    known, codes = np.unique(array[~alone].astype(str), return_inverse=True)
    coded = np.empty(array.size, dtype=np.int64)
    coded[~alone] = codes
    coded[alone] = known.size + np.arange(np.count_nonzero(alone))
    return coded


def difference(
    baseline: Influence,
    candidate: Influence,
    clusters: NDArray[np.int64] | None = None,
    *,
    pairs: int | None = None,
) -> Difference:
    """Take the paired difference of two estimates on the same images.

    Args:
        baseline: Estimate of one detector.
        candidate: Estimate of the other, image by image on the same ones.
        clusters: (n,) codes from ``cluster_codes``.
        pairs: Independent units behind the estimate, for ``floor_sd``; None: the two
            are known to be identical image by image, and certainty is right.
    """
    return Difference(
        candidate.value - baseline.value,
        variance_of(candidate.parts - baseline.parts, clusters),
        0.0 if pairs is None else smallest_error(pairs),
        degrees_of_freedom(clusters),
    )


def smallest_error(pairs: int) -> float:
    """Bound the standard error of a difference that no image showed: ``wilson(0, pairs).hi / 1.96``.

    Nothing seen in so many trials bounds the unseen rate as Wilson's interval does.

    Args:
        pairs: Independent trials; without any, nothing is known and the error is 1.

    Example:
        >>> round(smallest_error(100), 4)
        0.0189
    """
    return wilson(0, pairs).hi / float(ndtri(0.975)) if pairs else 1.0


def degrees_of_freedom(clusters: NDArray[np.int64] | None) -> float:
    """Count the degrees of freedom of a variance: clusters less one; infinite without clusters."""
    return math.inf if clusters is None else float(np.unique(clusters).size - 1)


def paired_delong(
    labels: NDArray[Any],
    baseline: NDArray[Any],
    candidate: NDArray[Any],
    clusters: NDArray[np.int64] | None = None,
) -> Difference:
    """Test the difference of two areas under the ROC curve on the same images.

    The statistic is ``(AUC_b - AUC_a) / sqrt(var_a + var_b - 2 cov_ab)``, standard normal where the
    two areas are equal.

    Args:
        labels: (n,) 0 or 1, 1 = AI-generated.
        baseline: (n,) logits of one detector.
        candidate: (n,) logits of the other.
        clusters: (n,) codes from ``cluster_codes``.

    Example:
        >>> labels = np.array([0, 0, 0, 1, 1, 1])
        >>> baseline = np.array([0.1, 0.4, 0.7, 0.3, 0.8, 0.9])
        >>> candidate = np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
        >>> test = paired_delong(labels, baseline, candidate)
        >>> round(test.value, 4), round(test.p_two_sided, 4)
        (0.2222, 0.3711)

    Source:
        DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44, 837-845, equation 8.
    """
    is_same = np.array_equal(baseline, candidate)
    n_fake = int(np.count_nonzero(np.asarray(labels) == 1))
    return difference(
        auc_influence(labels, baseline),
        auc_influence(labels, candidate),
        clusters,
        pairs=None if is_same else min(n_fake, len(labels) - n_fake),
    )


def mean_influence(n: int, parts: Sequence[tuple[NDArray[np.int64], Influence]]) -> Influence:
    """Average estimates that may share images, unweighted.

    Args:
        n: Images in all.
        parts: For each estimate, its images' positions and its influence on them.
    """
    total = np.zeros(n)
    for positions, influence in parts:
        total[positions] += influence.parts / len(parts)
    return Influence(sum(influence.value for _, influence in parts) / len(parts), total)
