"""Every number of one cell, from its labels, its raw logits and a threshold."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from numpy.typing import NDArray

from leaderboards.statistics import catalogue
from leaderboards.statistics.measures import CellScores


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics of one cell; positive = AI-generated, rates in [0, 1], undefined = nan.

    With a single class, whatever compares the classes is undefined: ``balanced_accuracy``,
    ``precision``, ``f1``, ``auc``, ``ap``, ``mcc``. ``precision`` is also undefined where nothing is
    called fake. ``recall`` is ``fake_recall`` under the name the field uses; ``real_accuracy`` and
    ``fake_accuracy`` are ``real_recall`` and ``fake_recall`` under those of recent papers. ``*_lo`` and
    ``*_hi`` are 95% intervals: Wilson's for rates, DeLong's on the logit scale for the area under the ROC
    curve (``intervals.auc_interval`` says what happens at perfect separation). Working points, ``eer``,
    ``partial_auc``, ``brier``, ``ece``, ``balanced_nll`` and ``balanced_ece`` are those of ``operating``;
    the last four read the sigmoid of the logit as a probability, whatever the threshold. Formulas are in
    ``catalogue.CATALOGUE``, whose columns these fields are.
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
    real_accuracy: float
    real_accuracy_lo: float
    real_accuracy_hi: float
    fake_accuracy: float
    fake_accuracy_lo: float
    fake_accuracy_hi: float
    mcc: float
    pd_at_10_far: float
    pd_at_10_far_lo: float
    pd_at_10_far_hi: float
    balanced_nll: float
    balanced_ece: float

    def as_dict(self) -> dict[str, int | float]:
        """Map each field's name to its value, in the order of declaration."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def measure(
    labels: NDArray[Any], logits: NDArray[Any], threshold: float = 0.0
) -> dict[str, int | float]:
    """Measure every metric there is on one cell, by column; the scores are sorted once.

    Args:
        labels: (n,) 0 or 1, 1 = AI-generated.
        logits: (n,) floating point, raw (no sigmoid: it makes ties), finite.
        threshold: An image is called fake where its logit is strictly greater.

    Raises:
        ValueError: Labels other than 0/1, shapes that differ, a NaN or infinite logit, a NaN
            threshold.

    Example:
        >>> measure([0, 0, 1, 1], [-1.0, 0.5, 2.0, 3.0])["accuracy"]
        0.75
    """
    cell = CellScores.of(labels, logits, threshold)
    values: dict[str, int | float] = {}
    for metric in catalogue.every_metric():
        value, lo, hi = metric.measure(cell)
        values[metric.name] = value
        if metric.interval:
            values |= zip(metric.interval_columns, (lo, hi), strict=True)
    return values


def evaluate(labels: NDArray[Any], logits: NDArray[Any], threshold: float = 0.0) -> Metrics:
    """Measure the metrics of one cell; arguments and errors are those of ``measure``.

    Example:
        >>> metrics = evaluate([0, 0, 1, 1], [-1.0, 0.5, 2.0, 3.0])
        >>> metrics.auc, metrics.precision, metrics.tp
        (1.0, 0.6666666666666666, 2)
    """
    values = measure(labels, logits, threshold)
    arguments: dict[str, Any] = {field.name: values[field.name] for field in fields(Metrics)}
    return Metrics(**arguments)
