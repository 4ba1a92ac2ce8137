"""How precise an estimate is: the half-width of its 95% interval, and how many images a target needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics.catalogue import metric_of
from leaderboards.statistics.measures import CellScores
from leaderboards.statistics.paired import Influence, difference

# Metrics whose intervals keep their coverage where scoring stops at a target; see docs/cost.md.
METRICS: Final = ("accuracy", "auc", "tpr_at_1_fpr")
_Z: Final = 1.959964


@dataclass(frozen=True, slots=True)
class Precision:
    """A target: the 95% interval of a metric is to reach no further than this from its middle.

    Attributes:
        metric: A name of ``METRICS``.
        half_width: Largest half-width of the interval, in (0, 0.5).
    """

    metric: str
    half_width: float

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ValueError(f"no target for {self.metric!r}; known: {', '.join(METRICS)}")
        if not 0 < self.half_width < 0.5:
            raise ValueError(f"a half-width lies between 0 and 0.5, got {self.half_width!r}")

    def __str__(self) -> str:
        return f"{self.metric}={self.half_width:g}"

    def is_met(
        self,
        labels: NDArray[np.int64],
        logits: NDArray[Any],
        threshold: float,
        clusters: NDArray[np.int64] | None = None,
    ) -> bool:
        """Tell whether the scores of a cell are enough; never where its metric is undefined."""
        return half_width(self.metric, labels, logits, threshold, clusters) <= self.half_width

    def images(self, value: float) -> int:
        """Estimate how many images of each class the target needs, were the metric ``value``.

        For AUC by the variance of binegative-exponential scores (Hanley and McNeil 1982, Radiology 143,
        29-36), for rates by that of the binomial distribution.

        Example:
            >>> Precision("auc", 0.01).images(0.9)
            1952
        """
        if self.metric == "auc":
            q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
            spread = q1 + q2 - 2 * value**2
        else:
            spread = value * (1 - value) / (2 if self.metric == "accuracy" else 1)
        return math.ceil(spread * (_Z / self.half_width) ** 2)


def half_width(
    metric: str,
    labels: NDArray[np.int64],
    logits: NDArray[Any],
    threshold: float = 0.0,
    clusters: NDArray[np.int64] | None = None,
) -> float:
    """Measure the half-width of the 95% interval that a board prints for a metric.

    Where images depend on each other, an interval from what whole clusters contribute counts as well: the
    wider of the two.

    Args:
        metric: Name of a metric with an interval.
        labels: (n,) 1 = AI-generated.
        logits: (n,) finite.
        threshold: Logit above which an image is called fake.
        clusters: (n,) codes of dependent images, from ``cluster_codes``.

    Returns:
        Half of the distance of both ends; infinite where the metric or its interval is undefined.

    Example:
        >>> labels, logits = np.repeat([0, 1], 50), np.tile([0.0, 1.0, 2.0, 3.0, 4.0], 20)
        >>> round(half_width("auc", labels, logits), 3)
        0.11
    """
    record = metric_of(metric)
    assert record is not None
    _, lo, hi = record.measure(CellScores.of(labels, logits, threshold))
    half = (hi - lo) / 2
    if clusters is not None and record.influence is not None:
        estimate = record.influence(labels, logits, threshold)
        nothing = Influence(0.0, np.zeros(estimate.parts.size))
        of_clusters = difference(nothing, estimate, clusters, pairs=len(labels)).sd
        half = max(half, _quantile(clusters) * of_clusters)
    return math.inf if math.isnan(half) else float(half)


def _quantile(clusters: NDArray[np.int64]) -> float:
    """Quantile of Student's t for as many clusters, 1.96 for many."""
    return difference(
        Influence(0.0, np.zeros(clusters.size)), Influence(0.0, np.zeros(clusters.size)), clusters
    ).quantile(0.975)
