"""What a board says beyond its cells: micro means, false positives by real source, earned ranks.

These need the scores themselves, not only the cells, so they are made where the scores are at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from leaderboards.statistics.intervals import Interval, wilson
from leaderboards.statistics.paired import (
    Difference,
    Influence,
    auc_influence,
    difference,
    mean_influence,
)
from leaderboards.statistics.significance import holm, rank_groups
from leaderboards.statistics.thresholds import called_fake
from leaderboards.tables.cells import CLEAN, ScoreColumn, cell_rows
from leaderboards.tables.condition_means import mean_interval
from leaderboards.tables.further.budgets import (
    DISTANCE_COLUMNS,
    QUERY_COLUMNS,
    robust_accuracy,
    success_by_queries,
)
from leaderboards.tables.further.certified import CERTIFIED_COLUMNS
from leaderboards.tables.further.classes import CLASS_COLUMNS, by_class
from leaderboards.tables.further.equalised import EQUALISED_COLUMNS, equalised
from leaderboards.tables.further.source_auc import SOURCE_AUC_COLUMNS, source_auc
from leaderboards.tables.means import main_rows, mean_basis
from leaderboards.tables.seen import SeenBy
from leaderboards.tables.slicing import Slice, clusters_of, pool

SOURCE_COLUMNS = (
    "detector", "source", "control", "n", "false_positives", "fpr", "fpr_lo", "fpr_hi",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Extras:
    """Tables beside the cells; on clean images, but for ``classes``, ``distances`` and ``queries``.

    Attributes:
        pooled: One row a detector, columns as the cells: every image counted once (micro).
        sources: Columns ``SOURCE_COLUMNS``: share of each real source's images called fake. A control
            is a source that is compared with no generator.
        ranks: Detector to 1 + the number of detectors with a significantly higher headline AUC
            (paired, clustered by group and by equal bytes, Holm-adjusted at 5%); 0 where not scored.
        equalised: Columns ``EQUALISED_COLUMNS``: AUC on the images as they lie and behind the equalising
            chain, and the paired difference with its 95% interval, of the headline's mean (slice "")
            and of every slice; empty where nothing is equalised.
        source_auc: Columns ``SOURCE_AUC_COLUMNS``: AUC against each real source; empty where there is one.
        intervals: Detector to the 95% interval of its headline AUC, that over unseen slices or, where there
            are none, over all; without those whose mean is undefined.
        classes: Columns ``CLASS_COLUMNS``: share called fake of each class under every condition without an
            attack, every image counted once; empty where there is none but clean.
        certified: Columns ``CERTIFIED_COLUMNS``: accuracy that is proven up to an L2 radius; empty where no
            condition is a certificate.
        parts: Columns ``PART_COLUMNS`` of ``further.parts``; empty where the protocol has no parts.
        periods: Detection over time, as ``further.periods.over_time`` gives it; None where nothing tells of
            time.
        distances: Columns ``DISTANCE_COLUMNS``: robust accuracy by distance, of all images pooled.
        queries: Columns ``QUERY_COLUMNS``: attack success by queries, of all images pooled.
    """

    pooled: pd.DataFrame
    sources: pd.DataFrame
    ranks: Mapping[str, int]
    equalised: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=list(EQUALISED_COLUMNS))
    )
    source_auc: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=list(SOURCE_AUC_COLUMNS))
    )
    classes: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(CLASS_COLUMNS)))
    certified: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=list(CERTIFIED_COLUMNS))
    )
    parts: pd.DataFrame = field(default_factory=pd.DataFrame)
    periods: pd.DataFrame | None = None
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    distances: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=list(DISTANCE_COLUMNS))
    )
    queries: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(QUERY_COLUMNS)))


def extras(
    samples: pd.DataFrame,
    cuts: Sequence[Slice],
    columns: Sequence[ScoreColumn],
    rows: pd.DataFrame,
    seen: Mapping[str, SeenBy],
) -> Extras:
    """Make the tables from the same arguments as ``cell_rows``, and the rows it gave."""
    clean = [column for column in columns if column.condition == CLEAN]
    thresholds = {
        detector: threshold
        for detector, threshold in zip(rows["detector"], rows["threshold"], strict=True)
        if not np.isnan(threshold)
    }
    judged = [column for column in clean if column.detector in thresholds]
    everything = pool(samples, cuts)
    pooled = cell_rows(samples, [everything], judged, seen, "pooled", threshold=thresholds)
    means = {
        column.detector: mean
        for column in clean
        if (mean := headline_influence(samples, cuts, column, rows)) is not None
    }
    compared = frozenset(samples["generator"].to_numpy()[everything.real_rows])
    return Extras(
        pooled,
        _sources(samples, everything, judged, thresholds),
        _ranks(samples, rows, means),
        equalised(samples, cuts, columns, rows),
        source_auc(samples, cuts, judged, rows, compared),
        by_class(samples, everything, columns, seen, thresholds),
        intervals=_intervals(samples, cuts, rows, means),
        distances=robust_accuracy(everything, columns, thresholds),
        queries=success_by_queries(everything, columns, thresholds),
    )


def _intervals(
    samples: pd.DataFrame, cuts: Sequence[Slice], rows: pd.DataFrame, means: Mapping[str, Influence]
) -> dict[str, Interval]:
    """Give every headline mean its interval; images that depend on each other count as one."""
    clusters, intervals = clusters_of(samples), {}
    for name, mean in means.items():
        chosen = averaged_slices(cuts, main_rows(rows[(rows["detector"] == name)]))
        sizes = (
            np.unique(np.concatenate([getattr(cut, part) for cut in chosen])).size
            for part in ("real_rows", "fake_rows")
        )
        intervals[name] = mean_interval(mean, clusters, min(sizes))
    return intervals


def headline_influence(
    samples: pd.DataFrame, cuts: Sequence[Slice], column: ScoreColumn, rows: pd.DataFrame
) -> Influence | None:
    """Average AUC as the headline does, with each image's contribution.

    Returns:
        None where a cell of it is not scored or has no variance of its own.
    """
    of_column = (rows["detector"] == column.detector) & (rows["condition"] == column.condition)
    chosen = headline_slices(cuts, main_rows(rows[of_column]))
    if not chosen:
        return None
    return mean_influence(
        len(samples),
        [
            (cut.rows, auc_influence(cut.labels, column.logits[cut.rows]))
            for cut in map(column.part, chosen)
        ],
    )


def headline_slices(cuts: Sequence[Slice], cells: pd.DataFrame) -> list[Slice]:
    """Choose the slices of a headline mean that is defined; none where one of the cells has no AUC."""
    if (cells["status"] != "ok").any() or cells["auc"].isna().any():
        return []
    return averaged_slices(cuts, cells)


def averaged_slices(cuts: Sequence[Slice], cells: pd.DataFrame) -> list[Slice]:
    """Choose the slices that the mean of one detector's cells is over."""
    basis = mean_basis(cells).cells
    averaged = set(zip(basis["generator"], basis["domain"], strict=True))
    return [cut for cut in cuts if (cut.generator, cut.domain) in averaged]


def _ranks(
    samples: pd.DataFrame, rows: pd.DataFrame, means: Mapping[str, Influence]
) -> dict[str, int]:
    clusters = clusters_of(samples)
    values = {name: mean.value for name, mean in means.items()}
    return earned_ranks(rows, values, lambda a, b: difference(means[a], means[b], clusters))


def earned_ranks(
    rows: pd.DataFrame, values: Mapping[str, float], test: Callable[[str, str], Difference]
) -> dict[str, int]:
    """Rank detectors by their headline AUC, given the paired test of two; see ``Extras.ranks``."""
    names = list(dict.fromkeys(rows["detector"]))
    ranked = [name for name in names if name in values]
    pairs = [(i, j) for i in range(len(ranked)) for j in range(i)]
    tests = [test(ranked[i], ranked[j]) for i, j in pairs]
    p = np.ones((len(ranked), len(ranked)))
    for (i, j), adjusted in zip(pairs, holm([test.p_two_sided for test in tests]), strict=True):
        p[i, j] = p[j, i] = adjusted
    ranks = rank_groups([values[name] for name in ranked], p)
    return dict.fromkeys(names, 0) | dict(zip(ranked, ranks, strict=True))


def _sources(
    samples: pd.DataFrame,
    everything: Slice,
    columns: Sequence[ScoreColumn],
    thresholds: Mapping[str, float],
) -> pd.DataFrame:
    real = (samples["label"] == 0).to_numpy()
    names = samples["generator"].to_numpy()
    compared = set(names[everything.real_rows])
    records: list[dict[str, Any]] = []
    for column in columns:
        for source in sorted(set(names[real])):
            logits = column.logits[column.among(np.flatnonzero(real & (names == source)))]
            scored = logits.size > 0 and np.isfinite(logits).all()
            k = None
            if column.status in ("ok", "incomplete") and scored:
                k = int(np.count_nonzero(called_fake(logits, thresholds[column.detector])))
            control = source not in compared
            records.append(source_record(column.detector, source, logits.size, k, control=control))
    return framed_sources(records)


def source_record(
    detector: str, source: str, n: int, k: int | None, *, control: bool
) -> dict[str, Any]:
    """Give the rate of one real source: k of its n images called fake, None where not scored."""
    lo, hi = (np.nan, np.nan) if k is None else wilson(k, n)
    return {
        "detector": detector, "source": source, "control": control, "n": n,
        "false_positives": k, "fpr": np.nan if k is None else k / n, "fpr_lo": lo, "fpr_hi": hi,
    }  # fmt: skip


def framed_sources(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Put what ``source_record`` gives into the table that ``Extras.sources`` is."""
    frame = pd.DataFrame(records, columns=list(SOURCE_COLUMNS))
    return frame.astype({"false_positives": "Int64"})
