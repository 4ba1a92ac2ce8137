"""What a detector trades at every threshold: the ROC curve, and the DET curve on normal deviates."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy.special import ndtri

from leaderboards.plots.evidence import Evidence, Plot
from leaderboards.plots.figure import legend_below, line_look, name_label, one_or_range, panels
from leaderboards.statistics.intervals import wilson
from leaderboards.statistics.operating import roc

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 400  # points a curve; more are not told apart on paper
_COLUMNS = (
    "detector", "fpr", "tpr", "tpr_lo", "tpr_hi", "auc",
    "auc_lo", "auc_hi", "n_real", "n_fake",
)  # fmt: skip
_TICKS: Final = (0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99)


def roc_rows(evidence: Evidence) -> pd.DataFrame:
    """Give the points of each detector's ROC curve on clean images, every image once.

    Returns:
        A row a point, from the strictest threshold on; ``tpr`` with Wilson's 95% interval, ``auc`` with that
        of the pooled cell. Of more than 400 points an even choice.
    """
    pooled = {}
    if evidence.extras is not None:
        pooled = {row["detector"]: row for row in evidence.extras.pooled.to_dict("records")}
    records: list[dict[str, Any]] = []
    for column in evidence.clean():
        groups = evidence.sorted_scores(column)
        if not column.ranked or not groups.n_real or not groups.n_fake:
            continue
        fpr, tpr = roc(groups)
        chosen = np.unique(np.linspace(0, fpr.size - 1, min(_MOST, fpr.size)).round().astype(int))
        cell = pooled.get(column.detector, {})
        head = {
            "detector": column.detector,
            "auc": groups.auc(),
            "auc_lo": cell.get("auc_lo", float("nan")),
            "auc_hi": cell.get("auc_hi", float("nan")),
            "n_real": groups.n_real,
            "n_fake": groups.n_fake,
        }
        for x, y in zip(fpr[chosen].tolist(), tpr[chosen].tolist(), strict=True):
            lo, hi = wilson(round(y * groups.n_fake), groups.n_fake)
            records.append({**head, "fpr": x, "tpr": y, "tpr_lo": lo, "tpr_hi": hi})
    return pd.DataFrame(records, columns=list(_COLUMNS))


def draw_roc(rows: pd.DataFrame, width: float, *, deviates: bool = False) -> Figure:
    """Draw the curves at a width in mm.

    Args:
        rows: What ``roc_rows`` gives.
        width: Width of the figure in mm.
        deviates: Draw misses over false alarms, both on normal deviates, as DET curves are.
    """
    figure, (axes,) = panels(1, width, min(width, 80), legend=rows["detector"], stacked=True)
    for j, (detector, points) in enumerate(rows.groupby("detector", sort=False)):
        first = points.iloc[0]
        label = f"{name_label(detector)}: AUC {first['auc']:.3f}"
        if not np.isnan(first["auc_lo"]):
            label += f" [{first['auc_lo']:.3f}, {first['auc_hi']:.3f}]"
        x, y, lo, hi = (points[c].to_numpy(float) for c in ("fpr", "tpr", "tpr_lo", "tpr_hi"))
        if deviates:
            # Both ends of a curve are infinitely far away: they are no points of it.
            with np.errstate(divide="ignore"):
                x, y, lo, hi = ndtri(x), ndtri(1 - y), ndtri(1 - hi), ndtri(1 - lo)
            x, y = np.where(np.isfinite(x), x, np.nan), np.where(np.isfinite(y), y, np.nan)
            lo, hi = np.clip(lo, -4, 4), np.clip(hi, -4, 4)
        look = line_look(j) | {"marker": "" if len(points) > 40 else line_look(j)["marker"]}
        (line,) = axes.plot(x, y, label=label, **look)
        line.set_gid(f"series-0-{j}")
        band = axes.fill_between(x, lo, hi, color=look["color"], alpha=0.1, linewidth=0)
        band.set_gid(f"band-0-{j}")
    real, fake = (one_or_range(rows[name]) for name in ("n_real", "n_fake"))
    axes.set_xlabel(f"false-positive rate (of {real} reals)")
    if deviates:
        axes.set_ylabel(f"miss rate (of {fake} fakes), 95% bands")
        ticks = ndtri(np.array(_TICKS))
        axes.set_xticks(ticks, [f"{tick:.0%}" for tick in _TICKS])
        axes.set_yticks(ticks, [f"{tick:.0%}" for tick in _TICKS])
        axes.set_xlim(-2.6, 2.6)
        axes.set_ylim(-2.6, 2.6)
    else:
        axes.plot([0, 1], [0, 1], color="#808080", linewidth=0.5, zorder=0)
        axes.set_ylabel(f"true-positive rate (of {fake} fakes), 95% bands")
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    legend_below(figure, width, stacked=True)
    return figure


_LACKING = "no detector is wholly scored, clean, with scores of both classes that can be ranked"
PLOTS = {
    "roc": Plot(
        summary="true- over false-positive rate at every threshold, clean, every image once",
        table=roc_rows,
        draw=draw_roc,
        lacking=_LACKING,
    ),
    "det": Plot(
        summary="misses over false alarms on normal deviates, clean, every image once",
        table=roc_rows,
        draw=partial(draw_roc, deviates=True),
        lacking=_LACKING,
    ),
}
