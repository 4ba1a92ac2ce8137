"""The metrics of one cell, a function each: from sorted and counted scores to a value and its interval.

Positive = AI-generated; rates lie in [0, 1]; undefined is nan. TP, FP, TN and FN are the fakes called
fake, the reals called fake, the reals called real and the fakes called real.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics import operating
from leaderboards.statistics.intervals import NAN, auc_interval, delong_of, wilson
from leaderboards.statistics.operating import UNDEFINED, Estimate
from leaderboards.statistics.ranking import TieGroups, is_fake_mask, tie_groups
from leaderboards.statistics.thresholds import called_fake


@dataclass(frozen=True, slots=True, eq=False)
class CellScores:
    """The scores of one cell, sorted once and counted against the threshold.

    Attributes:
        fake: (n,) bool, true for fakes.
        logits: (n,) floating point, finite.
        groups: Both classes counted by distinct score.
        tp: Fakes called fake.
        fp: Reals called fake.
        tn: Reals called real.
        fn: Fakes called real.
    """

    fake: NDArray[np.bool_]
    logits: NDArray[Any]
    groups: TieGroups
    tp: int
    fp: int
    tn: int
    fn: int

    @classmethod
    def of(cls, labels: Any, logits: Any, threshold: float = 0.0) -> CellScores:
        """Sort and count the scores of a cell.

        Args:
            labels: (n,) 0 or 1, 1 = AI-generated.
            logits: (n,) floating point, raw (no sigmoid: it makes ties), finite.
            threshold: An image is called fake where its logit is strictly greater.

        Raises:
            ValueError: Labels other than 0/1, shapes that differ, a NaN or infinite logit, a NaN
                threshold.
        """
        if math.isnan(threshold):
            raise ValueError("the threshold is NaN; use 0 or a calibrated logit")
        fake, logits = is_fake_mask(labels), np.asarray(logits)
        groups = tie_groups(fake, logits)
        n_fake = int(np.count_nonzero(fake))
        positive = called_fake(logits, threshold)
        tp = int(np.count_nonzero(positive & fake))
        fp = int(np.count_nonzero(positive)) - tp
        return cls(fake, logits, groups, tp, fp, fake.size - n_fake - fp, n_fake - tp)

    @property
    def n_real(self) -> int:
        """Number of real images."""
        return self.tn + self.fp

    @property
    def n_fake(self) -> int:
        """Number of fake images."""
        return self.tp + self.fn

    @property
    def has_both(self) -> bool:
        """Whether there are images of both classes, without which nothing can be compared."""
        return self.n_real > 0 and self.n_fake > 0


Measure = Callable[[CellScores], Estimate]


def accuracy(cell: CellScores) -> Estimate:
    """Share of images whose verdict is right, with Wilson's interval: ``(TP + TN) / n``.

    Example:
        >>> accuracy(CellScores.of([0, 0, 1, 1], [-1.0, 0.5, 2.0, 3.0])).value
        0.75
    """
    return _share(cell.tp + cell.tn, cell.n_real + cell.n_fake)


def balanced_accuracy(cell: CellScores) -> Estimate:
    """Mean of both classes' recalls, with Newcombe's interval: ``(TP / n_fake + TN / n_real) / 2``.

    Example:
        >>> balanced_accuracy(CellScores.of([0, 0, 1], [-1.0, 0.5, 2.0])).value
        0.75

    Source:
        Brodersen and others (2010), ICPR, 3121-3124.
    """
    fakes, reals = fake_recall(cell), real_recall(cell)
    interval = operating.mean_of_two(fakes.interval, reals.interval, (fakes.value, reals.value))
    return Estimate((fakes.value + reals.value) / 2, *interval)


def precision(cell: CellScores) -> Estimate:
    """Share of fakes among images called fake, with Wilson's interval: ``TP / (TP + FP)``.

    Undefined with a single class, and where nothing is called fake.

    Example:
        >>> precision(CellScores.of([0, 0, 1, 1], [-1.0, 0.5, 2.0, -3.0])).value
        0.5
    """
    return _share(cell.tp, cell.tp + cell.fp) if cell.has_both else UNDEFINED


def fake_recall(cell: CellScores) -> Estimate:
    """Share of fakes called fake (true-positive rate), with Wilson's interval: ``TP / n_fake``.

    Example:
        >>> fake_recall(CellScores.of([0, 1, 1], [-1.0, 2.0, -3.0])).value
        0.5
    """
    return _share(cell.tp, cell.n_fake)


def real_recall(cell: CellScores) -> Estimate:
    """Share of reals called real (true-negative rate), with Wilson's interval: ``TN / n_real``.

    Example:
        >>> real_recall(CellScores.of([0, 0, 1], [-1.0, 2.0, 3.0])).value
        0.5
    """
    return _share(cell.tn, cell.n_real)


def f1(cell: CellScores) -> Estimate:
    """Harmonic mean of precision and recall, with its interval: ``2 TP / (2 TP + FP + FN)``.

    Undefined with a single class; 0 where no fake is called fake.

    Example:
        >>> f1(CellScores.of([0, 1, 1], [0.5, 2.0, -3.0])).value
        0.5

    Source:
        van Rijsbergen (1979), Information Retrieval, chapter 7; the interval is
        ``operating.f1_interval``.
    """
    interval = operating.f1_interval(cell.tp, cell.fp, cell.n_fake, cell.n_real)
    value = 2 * cell.tp / (2 * cell.tp + cell.fp + cell.fn) if cell.has_both else NAN
    return Estimate(value, *interval)


def auc(cell: CellScores) -> Estimate:
    """Area under the ROC curve, with DeLong's interval: ``P(fake > real) + P(fake = real) / 2``.

    Example:
        >>> auc(CellScores.of([0, 0, 1, 1], [-1.0, 2.5, 2.0, 3.0])).value
        0.75

    Source:
        Hanley and McNeil (1982), Radiology 143, 29-36; the interval is ``intervals.auc_interval``.
    """
    estimate = delong_of(cell.groups)
    return Estimate(estimate.auc, *auc_interval(estimate, cell.n_real, cell.n_fake))


def average_precision(cell: CellScores) -> Estimate:
    """Mean precision at the scores of the fakes: ``sum_k (R_k - R_(k-1)) P_k``, highest score first.

    ``P_k`` and ``R_k`` are precision and recall where the k highest distinct scores are called fake.

    Example:
        >>> round(average_precision(CellScores.of([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])).value, 4)
        0.8333

    Source:
        As scikit-learn's ``average_precision_score``: no interpolation, ties enter together.
    """
    return _without_interval(cell.groups.average_precision())


def tpr_at_1_fpr(cell: CellScores) -> Estimate:
    """Share of fakes found where at most 1% of reals are called fake; see ``operating.tpr_at_fpr``.

    Example:
        >>> labels, logits = [0] * 100 + [1, 1], [*range(100), 98.5, 99.5]
        >>> tpr_at_1_fpr(CellScores.of(labels, logits)).value
        1.0
    """
    return operating.tpr_at_fpr(cell.groups, 0.01)


def tpr_at_5_fpr(cell: CellScores) -> Estimate:
    """Share of fakes found where at most 5% of reals are called fake; see ``operating.tpr_at_fpr``.

    Example:
        >>> labels, logits = [0] * 20 + [1, 1], [*range(20), 17.5, 18.5]
        >>> tpr_at_5_fpr(CellScores.of(labels, logits)).value
        0.5
    """
    return operating.tpr_at_fpr(cell.groups, 0.05)


def equal_error_rate(cell: CellScores) -> Estimate:
    """Error rate where as many reals are called fake as fakes are missed: ``FPR = 1 - TPR``.

    Example:
        >>> equal_error_rate(CellScores.of([0, 0, 1, 1], [-1.0, 2.5, 2.0, 3.0])).value
        0.5
    """
    return _without_interval(operating.equal_error_rate(cell.groups))


def partial_auc(cell: CellScores) -> Estimate:
    """Area under the ROC curve up to an FPR of 10%, scaled; see ``operating.partial_auc``.

    Example:
        >>> partial_auc(CellScores.of([0, 0, 1, 1], [-1.0, 0.5, 2.0, 3.0])).value
        1.0
    """
    return _without_interval(operating.partial_auc(cell.groups))


def brier(cell: CellScores) -> Estimate:
    """Mean squared error of ``sigmoid(logit)`` as a probability; see ``operating.brier``.

    Example:
        >>> brier(CellScores.of([0, 1], [0.0, 0.0])).value
        0.25
    """
    return _without_interval(operating.brier(cell.fake, cell.logits))


def calibration_error(cell: CellScores) -> Estimate:
    """Gap between ``sigmoid(logit)`` and the share of fakes; see ``operating.calibration_error``.

    Example:
        >>> calibration_error(CellScores.of([0, 1], [0.0, 0.0])).value
        0.0
    """
    return _without_interval(operating.calibration_error(cell.fake, cell.logits))


def pd_at_10_far(cell: CellScores) -> Estimate:
    """Share of fakes found where at most 10% of reals are called fake; see ``operating.tpr_at_fpr``.

    Forensics calls these the probability of detection (Pd) and the false-alarm rate (FAR).

    Example:
        >>> labels, logits = [0] * 10 + [1, 1], [*range(10), 7.5, 8.5]
        >>> pd_at_10_far(CellScores.of(labels, logits)).value
        0.5
    """
    return operating.tpr_at_fpr(cell.groups, 0.1)


def matthews_correlation(cell: CellScores) -> Estimate:
    """Correlation of verdict and label: ``(TP TN - FP FN) / sqrt of the four margins' product``.

    The margins are TP + FP, TP + FN, TN + FP and TN + FN. Undefined with a single class; 0 where all
    verdicts are alike, as in scikit-learn.

    Example:
        >>> round(matthews_correlation(CellScores.of([0, 0, 1, 1], [-1.0, 0.5, 2.0, 3.0])).value, 4)
        0.5774

    Source:
        Matthews (1975), Biochimica et Biophysica Acta 405, 442-451; Chicco and Jurman (2020), BMC Genomics
        21:6, for the limit 0.
    """
    if not cell.has_both:
        return UNDEFINED
    called = (cell.tp + cell.fp) * (cell.tn + cell.fn)
    # Whole numbers of any size: products of four counts would overflow 64 bits.
    margins = called * cell.n_fake * cell.n_real
    covariance = cell.tp * cell.tn - cell.fp * cell.fn
    return _without_interval(covariance / math.sqrt(margins) if margins else 0.0)


def balanced_nll(cell: CellScores) -> Estimate:
    """Negative log-likelihood of ``sigmoid(logit)``, classes weighted alike; see ``operating.balanced_nll``.

    Example:
        >>> round(balanced_nll(CellScores.of([0, 1, 1], [0.0, 0.0, 0.0])).value, 4)
        0.6931
    """
    return _without_interval(operating.balanced_nll(cell.fake, cell.logits))


def balanced_calibration_error(cell: CellScores) -> Estimate:
    """Calibration error with classes weighted alike; see ``operating.balanced_calibration_error``.

    Example:
        >>> balanced_calibration_error(CellScores.of([0, 1, 1], [0.0, 0.0, 0.0])).value
        0.0
    """
    return _without_interval(operating.balanced_calibration_error(cell.fake, cell.logits))


def count(number: Callable[[CellScores], int]) -> Measure:
    """Make a measure of a number of images, which has no interval.

    Example:
        >>> count(lambda cell: cell.n_fake)(CellScores.of([0, 1, 1], [-1.0, 2.0, 3.0])).value
        2
    """
    return lambda cell: _without_interval(number(cell))


def _share(k: int, n: int) -> Estimate:
    return Estimate(k / n if n else NAN, *wilson(k, n))


def _without_interval(value: float) -> Estimate:
    return Estimate(value, NAN, NAN)
