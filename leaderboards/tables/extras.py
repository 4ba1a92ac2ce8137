"""What a board says beyond its cells: micro means, false positives by real source, earned ranks.

These need the scores themselves, not only the cells, so they are made where the scores are at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from leaderboards.statistics.intervals import wilson
from leaderboards.statistics.metrics import called_fake
from leaderboards.statistics.multiplicity import holm, rank_groups
from leaderboards.statistics.paired import (
    Influence,
    auc_influence,
    cluster_codes,
    difference,
    mean_influence,
)
from leaderboards.tables.cells import CLEAN, ScoreColumn, SeenBy, cell_rows
from leaderboards.tables.means import family_rows, main_family
from leaderboards.tables.slicing import Slice, pool

SOURCE_COLUMNS = (
    "detector", "source", "control", "n", "false_positives", "fpr", "fpr_lo", "fpr_hi",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Extras:
    """Tables beside the cells; all on clean images.

    Attributes:
        pooled: One row a detector, columns as the cells: every image counted once (micro).
        sources: Columns ``SOURCE_COLUMNS``: share of each real source's images called fake. A control
            is a source that is compared with no generator.
        ranks: Detector to 1 + the number of detectors with a significantly higher headline AUC
            (paired, clustered where groups are told, Holm-adjusted at 5%); 0 where not scored.
    """

    pooled: pd.DataFrame
    sources: pd.DataFrame
    ranks: Mapping[str, int]


def extras(
    samples: pd.DataFrame,
    cuts: Sequence[Slice],
    columns: Sequence[ScoreColumn],
    rows: pd.DataFrame,
    seen: Mapping[str, SeenBy],
) -> Extras:
    """Make the tables from the same arguments as ``cell_rows``, and the rows it gave."""
    clean = [column for column in columns if column.condition == CLEAN]
    thresholds = dict(zip(rows["detector"], rows["threshold"], strict=True))
    usable = {name: at for name, at in thresholds.items() if not np.isnan(at)}
    whole = [column for column in clean if column.detector in usable]
    everything = pool(samples, cuts)
    pooled = cell_rows(samples, [everything], whole, seen, "pooled", threshold=usable)
    means = {
        column.detector: mean
        for column in clean
        if (mean := headline_influence(samples, cuts, column, rows)) is not None
    }
    return Extras(
        pooled, _sources(samples, everything, whole, usable), _ranks(samples, rows, means)
    )


def headline_influence(
    samples: pd.DataFrame, cuts: Sequence[Slice], column: ScoreColumn, rows: pd.DataFrame
) -> Influence | None:
    """The headline's mean AUC (over unseen slices, else over all) with each image's contribution.

    Returns:
        None where a cell of it is not scored or has no variance of its own.
    """
    own = rows[(rows["detector"] == column.detector) & (rows["condition"] == column.condition)]
    family = set(_keys(family_of(own)))
    unseen = set(_keys(own[own["seen"] == "unseen"])) & family
    chosen = [cut for cut in cuts if (cut.generator, cut.domain) in (unseen or family)]
    if (family_of(own)["status"] != "ok").any() or family_of(own)["auc"].isna().any() or not chosen:
        return None
    return mean_influence(
        len(samples),
        [(cut.rows, auc_influence(cut.labels, column.logits[cut.rows])) for cut in chosen],
    )


def family_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows the headline rests on."""
    return family_rows(rows, main_family(rows))


def _keys(rows: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(rows["generator"], rows["domain"], strict=True))


def _ranks(
    samples: pd.DataFrame, rows: pd.DataFrame, means: Mapping[str, Influence]
) -> dict[str, int]:
    names = list(dict.fromkeys(rows["detector"]))
    known = [name for name in names if name in means]
    clusters = cluster_codes(list(samples["group"])) if "group" in samples.columns else None
    upper = [(i, j) for i in range(len(known)) for j in range(i)]
    found = [difference(means[known[i]], means[known[j]], clusters).p_two_sided for i, j in upper]
    p = np.ones((len(known), len(known)))
    for (i, j), value in zip(upper, holm(found), strict=True):
        p[i, j] = p[j, i] = value
    ranks = rank_groups([means[name].value for name in known], p)
    return dict.fromkeys(names, 0) | dict(zip(known, ranks, strict=True))


def _sources(
    samples: pd.DataFrame,
    everything: Slice,
    columns: Sequence[ScoreColumn],
    thresholds: Mapping[str, float],
) -> pd.DataFrame:
    real = (samples["label"] == 0).to_numpy()
    names = samples["generator"].to_numpy()
    compared = set(names[everything.real_rows])
    found: list[dict[str, Any]] = []
    for column in columns:
        for source in sorted(set(names[real])):
            logits = column.logits[real & (names == source)]
            row: dict[str, Any] = {
                "detector": column.detector, "source": source, "control": source not in compared,
                "n": logits.size,
                "false_positives": None, "fpr": np.nan, "fpr_lo": np.nan, "fpr_hi": np.nan,
            }  # fmt: skip
            if column.status in ("ok", "incomplete") and np.isfinite(logits).all():
                k = int(np.count_nonzero(called_fake(logits, thresholds[column.detector])))
                lo, hi = wilson(k, logits.size)
                row |= {"false_positives": k, "fpr": k / logits.size, "fpr_lo": lo, "fpr_hi": hi}
            found.append(row)
    frame = pd.DataFrame(found, columns=list(SOURCE_COLUMNS))
    return frame.astype({"false_positives": "Int64"})
