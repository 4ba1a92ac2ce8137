"""What an attacker gets for a larger budget: accuracy over eps, one panel an attack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from leaderboards.plots.curves import Axis, curve_table, draw_curves
from leaderboards.plots.evidence import Evidence, Plot
from leaderboards.tables.cells import CLEAN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = (
    "detector", "family", "norm", "eps", "condition", "basis", "n_slices", "n_real", "n_fake",
    "n_independent", "accuracy", "accuracy_lo", "accuracy_hi",
)  # fmt: skip


def budget_rows(evidence: Evidence) -> pd.DataFrame:
    """Give each detector's mean accuracy by attack and budget in units of [0, 1]; eps 0 is clean."""
    families: dict[str, list[str]] = {}
    facts = evidence.notes.attacks
    for condition in facts:
        families.setdefault(facts[condition].family, []).append(condition)
    parts = []
    for family, members in families.items():
        if len({facts[condition].eps for condition in members}) < 2:
            continue
        for condition in [CLEAN, *members]:
            part = evidence.means[evidence.means["condition"] == condition]
            eps = 0.0 if condition == CLEAN else facts[condition].eps
            parts.append(part.assign(family=family, norm=facts[members[0]].norm, eps=eps))
    return curve_table(parts, _COLUMNS, "eps", "accuracy")


def draw_budget(rows: pd.DataFrame, width: float) -> Figure:
    """Draw accuracy over eps at a width in mm."""
    return draw_curves(
        rows,
        width,
        panel="family",
        x=Axis("eps", "eps, of pixels in 0 to 1"),
        y=Axis("accuracy", "accuracy (share called right)"),
    )


PLOTS = {
    "eps": Plot(
        summary="accuracy over the budget of each attack, with bands",
        table=budget_rows,
        draw=draw_budget,
        lacking="no attack was scored at two budgets",
    )
}
