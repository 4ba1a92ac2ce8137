"""A page of a report: where each detector is worst."""

import pandas as pd

from bench import ReportPage


def worst_cells(evidence) -> pd.DataFrame:
    """Give each detector's worst generator on clean images; `evidence.rows` is the board, a row a cell."""
    rows = evidence.rows.dropna(subset="auc")
    clean = rows[(rows["condition"] == "clean") & (rows["status"] == "ok")]
    worst = clean.loc[clean.groupby("detector")["auc"].idxmin()]
    return worst[["detector", "generator", "domain", "auc"]]


PAGES = {
    "worst": ReportPage(
        title="Where each detector is worst",
        summary="The cell of the least AUC on clean images.",
        table=worst_cells,
    )
}
