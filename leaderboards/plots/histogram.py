"""How scores lie: a histogram of each class with the threshold, one panel a detector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leaderboards.plots.evidence import Evidence, Plot
from leaderboards.plots.figure import (
    FAKE_COLOUR,
    REAL_COLOUR,
    legend_below,
    name_label,
    one_or_range,
    panels,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 30
_COLUMNS = ("detector", "bin_lo", "bin_hi", "real", "fake", "threshold", "n_real", "n_fake")


def histogram_rows(evidence: Evidence) -> pd.DataFrame:
    """Count the clean logits of each class in 30 bins; what lies beyond the span is in the last bin there.

    The span is that of 99% of the logits, and of the threshold.
    """
    everything = evidence.pooled()
    labels = everything.labels
    records: list[dict[str, Any]] = []
    for column in evidence.clean():
        logits = column.logits[everything.rows].astype(np.float64)
        threshold = evidence.thresholds.get(column.detector, float("nan"))
        ends = [*np.quantile(logits, [0.005, 0.995]).tolist()]
        if np.isfinite(threshold):
            ends.append(threshold)
        lo, hi = min(ends), max(ends)
        if hi <= lo:
            lo, hi = lo - 0.5, hi + 0.5
        edges = np.linspace(lo, hi, _BINS + 1)
        inside = np.clip(logits, lo, hi)
        real, fake = (np.histogram(inside[labels == label], edges)[0] for label in (0, 1))
        records += [
            {
                "detector": column.detector, "bin_lo": edges[i], "bin_hi": edges[i + 1],
                "real": int(real[i]), "fake": int(fake[i]), "threshold": threshold,
                "n_real": int(real.sum()), "n_fake": int(fake.sum()),
            }
            for i in range(_BINS)
        ]  # fmt: skip
    return pd.DataFrame(records, columns=list(_COLUMNS))


def draw_histogram(rows: pd.DataFrame, width: float) -> Figure:
    """Draw shares of each class by logit at a width in mm."""
    names = list(dict.fromkeys(rows["detector"]))
    figure, axes = panels(len(names), width, 40, legend=("real", "fake"))
    for i, (one, name) in enumerate(zip(axes, names, strict=True)):
        bins = rows[rows["detector"] == name]
        edges = np.append(bins["bin_lo"].to_numpy(float), bins["bin_hi"].iloc[-1])
        for j, (kind, colour, hatch) in enumerate(
            (("real", REAL_COLOUR, "////"), ("fake", FAKE_COLOUR, ""))
        ):
            total = max(1, int(bins[f"n_{kind}"].iloc[0]))
            drawn = one.stairs(
                bins[kind].to_numpy(float) / total, edges, fill=True, alpha=0.55, color=colour,
                hatch=hatch, label=kind if kind == "real" else "AI-generated",
            )  # fmt: skip
            drawn.set_gid(f"series-{i}-{j}")
        threshold = float(bins["threshold"].iloc[0])
        if np.isfinite(threshold):
            line = one.axvline(threshold, color=("#000000"), linestyle="--", linewidth=0.9)
            line.set_label("threshold")
            line.set_gid(f"threshold-{i}")
        one.set_title(name_label(name, 28))
        one.set_xlabel("logit (larger: more surely fake)")
    real, fake = (one_or_range(rows[name]) for name in ("n_real", "n_fake"))
    figure.supylabel("share of the class in the bin", fontsize=7)
    figure.suptitle(f"n = {real} real, {fake} fake; clean, every image once", fontsize=6)
    legend_below(figure, width)
    return figure


PLOTS = {
    "histogram": Plot(
        summary="scores of real and of AI-generated images, with the threshold",
        table=histogram_rows,
        draw=draw_histogram,
        lacking="no detector is wholly scored, clean",
    )
}
