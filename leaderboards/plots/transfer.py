"""How far attacks travel: success by the surrogate they were made on and the detector they meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from leaderboards.plots.evidence import Evidence, Plot
from leaderboards.plots.figure import one_or_range
from leaderboards.plots.matrix import draw_matrix
from leaderboards.tables.attacks import transfer_matrix

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = ("attack", "surrogate", "target", "success", "n_real", "n_fake")


def transfer_rows(evidence: Evidence) -> pd.DataFrame:
    """Give the mean attack success of each attack, surrogate and target; nan where it is undefined."""
    matrix = transfer_matrix(evidence.rows, evidence.notes.attacks)
    sizes = evidence.means.drop_duplicates("detector").set_index("detector")
    records: list[dict[str, Any]] = [
        {
            "attack": line["attack"], "surrogate": line["surrogate"], "target": target, "success": value,
            "n_real": sizes["n_real"].get(target), "n_fake": sizes["n_fake"].get(target),
        }
        for line in matrix.to_dict("records")
        for target, value in line.items()
        if target not in ("attack", "surrogate")
    ]  # fmt: skip
    return pd.DataFrame(records, columns=list(_COLUMNS))


def draw_transfer(rows: pd.DataFrame, width: float) -> Figure:
    """Draw surrogate by target at a width in mm, the attacks below each other."""
    several = rows["attack"].nunique() > 1
    cells = {
        (f"{row['surrogate']}: {row['attack']}" if several else row["surrogate"], row["target"]): (
            float(row["success"]), float("nan"), float("nan"), "",
        )
        for row in rows.to_dict("records")
    }  # fmt: skip
    real, fake = (one_or_range(rows[name].dropna()) for name in ("n_real", "n_fake"))
    below = f"target (n = {real} real, {fake} fake; of those right when clean)"
    return draw_matrix(cells, width, titles=("surrogate", below, "attack success"))


PLOTS = {
    "transfer": Plot(
        summary="attack success by surrogate and target",
        table=transfer_rows,
        draw=draw_transfer,
        lacking="it holds no transfer attack",
    )
}
