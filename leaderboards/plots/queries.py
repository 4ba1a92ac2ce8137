"""Success over the queries that an attacker spends: one panel an attack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from leaderboards.plots.curves import Axis, curve_table, draw_curves
from leaderboards.plots.evidence import Evidence, Plot
from leaderboards.tables.further.budgets import QUERY_COLUMNS, success_by_queries

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = ("family", *QUERY_COLUMNS, "n_real", "n_fake")


def query_rows(evidence: Evidence) -> pd.DataFrame:
    """Give each detector's share of images fooled by query attacks that stop at success, pooled."""
    everything = evidence.pooled()
    rows = success_by_queries(everything, evidence.columns, evidence.thresholds)
    sizes = {"n_real": int((everything.labels == 0).sum())}
    sizes["n_fake"] = len(everything.rows) - sizes["n_real"]
    points = rows.assign(family=rows["condition"], **sizes)
    return curve_table([points], _COLUMNS, "queries", "success")


def draw_queries(rows: pd.DataFrame, width: float) -> Figure:
    """Draw attack success over queries at a width in mm."""
    return draw_curves(
        rows,
        width,
        panel="condition",
        x=Axis("queries", "queries an image"),
        y=Axis("success", "attack success (share of right verdicts turned)"),
        guess=None,
    )


PLOTS = {
    "queries": Plot(
        summary="attack success over the queries spent, from one run, with bands",
        table=query_rows,
        draw=draw_queries,
        lacking="no query attack that stops at success was scored",
    )
}
