"""Every number of one cell, from its labels, its raw logits and a threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics import operating
from leaderboards.statistics.intervals import NAN, Interval, auc_interval, delong_of, wilson
from leaderboards.statistics.ranking import TieGroups, is_fake_mask, tie_groups


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics of one cell; positive = AI-generated, rates in [0, 1], undefined = nan.

    With a single class, whatever compares the classes is undefined: ``balanced_accuracy``,
    ``precision``, ``f1``, ``auc``, ``ap``. ``precision`` is also undefined where nothing is called
    fake. ``recall`` is ``fake_recall`` under the name the field uses. ``*_lo`` and ``*_hi`` are 95%
    intervals: Wilson's for rates, DeLong's on the logit scale for the area under the ROC curve
    (``intervals.auc_interval`` says what happens at perfect separation). Working points, ``eer``,
    ``partial_auc``, ``brier`` and ``ece`` are those of ``operating``; the last two read the sigmoid of
    the logit as a probability, whatever the threshold.
    """

    n_real: int
    n_fake: int
    tp: int
    fp: int
    tn: int
    fn: int
    accuracy: float
    accuracy_lo: float
    accuracy_hi: float
    balanced_accuracy: float
    precision: float
    precision_lo: float
    precision_hi: float
    recall: float
    recall_lo: float
    recall_hi: float
    f1: float
    auc: float
    auc_lo: float
    auc_hi: float
    ap: float
    real_recall: float
    real_recall_lo: float
    real_recall_hi: float
    fake_recall: float
    fake_recall_lo: float
    fake_recall_hi: float
    balanced_accuracy_lo: float
    balanced_accuracy_hi: float
    f1_lo: float
    f1_hi: float
    tpr_at_1_fpr: float
    tpr_at_1_fpr_lo: float
    tpr_at_1_fpr_hi: float
    tpr_at_5_fpr: float
    tpr_at_5_fpr_lo: float
    tpr_at_5_fpr_hi: float
    eer: float
    partial_auc: float
    brier: float
    ece: float

    def as_dict(self) -> dict[str, int | float]:
        """Field name to value, in the order of declaration."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class _Rate:
    value: float
    interval: Interval

    @classmethod
    def of(cls, k: int, n: int) -> _Rate:
        return cls(k / n if n else NAN, wilson(k, n))


_UNDEFINED = _Rate(NAN, Interval(NAN, NAN))


def called_fake(logits: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """The decision rule: strictly above the threshold is called fake.

    Args:
        logits: (n,) floating point.
        threshold: On the logit scale. Compared in float64, so a threshold is never rounded to the
            precision of the scores.
    """
    return np.asarray(logits).astype(np.float64) > threshold


def evaluate(labels: NDArray[Any], logits: NDArray[Any], threshold: float = 0.0) -> Metrics:
    """All metrics of one cell; the scores are sorted once.

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
    fake = is_fake_mask(labels)
    logits = np.asarray(logits)
    groups = tie_groups(fake, logits)
    n_fake = int(np.count_nonzero(fake))
    n_real = fake.size - n_fake
    positive = called_fake(logits, threshold)
    tp = int(np.count_nonzero(positive & fake))
    fp = int(np.count_nonzero(positive)) - tp
    tn, fn = n_real - fp, n_fake - tp

    both = n_real > 0 and n_fake > 0
    accuracy = _Rate.of(tp + tn, n_real + n_fake)
    precision = _Rate.of(tp, tp + fp) if both else _UNDEFINED
    on_fakes = _Rate.of(tp, n_fake)
    on_reals = _Rate.of(tn, n_real)
    area = delong_of(groups)
    area_lo, area_hi = auc_interval(area, n_real, n_fake)
    return Metrics(
        n_real=n_real,
        n_fake=n_fake,
        tp=tp,
        fp=fp,
        tn=tn,
        fn=fn,
        accuracy=accuracy.value,
        accuracy_lo=accuracy.interval.lo,
        accuracy_hi=accuracy.interval.hi,
        balanced_accuracy=(on_fakes.value + on_reals.value) / 2,
        precision=precision.value,
        precision_lo=precision.interval.lo,
        precision_hi=precision.interval.hi,
        recall=on_fakes.value,
        recall_lo=on_fakes.interval.lo,
        recall_hi=on_fakes.interval.hi,
        f1=2 * tp / (2 * tp + fp + fn) if both else NAN,
        auc=area.auc,
        auc_lo=area_lo,
        auc_hi=area_hi,
        ap=groups.average_precision(),
        real_recall=on_reals.value,
        real_recall_lo=on_reals.interval.lo,
        real_recall_hi=on_reals.interval.hi,
        fake_recall=on_fakes.value,
        fake_recall_lo=on_fakes.interval.lo,
        fake_recall_hi=on_fakes.interval.hi,
        **_further(groups, fake, logits, (tp, fp), (on_fakes, on_reals)),
    )


def _further(
    groups: TieGroups,
    fake: NDArray[np.bool_],
    logits: NDArray[Any],
    positives: tuple[int, int],
    rates: tuple[_Rate, _Rate],
) -> dict[str, float]:
    """Working points, calibration, and the intervals of balanced accuracy and F1."""
    found: dict[str, float] = {
        "eer": operating.equal_error_rate(groups),
        "partial_auc": operating.partial_auc(groups),
        "brier": operating.brier(fake, logits),
        "ece": operating.calibration_error(fake, logits),
    }
    intervals = {
        "balanced_accuracy": operating.mean_of_two(
            rates[0].interval, rates[1].interval, (rates[0].value, rates[1].value)
        ),
        "f1": operating.f1_interval(*positives, groups.n_fake, groups.n_real),
    }
    for name, fpr in (("tpr_at_1_fpr", 0.01), ("tpr_at_5_fpr", 0.05)):
        value, lo, hi = operating.tpr_at_fpr(groups, fpr)
        found[name], intervals[name] = value, Interval(lo, hi)
    for name, interval in intervals.items():
        found[f"{name}_lo"], found[f"{name}_hi"] = interval
    return found
