"""The one list of metrics: whatever a board, a gate or a table knows of a metric derives from it.

A metric is added by one record in ``CATALOGUE``, or from elsewhere as an entry point ``bench.metrics``:
it then stands in every cell, in the CSV and the JSON, and, where the record says so, in the tables for
people, the paired tests and the model cards.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics import bootstrap, measures
from leaderboards.statistics.bootstrap import Statistic
from leaderboards.statistics.measures import CellScores, Measure
from leaderboards.statistics.paired import Influence, auc_influence, share_influence
from leaderboards.statistics.plugins.metrics import offered_metrics
from leaderboards.statistics.thresholds import called_fake

Block = Literal["sizes", "core", "further"]
Table = Literal["verdicts", "working points", "model index"]
# (labels (n,), logits (n,), threshold) -> the estimate and each image's contribution to its error.
InfluenceFunction = Callable[[NDArray[np.int64], NDArray[Any], float], Influence]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """All that is known of one metric.

    Attributes:
        name: Column in the CSV and key in the JSON; on the command line and in ``gate.toml`` too.
        title: Header in tables for people.
        formula: Definition in one line.
        measure: Computes value and interval from a cell's scores.
        short: Name inside a sentence and where space is short; "" takes the title in lower case.
        interval: Whether columns ``<name>_lo`` and ``<name>_hi`` hold a 95% interval.
        larger_is_better: Whether a detector improves as the value grows.
        bounds: Least and largest value.
        needs_threshold: Whether it counts verdicts; one that does not rests on logits alone.
        whole: Whether values are whole numbers.
        decimals: Digits after the point in tables for people.
        block: Where its column stands: before the threshold ("sizes"), after it ("core"), or behind
            the columns about attacks ("further").
        interval_block: The same for the columns of the interval; None keeps them beside the value.
        headline: Place among the metrics that head a board, from 1; None where it is none of them.
        tables: Further tables for people in which it stands.
        influence: Gives a paired test in closed form, where there is one.
        statistic: Gives a paired test by resampling, where there is one.
    """

    name: str
    title: str
    formula: str
    measure: Measure
    short: str = ""
    interval: bool = False
    larger_is_better: bool = True
    bounds: tuple[float, float] = (0.0, 1.0)
    needs_threshold: bool = True
    whole: bool = False
    decimals: int = 3
    block: Block = "further"
    interval_block: Block | None = None
    headline: int | None = None
    tables: tuple[Table, ...] = ()
    influence: InfluenceFunction | None = None
    statistic: Statistic | None = None

    @property
    def interval_columns(self) -> tuple[str, ...]:
        """Names of the columns of both ends of the interval; none without an interval."""
        return (f"{self.name}_lo", f"{self.name}_hi") if self.interval else ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all its columns, the value first."""
        return (self.name, *self.interval_columns)

    @property
    def is_paired(self) -> bool:
        """Whether two detectors can be tested for a difference in it."""
        return self.influence is not None or self.statistic is not None

    @property
    def phrase(self) -> str:
        """Name inside a sentence."""
        return self.short or self.title.lower()

    def columns_in(self, block: Block) -> tuple[str, ...]:
        """Names of its columns that stand in one block of a board's columns."""
        ends = self.interval_columns if (self.interval_block or self.block) == block else ()
        return ((self.name, *ends)) if self.block == block else ends

    def show(self, value: float) -> str:
        """Write a value for people; nan as "n/a"."""
        if math.isnan(value):
            return "n/a"
        # Rounding first and adding zero keeps "-0.000" out of tables.
        return f"{round(value, self.decimals) + 0.0:.{self.decimals}f}"


def _share_of(name: str) -> InfluenceFunction:
    """The closed-form test of a metric that is a share of right verdicts."""

    def influence(labels: NDArray[np.int64], logits: NDArray[Any], threshold: float) -> Influence:
        return share_influence(labels, called_fake(logits, threshold) == (labels == 1), name)

    return influence


def _area(labels: NDArray[np.int64], logits: NDArray[Any], threshold: float) -> Influence:
    del threshold
    return auc_influence(labels, logits)


def _count(name: str, title: str, formula: str, block: Block) -> Metric:
    return Metric(
        name=name, title=title, formula=formula, bounds=(0.0, math.inf), whole=True, decimals=0,
        block=block, measure=measures.count(lambda cell: int(getattr(cell, name))),
    )  # fmt: skip


CATALOGUE: tuple[Metric, ...] = (
    _count("n_real", "Real", "number of real images", "sizes"),
    _count("n_fake", "Fake", "number of fake images", "sizes"),
    Metric(
        name="accuracy", title="Accuracy", formula="(TP + TN) / n", measure=measures.accuracy,
        interval=True, block="core", headline=2, tables=("model index",),
        influence=_share_of("accuracy"), statistic=bootstrap.weighted_accuracy,
    ),
    Metric(
        name="balanced_accuracy", title="Balanced accuracy",
        formula="(TP / n_fake + TN / n_real) / 2", measure=measures.balanced_accuracy,
        interval=True, block="core", interval_block="further", tables=("verdicts",),
        influence=_share_of("balanced_accuracy"), statistic=bootstrap.weighted_balanced_accuracy,
    ),
    Metric(
        name="precision", title="Precision", formula="TP / (TP + FP)", measure=measures.precision,
        interval=True, block="core", statistic=bootstrap.weighted_precision,
    ),
    Metric(
        name="recall", title="Recall", formula="TP / n_fake", measure=measures.fake_recall,
        interval=True, block="core",
        influence=_share_of("recall"), statistic=bootstrap.weighted_recall,
    ),
    Metric(
        name="f1", title="F1", short="F1", formula="2 TP / (2 TP + FP + FN)", measure=measures.f1,
        interval=True, block="core", interval_block="further", tables=("model index",),
        statistic=bootstrap.weighted_f1,
    ),
    Metric(
        name="auc", title="AUC", short="AUC", formula="P(fake > real) + P(fake = real) / 2",
        measure=measures.auc, interval=True, needs_threshold=False, block="core", headline=1,
        tables=("model index",), influence=_area, statistic=bootstrap.weighted_auc,
    ),
    Metric(
        name="ap", title="Average precision", short="AP",
        formula="sum over scores, highest first, of (R_k - R_(k-1)) P_k",
        measure=measures.average_precision, needs_threshold=False, block="core",
        tables=("model index",),
    ),
    Metric(
        name="real_recall", title="Real recall", formula="TN / n_real",
        measure=measures.real_recall, interval=True, block="core",
        influence=_share_of("real_recall"), statistic=bootstrap.weighted_real_recall,
    ),
    Metric(
        name="fake_recall", title="Fake recall", formula="TP / n_fake",
        measure=measures.fake_recall, interval=True, block="core",
        influence=_share_of("fake_recall"), statistic=bootstrap.weighted_recall,
    ),
    _count("tp", "TP", "fakes called fake", "core"),
    _count("fp", "FP", "reals called fake", "core"),
    _count("tn", "TN", "reals called real", "core"),
    _count("fn", "FN", "fakes called real", "core"),
    Metric(
        name="tpr_at_1_fpr", title="TPR at 1% FPR", short="TPR at 1% FPR",
        formula="TPR at the least threshold of FPR <= 0.01",
        measure=measures.tpr_at_1_fpr, interval=True, needs_threshold=False,
        tables=("working points",), statistic=bootstrap.weighted_tpr_at(0.01),
    ),
    Metric(
        name="tpr_at_5_fpr", title="TPR at 5% FPR", short="TPR at 5% FPR",
        formula="TPR at the least threshold of FPR <= 0.05",
        measure=measures.tpr_at_5_fpr, interval=True, needs_threshold=False,
        tables=("working points",), statistic=bootstrap.weighted_tpr_at(0.05),
    ),
    Metric(
        name="eer", title="EER", short="EER", formula="FPR where FPR = 1 - TPR",
        measure=measures.equal_error_rate, larger_is_better=False,
        needs_threshold=False, tables=("working points",),
    ),
    Metric(
        name="partial_auc", title="Partial AUC (FPR to 10%)", short="partial AUC",
        formula="(1 + (A - A_guess) / (A_perfect - A_guess)) / 2 over FPR <= 0.1",
        measure=measures.partial_auc, needs_threshold=False, tables=("working points",),
    ),
    Metric(
        name="brier", title="Brier", short="Brier score", formula="mean of (sigmoid(logit) - label)^2",
        measure=measures.brier, larger_is_better=False, needs_threshold=False,
        tables=("working points",),
    ),
    Metric(
        name="ece", title="ECE", short="ECE",
        formula="sum over bins of |sum of (sigmoid(logit) - label)| / n",
        measure=measures.calibration_error, larger_is_better=False, needs_threshold=False,
        tables=("working points",),
    ),
    # The classes' recalls once more, under the names that papers since 2025 print (R.Acc, F.Acc).
    Metric(
        name="real_accuracy", title="Real accuracy", formula="TN / n_real",
        measure=measures.real_recall, interval=True, tables=("verdicts", "model index"),
        influence=_share_of("real_recall"), statistic=bootstrap.weighted_real_recall,
    ),
    Metric(
        name="fake_accuracy", title="Fake accuracy", formula="TP / n_fake",
        measure=measures.fake_recall, interval=True, tables=("verdicts", "model index"),
        influence=_share_of("fake_recall"), statistic=bootstrap.weighted_recall,
    ),
    Metric(
        name="mcc", title="MCC", short="MCC",
        formula="(TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN))",
        measure=measures.matthews_correlation, bounds=(-1.0, 1.0),
        tables=("verdicts", "model index"),
    ),
    Metric(
        name="pd_at_10_far", title="Pd at 10% FAR", short="Pd at 10% FAR",
        formula="TPR at the least threshold of FPR <= 0.1",
        measure=measures.pd_at_10_far, interval=True, needs_threshold=False,
        tables=("working points", "model index"), statistic=bootstrap.weighted_tpr_at(0.1),
    ),
    Metric(
        name="balanced_nll", title="Balanced NLL", short="balanced NLL",
        formula="(mean over fakes of ln(1 + e^-logit) + mean over reals of ln(1 + e^logit)) / 2",
        measure=measures.balanced_nll, bounds=(0.0, math.inf), larger_is_better=False,
        needs_threshold=False, tables=("working points", "model index"),
    ),
    Metric(
        name="balanced_ece", title="Balanced ECE", short="balanced ECE",
        formula="sum over bins of |sum of (sigmoid(logit) - label) / (2 n_class)|",
        measure=measures.balanced_calibration_error, larger_is_better=False, needs_threshold=False,
    ),
)  # fmt: skip


def every_metric() -> tuple[Metric, ...]:
    """List the metrics of the catalogue, then those that other distributions offer.

    Raises:
        MetricPluginError: One of these cannot be loaded or breaks its protocol.
    """
    return (*CATALOGUE, *offered_metrics(CATALOGUE, _trials()))


@functools.cache
def _trials() -> tuple[CellScores, ...]:
    """Cells on which a metric from elsewhere must answer: both classes, ties, and one class alone."""
    cells = (
        ([0, 0, 1, 1], [-1.0, 0.5, 0.25, 3.0]), ([0, 1, 1], [0.0, 0.0, 0.0]),
        ([0, 0], [-1.0, 2.0]), ([1, 1], [-1.0, 2.0]),
    )  # fmt: skip
    return tuple(CellScores.of(np.array(labels), np.array(logits)) for labels, logits in cells)


def metric_of(column: str) -> Metric | None:
    """Find the metric that a column of a board belongs to; None for other columns.

    Example:
        >>> metric_of("auc_lo").title
        'AUC'
    """
    return next((metric for metric in every_metric() if column in metric.columns), None)


def headline_metrics() -> tuple[Metric, ...]:
    """List the metrics that head a board, the leading one first.

    Example:
        >>> [metric.name for metric in headline_metrics()]
        ['auc', 'accuracy']
    """
    leading = [metric for metric in CATALOGUE if metric.headline is not None]
    return tuple(sorted(leading, key=lambda metric: metric.headline or 0))


def metrics_in(table: Table) -> tuple[Metric, ...]:
    """List the metrics of one table for people, those that head a board first."""
    members = [
        metric for metric in (*headline_metrics(), *every_metric()) if table in metric.tables
    ]
    return tuple(dict.fromkeys(members))


def paired_metrics() -> dict[str, Metric]:
    """List by name the metrics in which two detectors can be tested for a difference."""
    members = [metric for metric in (*headline_metrics(), *every_metric()) if metric.is_paired]
    return {metric.name: metric for metric in members}


def columns_in(block: Block, among: Iterable[Metric] | None = None) -> tuple[str, ...]:
    """Name a block of a board's columns, in their order: of every metric, or of some."""
    metrics = every_metric() if among is None else among
    return tuple(name for metric in metrics for name in metric.columns_in(block))


def count_columns() -> tuple[str, ...]:
    """Name the columns that hold whole numbers."""
    return tuple(metric.name for metric in every_metric() if metric.whole)


def logit_columns() -> tuple[str, ...]:
    """Name the columns that rest on the order or size of logits, not on verdicts."""
    return tuple(
        name for metric in every_metric() if not metric.needs_threshold for name in metric.columns
    )
