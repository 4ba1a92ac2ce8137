"""What a detector owes to format, size and compression: AUC raw and behind an equalising chain, paired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaderboards.statistics.paired import (
    Influence,
    auc_influence,
    difference,
    mean_influence,
)
from leaderboards.tables.cells import CLEAN, RAW, ScoreColumn, cell_state
from leaderboards.tables.means import board_basis, slice_name
from leaderboards.tables.slicing import Slice, clusters_of

EQUALISED_COLUMNS = (
    "detector", "slice", "raw", "equalised", "difference", "difference_lo", "difference_hi", "p",
)  # fmt: skip


def equalised(
    samples: pd.DataFrame,
    cuts: Sequence[Slice],
    columns: Sequence[ScoreColumn],
    rows: pd.DataFrame,
) -> pd.DataFrame:
    """Compare each detector's AUC on raw and on equalised images.

    Args:
        samples: Columns ``group`` and ``sha256`` where there are any: images that are not independent.
        cuts: Slices of the samples.
        columns: Score columns; "clean" is equalised where there is a column "raw".
        rows: What ``cell_rows`` made of them.

    Returns:
        Columns ``EQUALISED_COLUMNS``, the headline's mean first, with slice "", then each slice. Numbers are
        nan where a cell is not scored. The difference is equalised minus raw: negative where the detector
        owed a part of its AUC to what the chain took away.
    """
    raw = {column.detector: column for column in columns if column.condition == RAW}
    clusters = clusters_of(samples)
    records: list[dict[str, Any]] = []
    for column in columns:
        if column.condition != CLEAN or column.detector not in raw:
            continue
        cells = board_basis(rows, column.detector).cells
        keys = set(zip(cells["generator"], cells["domain"], strict=True))
        averaged = [cut for cut in cuts if (cut.generator, cut.domain) in keys]
        single = [(slice_name(cut.generator, cut.domain), [cut]) for cut in cuts]
        for name, chosen in [("", averaged), *single]:
            pair = _Pair(raw[column.detector], column, chosen)
            records.append({"detector": column.detector, "slice": name, **pair.compare(clusters)})
    return pd.DataFrame(records, columns=list(EQUALISED_COLUMNS))


@dataclass(frozen=True, slots=True)
class _Pair:
    """One detector's scores on raw and on equalised images, over some slices."""

    raw: ScoreColumn
    equalised: ScoreColumn
    cuts: Sequence[Slice]

    def compare(self, clusters: NDArray[np.int64] | None) -> dict[str, float]:
        """Compare the two means, given (n,) codes of images that are not independent."""
        before, after = (_mean(self.cuts, column) for column in (self.raw, self.equalised))
        used = np.unique(np.concatenate([np.zeros(0, np.int64), *(cut.rows for cut in self.cuts)]))
        alike = np.array_equal(self.raw.logits[used], self.equalised.logits[used])
        change = difference(before, after, clusters, pairs=None if alike else len(used))
        lo, hi = change.interval()
        return {
            "raw": before.value,
            "equalised": after.value,
            "difference": change.value,
            "difference_lo": lo,
            "difference_hi": hi,
            "p": change.p_two_sided,
        }


def _mean(cuts: Sequence[Slice], column: ScoreColumn) -> Influence:
    """Average AUC over slices; nan where one of them is not scored."""
    n, cuts = len(column.logits), [column.part(cut) for cut in cuts]
    if not cuts or any(cell_state(column, cut.rows).status != "ok" for cut in cuts):
        return Influence(float("nan"), np.full(n, np.nan))
    return mean_influence(
        n, [(cut.rows, auc_influence(cut.labels, column.logits[cut.rows])) for cut in cuts]
    )
