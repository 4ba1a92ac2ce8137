"""How far detectors agree: the share of images on which two of them give the same verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leaderboards.plots.evidence import Evidence, Plot
from leaderboards.plots.figure import one_or_range
from leaderboards.plots.matrix import draw_matrix
from leaderboards.statistics.intervals import wilson
from leaderboards.statistics.thresholds import called_fake

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = (
    "detector", "other", "agreement", "agreement_lo", "agreement_hi",
    "kappa", "n_real", "n_fake",
)  # fmt: skip


def agreement_rows(evidence: Evidence) -> pd.DataFrame:
    """Give the share of equal verdicts of every two detectors, with Wilson's interval and Cohen's kappa.

    Kappa is nan where chance alone would agree everywhere (Cohen 1960, Educational and Psychological
    Measurement 20, 37-46).
    """
    everything = evidence.pooled()
    n_fake = int(np.count_nonzero(everything.labels == 1))
    verdicts = {
        column.detector: called_fake(column.logits[everything.rows], threshold)
        for column in evidence.clean()
        if not np.isnan(threshold := evidence.thresholds.get(column.detector, float("nan")))
    }
    records: list[dict[str, Any]] = []
    for one, first in verdicts.items():
        for other, second in verdicts.items():
            if len(verdicts) < 2:
                continue
            k, n = int(np.count_nonzero(first == second)), first.size
            lo, hi = wilson(k, n)
            p, q = first.mean(), second.mean()
            chance = p * q + (1 - p) * (1 - q)
            kappa = (k / n - chance) / (1 - chance) if chance < 1 else float("nan")
            records.append(
                {
                    "detector": one, "other": other, "agreement": k / n, "agreement_lo": lo,
                    "agreement_hi": hi, "kappa": kappa, "n_real": n - n_fake, "n_fake": n_fake,
                }
            )  # fmt: skip
    return pd.DataFrame(records, columns=list(_COLUMNS))


def draw_agreement(rows: pd.DataFrame, width: float) -> Figure:
    """Draw the matrix at a width in mm."""
    cells = {
        (row["detector"], row["other"]): (
            row["agreement"],
            row["agreement_lo"] if row["detector"] != row["other"] else float("nan"),
            row["agreement_hi"],
            "",
        )
        for row in rows.to_dict("records")
    }
    n = one_or_range(rows["n_real"] + rows["n_fake"])
    below = f"detector\n(n = {n} images, clean; below: 95% interval)"
    return draw_matrix(cells, width, titles=("detector", below, "share of equal verdicts"))


PLOTS = {
    "agreement": Plot(
        summary="share of images on which two detectors give the same verdict, clean",
        table=agreement_rows,
        draw=draw_agreement,
        lacking="fewer than two detectors are wholly scored, clean",
    )
}
