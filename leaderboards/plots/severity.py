"""What is lost as a corruption grows: AUC by strength, one panel a corruption."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from leaderboards.plots.curves import Axis, curve_table, draw_curves
from leaderboards.plots.evidence import Evidence, Plot
from leaderboards.tables.cells import CLEAN
from leaderboards.tables.severity import severity_series

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = (
    "detector", "family", "strength", "condition", "basis", "n_slices", "n_real", "n_fake", "n_independent",
    "auc", "auc_lo", "auc_hi",
)  # fmt: skip


def severity_rows(evidence: Evidence) -> pd.DataFrame:
    """Give each detector's mean AUC by corruption and strength; strength 0 is clean, once a corruption."""
    parts = []
    for family, members in severity_series(evidence.notes.curves).items():
        if len(members) < 2:
            continue
        for strength, condition in enumerate([CLEAN, *members]):
            part = evidence.means[evidence.means["condition"] == condition]
            parts.append(part.assign(family=family, strength=strength))
    return curve_table(parts, _COLUMNS, "strength", "auc")


def draw_severity(rows: pd.DataFrame, width: float) -> Figure:
    """Draw AUC over strength at a width in mm."""
    return draw_curves(
        rows,
        width,
        panel="family",
        x=Axis("strength", "strength (0 = clean)"),
        y=Axis("auc", "AUC (0.5 = guessing)"),
    )


PLOTS = {
    "severity": Plot(
        summary="AUC over the strength of each corruption, with bands",
        table=severity_rows,
        draw=draw_severity,
        lacking="no corruption was scored at two strengths",
    )
}
