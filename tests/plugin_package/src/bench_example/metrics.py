"""A metric of one line."""

import math

from leaderboards import CellScores, Estimate, Metric


def measure(cell: CellScores) -> Estimate:
    """TPR + TNR - 1, without an interval; undefined with a class missing.

    Source: Youden, "Index for rating diagnostic tests", Cancer 1950.
    """
    n_fake, n_real = cell.tp + cell.fn, cell.tn + cell.fp
    if not n_fake or not n_real:
        return Estimate(math.nan, math.nan, math.nan)
    return Estimate(cell.tp / n_fake + cell.tn / n_real - 1, math.nan, math.nan)


METRICS = {
    "youden": Metric(
        name="youden",
        title="Youden's J",
        formula="TP / n_fake + TN / n_real - 1",
        measure=measure,
        bounds=(-1.0, 1.0),
        tables=("verdicts",),
    )
}
