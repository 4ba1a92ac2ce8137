"""Robust accuracy at every budget, from the distances of one minimal-norm attack: one panel an attack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leaderboards.plots.curves import Axis, curve_table, draw_curves
from leaderboards.plots.evidence import Evidence, Plot
from leaderboards.statistics.intervals import wilson
from leaderboards.tables.cells import cell_state
from leaderboards.tables.measures.distances import distances_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = (
    "detector", "family", "condition", "norm", "eps", "n_real", "n_fake", "accuracy", "accuracy_lo",
    "accuracy_hi",
)  # fmt: skip
# Budgets that a curve is drawn through, evenly up to where nearly all images are fooled.
_POINTS = 60
_SHOWN = 0.98


def distance_rows(evidence: Evidence) -> pd.DataFrame:
    """Give each detector's share of images that no change of length eps or less fools, pooled."""
    everything = evidence.pooled()
    parts = []
    for column in evidence.columns:
        part = column.part(everything)
        if not column.distance_norm or cell_state(column, part.rows).status != "ok":
            continue
        distances = distances_of(column, part, evidence.thresholds.get(column.detector, 0.0))
        finite = distances[np.isfinite(distances)]
        if not finite.size:
            continue
        last = float(np.quantile(finite, _SHOWN)) or 1.0
        points: list[dict[str, Any]] = []
        for eps in np.linspace(0, last, _POINTS):
            robust = int((distances > eps + 1e-6).sum())
            low, high = wilson(robust, distances.size)
            points.append(
                {
                    "detector": column.detector,
                    "family": column.condition,
                    "condition": column.condition,
                    "norm": column.distance_norm,
                    "eps": float(eps),
                    "n_real": int((part.labels == 0).sum()),
                    "n_fake": int((part.labels == 1).sum()),
                    "accuracy": robust / distances.size,
                    "accuracy_lo": low,
                    "accuracy_hi": high,
                }
            )
        parts.append(pd.DataFrame(points))
    return curve_table(parts, _COLUMNS, "eps", "accuracy")


def draw_distance(rows: pd.DataFrame, width: float) -> Figure:
    """Draw robust accuracy over eps at a width in mm."""
    return draw_curves(
        rows,
        width,
        panel="condition",
        x=Axis("eps", "budget eps (pixels in 0 to 1; 0 = clean)"),
        y=Axis("accuracy", "robust accuracy (share with a larger distance)"),
        guess=None,
    )


PLOTS = {
    "distance": Plot(
        summary="robust accuracy at every budget, from one run of a minimal-norm attack, with bands",
        table=distance_rows,
        draw=draw_distance,
        lacking="no minimal-norm attack was scored",
    )
}
