"""Comparing two detectors on the same images: paired DeLong, exact McNemar, clusters.

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
from scipy.special import bdtr, ndtr, ndtri, stdtr, stdtrit

from leaderboards.statistics.intervals import NAN, Interval, wilson
from leaderboards.statistics.ranking import is_fake_mask, tie_groups

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
        value: The difference.
        variance: Of the difference; nan where undefined.
        floor_sd: Standard error to believe where no image tells the two apart, since a variance of
            zero is no certainty. 0 where the two are identical, image by image.
        df: Degrees of freedom behind the variance: clusters less one, or infinite without clusters.
            Few clusters tell little of how clusters differ, and Student's t says so.
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
        """Of no difference."""
        return min(1.0, 2 * min(self.p_drop, 1 - self.p_drop)) if self.defined else NAN

    @property
    def p_drop(self) -> float:
        """One-sided, of "the candidate is no worse": small where it dropped."""
        if not self.defined:
            return NAN
        if self.sd == 0:
            return 0.5 if self.value == 0 else float(self.value > 0)
        at = self.value / self.sd
        return float(ndtr(at) if math.isinf(self.df) else stdtr(self.df, at))

    def quantile(self, probability: float) -> float:
        """Of the normal distribution, or of Student's with ``df`` degrees of freedom."""
        return float(ndtri(probability) if math.isinf(self.df) else stdtrit(self.df, probability))

    def lower(self, confidence: float = 0.95) -> float:
        """The one-sided lower bound."""
        return self.value - self.quantile(confidence) * self.sd

    def interval(self, confidence: float = 0.95) -> Interval:
        """The two-sided interval, inside [-1, 1]."""
        half = self.quantile(0.5 + confidence / 2) * self.sd
        if math.isnan(half):
            return Interval(NAN, NAN)
        return Interval(max(-1.0, self.value - half), min(1.0, self.value + half))


def auc_influence(labels: NDArray[Any], logits: NDArray[Any]) -> Influence:
    """Area under the ROC curve with DeLong's structural components, in O(n log n), ties included.

    Args:
        labels: (n,) 0 or 1, 1 = AI-generated.
        logits: (n,) finite floating point.

    Source:
        DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44, 837-845; sorted as in Sun and Xu
        (2014), IEEE Signal Processing Letters 21, 1389-1393.
    """
    fake = is_fake_mask(labels)
    groups = tie_groups(fake, logits)
    value = groups.auc()
    n_real, n_fake = groups.n_real, groups.n_fake
    if min(n_real, n_fake) < 2:
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
    """Accuracy, balanced accuracy, or one class's recall, with each image's contribution.

    Args:
        labels: (n,) 0 or 1.
        right: (n,) whether the verdict was right.
        metric: "accuracy", "balanced_accuracy", "fake_recall", "recall" or "real_recall".
    """
    fake = is_fake_mask(labels)
    masks: dict[str, list[NDArray[np.bool_]]] = {
        "accuracy": [np.ones(fake.size, dtype=bool)],
        "balanced_accuracy": [fake, ~fake],
        "fake_recall": [fake],
        "recall": [fake],
        "real_recall": [~fake],
    }
    found = [_share(right, mask) for mask in masks[metric]]
    value = sum(one.value for one in found) / len(found)
    return Influence(value, np.sum([one.parts for one in found], axis=0) / len(found))


def _share(right: NDArray[np.bool_], mask: NDArray[np.bool_]) -> Influence:
    n = int(np.count_nonzero(mask))
    if n < 2:
        return Influence(float(right[mask][0]) if n else NAN, np.full(right.size, NAN))
    value = float(np.count_nonzero(right & mask)) / n
    return Influence(value, np.where(mask, (right - value) / math.sqrt(n * (n - 1)), 0.0))


def variance_of(parts: NDArray[np.float64], clusters: NDArray[np.int64] | None = None) -> float:
    """Variance of an estimate from its parts; images of one cluster may depend on each other.

    Args:
        parts: (n,) influence values, or differences or sums of such.
        clusters: (n,) codes from ``cluster_codes``; None takes every image as its own cluster.

    Source:
        Obuchowski (1997), Biometrics 53, 567-578, for clustered ROC data.
    """
    if clusters is None:
        return float(np.dot(parts, parts))
    sums = np.bincount(clusters, weights=parts)
    filled = int(np.count_nonzero(np.bincount(clusters)))
    if filled < 2:
        return NAN
    correction = filled / (filled - 1) * (1 - 1 / parts.size)
    return float(np.dot(sums, sums)) * correction


def cluster_codes(groups: Sequence[str]) -> NDArray[np.int64] | None:
    """Integer codes of clusters; an image with an empty group stands alone. None if all do."""
    names = np.asarray(groups, dtype=object)
    alone = names == ""
    told, codes = np.unique(names[~alone].astype(str), return_inverse=True)
    if told.size == names.size - np.count_nonzero(alone):
        return None
    found = np.empty(names.size, dtype=np.int64)
    found[~alone] = codes
    found[alone] = told.size + np.arange(np.count_nonzero(alone))
    return found


def difference(
    baseline: Influence,
    candidate: Influence,
    clusters: NDArray[np.int64] | None = None,
    *,
    pairs: int | None = None,
) -> Difference:
    """The paired difference of two estimates on the same images.

    Args:
        baseline: Of one detector.
        candidate: Of the other, image by image on the same ones.
        clusters: From ``cluster_codes``.
        pairs: Independent units behind the estimate, for ``floor_sd``; None: the two
            are known to be identical image by image, and certainty is right.
    """
    parts = candidate.parts - baseline.parts
    least = 0.0
    if pairs is not None:
        # Nothing seen in so many trials bounds the unseen rate as Wilson's interval does.
        z = float(ndtri(0.975))
        least = wilson(0, pairs).hi / z if pairs else 1.0
    return Difference(
        candidate.value - baseline.value,
        variance_of(parts, clusters),
        least,
        degrees_of_freedom(clusters),
    )


def degrees_of_freedom(clusters: NDArray[np.int64] | None) -> float:
    """Behind a variance over clusters: their number less one; infinite without clusters."""
    return math.inf if clusters is None else float(np.unique(clusters).size - 1)


def paired_delong(
    labels: NDArray[Any],
    baseline: NDArray[Any],
    candidate: NDArray[Any],
    clusters: NDArray[np.int64] | None = None,
) -> Difference:
    """The difference of two areas under the ROC curve on the same images.

    Args:
        labels: (n,) 0 or 1, 1 = AI-generated.
        baseline: (n,) logits of one detector.
        candidate: (n,) logits of the other.
        clusters: From ``cluster_codes``.
    """
    same = np.array_equal(baseline, candidate)
    fakes = int(np.count_nonzero(np.asarray(labels) == 1))
    return difference(
        auc_influence(labels, baseline),
        auc_influence(labels, candidate),
        clusters,
        pairs=None if same else min(fakes, len(labels) - fakes),
    )


class McNemar(NamedTuple):
    """Exact McNemar test.

    Attributes:
        lost: Images only the baseline had right.
        won: Images only the candidate has right.
        p_two_sided: Of no difference.
        p_drop: One-sided, of "the candidate is no worse".
    """

    lost: int
    won: int
    p_two_sided: float
    p_drop: float


def mcnemar(baseline: NDArray[np.bool_], candidate: NDArray[np.bool_]) -> McNemar:
    """Exact test of two sets of verdicts on the same images.

    Args:
        baseline: (n,) whether the baseline is right.
        candidate: (n,) whether the candidate is.

    Source:
        McNemar (1947), Psychometrika 12, 153-157; the binomial form, no continuity correction.
    """
    lost = int(np.count_nonzero(baseline & ~candidate))
    won = int(np.count_nonzero(~baseline & candidate))
    n = lost + won
    if n == 0:
        return McNemar(0, 0, 1.0, 1.0)
    # P(at most so many of n fair coins).
    two_sided = min(1.0, 2 * float(bdtr(min(lost, won), n, 0.5)))
    return McNemar(lost, won, two_sided, float(bdtr(won, n, 0.5)))


def mean_influence(n: int, parts: Sequence[tuple[NDArray[np.int64], Influence]]) -> Influence:
    """Unweighted mean of estimates that may share images.

    Args:
        n: Images in all.
        parts: For each estimate, its images' positions and its influence on them.
    """
    total = np.zeros(n)
    for where, one in parts:
        total[where] += one.parts / len(parts)
    return Influence(sum(one.value for _, one in parts) / len(parts), total)
