"""Generator by detector: the AUC of every cell, with a mark where the detector was trained on it.

With one detector a training set this is the train-on by test-on matrix of the cross-generator papers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from leaderboards.plots.evidence import Evidence, Plot
from leaderboards.plots.figure import one_or_range
from leaderboards.plots.matrix import draw_matrix
from leaderboards.tables.cells import CLEAN
from leaderboards.tables.means import main_rows, slice_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = ["detector", "slice", "seen", "status", "n_real", "n_fake", "auc", "auc_lo", "auc_hi"]
_MARKS = {"seen": "†", "mixed": "‡", "unknown": "?"}


def heatmap_rows(evidence: Evidence) -> pd.DataFrame:
    """Give the clean AUC of every cell of the headline's cut; nan where it is not scored."""
    rows = main_rows(evidence.rows)
    rows = rows[rows["condition"] == CLEAN]
    names = [slice_name(g, d) for g, d in zip(rows["generator"], rows["domain"], strict=True)]
    return rows.assign(slice=names)[_COLUMNS].reset_index(drop=True)


def draw_heatmap(rows: pd.DataFrame, width: float) -> Figure:
    """Draw the matrix at a width in mm, the longer axis downwards."""
    down = ("slice", "detector")
    titles = ["generator or domain", "detector"]
    if rows["detector"].nunique() > rows["slice"].nunique():
        down, titles = ("detector", "slice"), titles[::-1]
    cells = {
        (row[down[0]], row[down[1]]): (
            row["auc"] if row["status"] == "ok" else float("nan"),
            row["auc_lo"],
            row["auc_hi"],
            _MARKS.get(row["seen"], ""),
        )
        for row in rows.to_dict("records")
    }
    real, fake = (one_or_range(rows[name]) for name in ("n_real", "n_fake"))
    marks = " ".join(f"{mark} {word}" for word, mark in _MARKS.items() if word in set(rows["seen"]))
    below = f"{titles[1]}\n(n = {real} real, {fake} fake a cell; below: 95% interval" + (
        f"; {marks})" if marks else ")"
    )
    return draw_matrix(cells, width, titles=(titles[0], below, "AUC, clean"))


PLOTS = {
    "heatmap": Plot(
        summary="AUC of every generator and detector, clean",
        table=heatmap_rows,
        draw=draw_heatmap,
        lacking="it has no clean cell",
    )
}
