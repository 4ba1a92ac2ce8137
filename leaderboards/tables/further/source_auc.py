"""AUC against each real source: whether a detector tells fakes from photographs, or from one set of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaderboards.statistics.intervals import Delong, auc_interval
from leaderboards.statistics.paired import (
    Influence,
    auc_influence,
    degrees_of_freedom,
    mean_influence,
    variance_of,
)
from leaderboards.tables.cells import CLEAN, ScoreColumn, cell_state
from leaderboards.tables.means import board_basis
from leaderboards.tables.slicing import Slice, clusters_of

SOURCE_AUC_COLUMNS = (
    "detector", "source", "control", "n_real", "n_fake", "auc", "auc_lo", "auc_hi",
)  # fmt: skip


def source_auc(
    samples: pd.DataFrame,
    cuts: Sequence[Slice],
    columns: Sequence[ScoreColumn],
    rows: pd.DataFrame,
    compared: frozenset[str],
) -> pd.DataFrame:
    """Hold the fakes behind each detector's headline against each real source, whatever the pairing.

    Args:
        samples: One row an image: ``label``, ``generator``; ``group`` and ``sha256`` where there are any.
        cuts: Slices of the samples.
        columns: Score columns; those on clean images count.
        rows: What ``cell_rows`` made of them.
        compared: Real sources that some generator is compared with; any other is a control.

    Returns:
        Columns ``SOURCE_AUC_COLUMNS``: AUC averaged over the headline's slices, unweighted, with its 95%
        interval; nan where an image is unscored. Empty where there is one real source only.
    """
    real = (samples["label"] == 0).to_numpy()
    sources = samples["generator"].to_numpy()
    names = sorted(set(sources[real]))
    records: list[dict[str, Any]] = []
    clusters = clusters_of(samples)
    for column in columns if len(names) > 1 else ():
        if column.condition != CLEAN:
            continue
        cells = board_basis(rows, column.detector).cells
        keys = set(zip(cells["generator"], cells["domain"], strict=True))
        parts = [column.part(cut) for cut in cuts if (cut.generator, cut.domain) in keys]
        fakes = [part.fake_rows for part in parts]
        for source in names:
            reals = column.among(np.flatnonzero(real & (sources == source)))
            mean = _mean(column, reals, fakes)
            n_fake = sum(len(part) for part in fakes)
            images = np.unique(np.concatenate([reals, *fakes]))
            among = None if clusters is None else clusters[images]
            estimate = Delong(mean.value, variance_of(mean.parts[images], among))
            head = (column.detector, source, source not in compared, len(reals), n_fake)
            records.append(source_auc_record(head, estimate, degrees_of_freedom(among)))
    return pd.DataFrame(records, columns=list(SOURCE_AUC_COLUMNS))


def source_auc_record(
    head: tuple[str, str, bool, int, int], estimate: Delong, df: float = math.inf
) -> dict[str, Any]:
    """Give one row of the table.

    Args:
        head: Detector, source, whether it is a control, number of its images and of the fakes.
        estimate: Mean AUC and its variance.
        df: Degrees of freedom behind the variance.
    """
    lo, hi = auc_interval(estimate, head[3], head[4], df=df)
    return dict(zip(SOURCE_AUC_COLUMNS, (*head, estimate.auc, lo, hi), strict=True))


def _mean(
    column: ScoreColumn, reals: NDArray[np.int64], fakes: Sequence[NDArray[np.int64]]
) -> Influence:
    """Average AUC of some slices' fakes against the same reals; nan where one is not scored."""
    n = len(column.logits)
    pairs = [np.concatenate([reals, part]) for part in fakes if len(part)]
    if not pairs or any(cell_state(column, pair).status != "ok" for pair in pairs):
        return Influence(float("nan"), np.full(n, np.nan))
    return mean_influence(
        n,
        [
            (
                pair,
                auc_influence(
                    (np.arange(len(pair)) >= len(reals)).astype(int), column.logits[pair]
                ),
            )
            for pair in pairs
        ],
    )
