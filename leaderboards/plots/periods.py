"""Detection over time: AUC by release date or by days since the first post, one panel an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from leaderboards.plots.curves import sizes_line
from leaderboards.plots.evidence import Evidence, Plot
from leaderboards.plots.figure import legend_below, line_look, name_label, panels
from leaderboards.tables.further.periods import PERIOD_COLUMNS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def period_rows(evidence: Evidence) -> pd.DataFrame:
    """Give AUC by period, as the board's table over time has it."""
    if evidence.extras is None or evidence.extras.periods is None:
        return pd.DataFrame(columns=list(PERIOD_COLUMNS))
    periods = evidence.extras.periods
    return periods[periods["auc"].notna()].reset_index(drop=True)


def draw_periods(rows: pd.DataFrame, width: float) -> Figure:
    """Draw AUC over periods at a width in mm; the period after a detector's training has an open marker."""
    names = list(dict.fromkeys(rows["axis"]))
    detectors = list(dict.fromkeys(rows["detector"]))
    figure, axes = panels(len(names), width, 58, least=80, legend=detectors)
    for i, (one, name) in enumerate(zip(axes, names, strict=True)):
        of_axis = rows[rows["axis"] == name]
        periods = list(dict.fromkeys(of_axis["period"]))
        for j, detector in enumerate(detectors):
            points = of_axis[of_axis["detector"] == detector]
            x = np.array([periods.index(period) for period in points["period"]], dtype=float)
            y, lo, hi = (points[c].to_numpy(float) for c in ("auc", "auc_lo", "auc_hi"))
            errors = np.maximum(0, np.nan_to_num(np.stack([y - lo, hi - y])))
            drawn = one.errorbar(
                x, y, yerr=errors, capsize=1.5, elinewidth=0.6, label=name_label(detector),
                **line_look(j),
            )  # fmt: skip
            drawn[0].set_gid(f"series-{i}-{j}")
            following = points["next"].to_numpy(bool)
            one.plot(
                x[following], y[following], linestyle="", marker="o", markersize=7,
                markerfacecolor="none", markeredgecolor="#808080",
            )  # fmt: skip
        one.axhline(0.5, color="#808080", linewidth=0.5, zorder=0)
        one.set_xticks(
            range(len(periods)), [name_label(p, 28) for p in periods],
            rotation=30, ha="right", rotation_mode="anchor",
        )  # fmt: skip
        one.set_xlabel(name_label(name))
        one.set_ylim(-0.03, 1.03)
    figure.supylabel("AUC, clean (ring: next period)", fontsize=7)
    figure.suptitle(sizes_line(rows).replace("bands", "bars"), fontsize=6)
    legend_below(figure, width)
    return figure


PLOTS = {
    "time": Plot(
        summary="AUC over the generators' release dates or the days since an image was posted",
        table=period_rows,
        draw=draw_periods,
        lacking="its data tell of no time",
    )
}
