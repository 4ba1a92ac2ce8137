"""Right and wrong verdicts by class: a square of counts and shares, one a detector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leaderboards.plots.evidence import Evidence, Plot
from leaderboards.plots.figure import name_label, one_or_range, panels
from leaderboards.plots.matrix import fill_matrix
from leaderboards.statistics.intervals import wilson
from leaderboards.statistics.thresholds import called_fake

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = ("detector", "truth", "verdict", "count", "n", "share", "share_lo", "share_hi")
_KINDS = ("real", "AI-generated")


def confusion_rows(evidence: Evidence) -> pd.DataFrame:
    """Count verdicts on clean images by class, every image once; shares with Wilson's intervals."""
    everything = evidence.pooled()
    fake = everything.labels == 1
    records: list[dict[str, Any]] = []
    for column in evidence.clean():
        threshold = evidence.thresholds.get(column.detector, float("nan"))
        if np.isnan(threshold):
            continue
        verdict = called_fake(column.logits[everything.rows], threshold)
        for truth, of_class in zip(_KINDS, (~fake, fake), strict=True):
            n = int(np.count_nonzero(of_class))
            if not n:
                continue
            for name, called in zip(_KINDS, (~verdict, verdict), strict=True):
                count = int(np.count_nonzero(of_class & called))
                lo, hi = wilson(count, n)
                records.append(
                    {
                        "detector": column.detector, "truth": truth, "verdict": name, "count": count,
                        "n": n, "share": count / n, "share_lo": lo, "share_hi": hi,
                    }
                )  # fmt: skip
    return pd.DataFrame(records, columns=list(_COLUMNS))


def draw_confusion(rows: pd.DataFrame, width: float) -> Figure:
    """Draw a square for each detector at a width in mm, shaded by the share of the class."""
    names = list(dict.fromkeys(rows["detector"]))
    figure, axes = panels(len(names), width, 40)
    for i, (one, name) in enumerate(zip(axes, names, strict=True)):
        counted = rows[rows["detector"] == name]
        cells = {
            (row["truth"], row["verdict"]): (
                row["share"], row["share_lo"], row["share_hi"], f" (n = {row['count']})",
            )
            for row in counted.to_dict("records")
        }  # fmt: skip
        fill_matrix(one, cells, (_KINDS, _KINDS), room=20)
        for j, text in enumerate(one.texts):
            text.set_gid(f"cell-{i}-{j}")
        one.set_xticks([0, 1], list(_KINDS))
        one.set_yticks([0, 1], list(_KINDS), rotation=90, va="center")
        one.set_xlabel("verdict")
        one.set_title(name_label(name, 28))
    figure.supylabel("truth", fontsize=7)
    n = {k: one_or_range(rows.loc[rows["truth"] == k, "n"]) for k in _KINDS}
    figure.suptitle(
        f"share of the class, 95% interval; n = {n['real']} real, {n['AI-generated']} AI-generated; clean",
        fontsize=6,
    )
    return figure


PLOTS = {
    "confusion": Plot(
        summary="right and wrong verdicts by class, clean",
        table=confusion_rows,
        draw=draw_confusion,
        lacking="no detector is wholly scored, clean, with a threshold",
    )
}
