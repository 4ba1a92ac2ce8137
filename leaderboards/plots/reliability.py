"""Whether a probability means what it says: share of fakes by predicted probability, one panel a detector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import expit

from leaderboards.plots.evidence import Evidence, Plot
from leaderboards.plots.figure import line_look, name_label, one_or_range, panels
from leaderboards.statistics.intervals import wilson
from leaderboards.statistics.operating import ECE_BINS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = (
    "detector", "bin", "probability", "share", "share_lo",
    "share_hi", "n", "n_real", "n_fake",
)  # fmt: skip

_BELOW = "probability = sigmoid(logit); bars: 95% intervals"


def reliability_rows(evidence: Evidence) -> pd.DataFrame:
    """Give, for each of 15 equal bins of sigmoid(logit) that holds an image, its mean and the share of fakes.

    The bins are those of the board's expected calibration error; shares have Wilson's 95% intervals.
    """
    everything = evidence.pooled()
    fake = everything.labels == 1
    records: list[dict[str, Any]] = []
    for column in evidence.clean():
        probability = expit(column.logits[everything.rows].astype(np.float64))
        bins = np.minimum((probability * ECE_BINS).astype(np.int64), ECE_BINS - 1)
        for i in np.unique(bins).tolist():
            inside = bins == i
            k, n = int(np.count_nonzero(fake & inside)), int(np.count_nonzero(inside))
            lo, hi = wilson(k, n)
            records.append(
                {
                    "detector": column.detector, "bin": i, "probability": float(probability[inside].mean()),
                    "share": k / n, "share_lo": lo, "share_hi": hi, "n": n,
                    "n_real": int(np.count_nonzero(~fake)), "n_fake": int(np.count_nonzero(fake)),
                }
            )  # fmt: skip
    return pd.DataFrame(records, columns=list(_COLUMNS))


def draw_reliability(rows: pd.DataFrame, width: float) -> Figure:
    """Draw the share of fakes over the predicted probability at a width in mm."""
    names = list(dict.fromkeys(rows["detector"]))
    figure, axes = panels(len(names), width, 44)
    for i, (one, name) in enumerate(zip(axes, names, strict=True)):
        points = rows[rows["detector"] == name]
        x, y, lo, hi = (
            points[c].to_numpy(float) for c in ("probability", "share", "share_lo", "share_hi")
        )
        one.plot([0, 1], [0, 1], color="#808080", linewidth=0.5, zorder=0)
        # Rounding may leave an end of an interval a hair inside its own value.
        errors = np.maximum(0, np.stack([y - lo, hi - y]))
        drawn = one.errorbar(x, y, yerr=errors, capsize=1.5, elinewidth=0.6, **line_look(1))
        drawn[0].set_gid(f"series-{i}-0")
        one.set_title(name_label(name, 28))
        one.set_xlabel("predicted probability")
        one.set_xlim(-0.03, 1.03)
        one.set_ylim(-0.03, 1.03)
    figure.supylabel("share AI-generated", fontsize=7)
    real, fake = (one_or_range(rows[name]) for name in ("n_real", "n_fake"))
    figure.suptitle(
        f"n = {real} real, {fake} fake; clean, every image once;\n{_BELOW}",
        fontsize=6,
    )
    return figure


PLOTS = {
    "reliability": Plot(
        summary="share of AI-generated images over the predicted probability, clean",
        table=reliability_rows,
        draw=draw_reliability,
        lacking="no detector is wholly scored, clean",
    )
}
