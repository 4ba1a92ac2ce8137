"""Robustness against cleanliness: mean AUC under the conditions over AUC on clean images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leaderboards.plots.evidence import Evidence, Plot
from leaderboards.plots.figure import legend_below, line_look, name_label, one_or_range, panels
from leaderboards.tables.cells import CLEAN, RAW
from leaderboards.tables.condition_means import OTHERS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CLEAN = ("clean", "clean_lo", "clean_hi")
_ROBUST = ("robust", "robust_lo", "robust_hi")
_COLUMNS = (
    "detector",
    "basis",
    "n_slices",
    "n_real",
    "n_fake",
    "n_independent",
    "n_conditions",
    *_CLEAN,
    *_ROBUST,
)


def tradeoff_rows(evidence: Evidence) -> pd.DataFrame:
    """Give each detector's AUC clean and over its other conditions; those that lack a number are left out."""
    means = evidence.means
    parts = ("auc", "auc_lo", "auc_hi")
    beside = means[~means["condition"].isin([CLEAN, RAW, OTHERS])]
    # A detector's single condition is its own mean.
    single = beside.groupby("detector").filter(lambda part: len(part) == 1)
    robust = pd.concat([means[means["condition"] == OTHERS], single]).set_index("detector")
    table = means[means["condition"] == CLEAN].rename(columns=dict(zip(parts, _CLEAN, strict=True)))
    for old, new in zip(parts, _ROBUST, strict=True):
        table[new] = table["detector"].map(robust[old]).astype("float64")
    table["n_conditions"] = table["detector"].map(beside.groupby("detector").size())
    table = table[table["clean"].notna() & table["robust"].notna()]
    return table.reindex(columns=list(_COLUMNS)).reset_index(drop=True)


def draw_tradeoff(rows: pd.DataFrame, width: float) -> Figure:
    """Draw one point a detector at a width in mm, with both intervals."""
    figure, (axes,) = panels(1, width, min(width, 80), legend=rows["detector"])
    axes.plot([0, 1], [0, 1], color="#808080", linewidth=0.5, zorder=0)
    for j, row in enumerate(rows.to_dict("records")):
        x, y = float(row["clean"]), float(row["robust"])
        errors = [
            np.maximum(0, np.nan_to_num([[value - row[lo]], [row[hi] - value]]))
            for value, (_, lo, hi) in ((x, _CLEAN), (y, _ROBUST))
        ]
        look = line_look(j) | {"linestyle": ""}
        drawn = axes.errorbar(
            [x], [y], xerr=errors[0], yerr=errors[1], capsize=1.5, elinewidth=0.6,
            label=name_label(row["detector"]), **look,
        )  # fmt: skip
        drawn[0].set_gid(f"series-0-{j}")
    lowest = rows[["clean_lo", "robust_lo", "clean", "robust"]].min().min()
    least = max(0.0, min(0.45, float(lowest) - 0.03))
    axes.set_xlim(least, 1.02)
    axes.set_ylim(least, 1.02)
    real, fake = (one_or_range(rows[name]) for name in ("n_real", "n_fake"))
    basis = " or ".join(dict.fromkeys(rows["basis"]))
    axes.set_xlabel(f"AUC, clean (mean over {one_or_range(rows['n_slices'])} {basis} slices)")
    axes.set_ylabel(f"AUC, mean over {one_or_range(rows['n_conditions'])} conditions")
    units = one_or_range(rows["n_independent"])
    sizes = f"n = {real} real, {fake} fake, {units} independent units;\nbars: 95% intervals"
    figure.suptitle(sizes, fontsize=6)
    legend_below(figure, width)
    return figure


PLOTS = {
    "tradeoff": Plot(
        summary="mean AUC under the conditions over AUC on clean images",
        table=tradeoff_rows,
        draw=draw_tradeoff,
        lacking="no detector is scored both clean and under another condition",
    )
}
