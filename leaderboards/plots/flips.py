"""Which deliveries change a verdict: the share of images that a condition flips, by detector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leaderboards.plots.evidence import Evidence, Plot
from leaderboards.plots.figure import one_or_range
from leaderboards.plots.matrix import draw_matrix
from leaderboards.statistics.intervals import wilson
from leaderboards.statistics.thresholds import called_fake
from leaderboards.tables.cells import CLEAN, cell_state

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = (
    "detector", "condition", "flips", "to_fake", "to_real", "share",
    "share_lo", "share_hi", "n_real", "n_fake",
)  # fmt: skip


def flip_rows(evidence: Evidence) -> pd.DataFrame:
    """Count the images whose verdict differs from that on the clean image, right or wrong.

    Returns:
        A row a detector and condition that is wholly scored; ``to_fake`` and ``to_real`` add up to ``flips``,
        the share of all images has Wilson's 95% interval.
    """
    everything = evidence.pooled()
    clean = {column.detector: column for column in evidence.clean()}
    records: list[dict[str, Any]] = []
    for column in evidence.columns:
        threshold = evidence.thresholds.get(column.detector, float("nan"))
        if column.condition == CLEAN or column.detector not in clean or np.isnan(threshold):
            continue
        part = column.part(everything)
        rows, n_fake = part.rows, len(part.fake_rows)
        if cell_state(column, rows).status != "ok":
            continue
        before = called_fake(clean[column.detector].logits[rows], threshold)
        after = called_fake(column.logits[rows], threshold)
        k = int(np.count_nonzero(before != after))
        lo, hi = wilson(k, rows.size)
        records.append(
            {
                "detector": column.detector, "condition": column.condition, "flips": k,
                "to_fake": int(np.count_nonzero(after & ~before)),
                "to_real": int(np.count_nonzero(before & ~after)),
                "share": k / rows.size, "share_lo": lo, "share_hi": hi,
                "n_real": rows.size - n_fake, "n_fake": n_fake,
            }
        )  # fmt: skip
    return pd.DataFrame(records, columns=list(_COLUMNS))


def draw_flips(rows: pd.DataFrame, width: float) -> Figure:
    """Draw condition by detector at a width in mm."""
    cells = {
        (row["condition"], row["detector"]): (row["share"], row["share_lo"], row["share_hi"], "")
        for row in rows.to_dict("records")
    }
    n = one_or_range(rows["n_real"] + rows["n_fake"])
    below = f"detector\n(n = {n} images; below: 95% interval)"
    return draw_matrix(cells, width, titles=("condition", below, "share of verdicts that change"))


PLOTS = {
    "flips": Plot(
        summary="share of verdicts that each condition changes",
        table=flip_rows,
        draw=draw_flips,
        lacking="no condition but clean is wholly scored",
    )
}
