"""The board's means with their intervals: every detector under every condition, and what it loses there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from leaderboards.statistics.intervals import NAN, Interval
from leaderboards.statistics.paired import (
    Difference,
    Influence,
    auc_influence,
    difference,
    mean_influence,
    share_influence,
)
from leaderboards.statistics.thresholds import called_fake
from leaderboards.tables.cells import CLEAN, RAW, ScoreColumn, cell_state
from leaderboards.tables.means import board_basis
from leaderboards.tables.slicing import Slice, clusters_of

METRICS: Final = ("auc", "accuracy")
# The row of a detector's mean over all its conditions but the clean one.
OTHERS: Final = "(mean over conditions)"
MEAN_COLUMNS: Final = (
    "detector", "condition", "basis", "n_slices", "n_real", "n_fake", "n_independent",
    *(f"{m}{part}" for m in METRICS for part in ("", "_lo", "_hi", "_drop", "_drop_lo", "_drop_hi")),
)  # fmt: skip


def condition_means(
    samples: pd.DataFrame,
    cuts: Sequence[Slice],
    columns: Sequence[ScoreColumn],
    rows: pd.DataFrame,
    thresholds: Mapping[str, float],
) -> pd.DataFrame:
    """Average AUC and accuracy as the board does, with 95% intervals and paired drops against clean.

    Images of one group, or of equal bytes, are one cluster; ``n_independent`` counts clusters.
    An interval is taken on the logit scale, as
    DeLong's are on the board; where no image tells anything of the error (perfect separation), it is that
    of as many trials without an event.

    Args:
        samples: One row an image.
        cuts: Slices of the samples.
        columns: Score columns.
        rows: What ``cell_rows`` made of them.
        thresholds: Detector to the logit above which an image is called fake.

    Returns:
        Columns ``MEAN_COLUMNS``, a row a detector and condition, then one under ``OTHERS`` where there
        are two conditions beside clean or more, all scored. A drop is clean minus condition over the same
        slices. nan where a cell is not scored or the metric undefined.
    """
    clusters = clusters_of(samples)
    records: list[dict[str, Any]] = []
    for detector in dict.fromkeys(column.detector for column in columns):
        basis = board_basis(rows, detector)
        if basis.cells.empty:
            continue
        keys = set(zip(basis.cells["generator"], basis.cells["domain"], strict=True))
        chosen = [cut for cut in cuts if (cut.generator, cut.domain) in keys]
        mean = _Mean(chosen, thresholds.get(detector, NAN), clusters)
        head = {"detector": detector, "basis": basis.name, **mean.sizes()}
        own = [column for column in columns if column.detector == detector]
        influences = {c.condition: {m: mean.influence(c, m) for m in METRICS} for c in own}
        others = [name for name in influences if name not in (CLEAN, RAW)]
        if len(others) > 1:
            n = len(samples)
            everywhere = np.arange(n)
            influences[OTHERS] = {
                m: mean_influence(n, [(everywhere, influences[name][m]) for name in others])
                for m in METRICS
            }
        for name, values in influences.items():
            record = {**head, "condition": name}
            for metric in METRICS:
                clean = influences.get(CLEAN, {}).get(metric)
                record |= mean.describe(metric, values[metric], clean)
            records.append(record)
    return pd.DataFrame(records, columns=list(MEAN_COLUMNS))


class _Mean:
    """The unweighted mean over some slices, for one detector."""

    def __init__(
        self, cuts: Sequence[Slice], threshold: float, clusters: NDArray[np.int64] | None
    ) -> None:
        self.cuts = cuts
        self.threshold = threshold
        self.clusters = clusters
        self.real, self.fake = (
            np.unique(np.concatenate([np.zeros(0, np.int64), *rows]))
            for rows in ([cut.real_rows for cut in cuts], [cut.fake_rows for cut in cuts])
        )

    def sizes(self) -> dict[str, int]:
        """Count slices, images, each image once, and independent units among them."""
        return {
            "n_slices": len(self.cuts),
            "n_real": self.real.size,
            "n_fake": self.fake.size,
            "n_independent": self._independent(),
        }

    def _independent(self) -> int:
        """Count what the intervals rest on: images that depend on each other are one."""
        used = np.concatenate([self.real, self.fake])
        return used.size if self.clusters is None else np.unique(self.clusters[used]).size

    def influence(self, column: ScoreColumn, metric: str) -> Influence:
        """Average a metric with each image's contribution; nan where a cell is not scored."""
        n = len(column.logits)
        undefined = Influence(NAN, np.full(n, NAN))
        ranks_needed = metric == "auc"
        if not self.cuts or (ranks_needed and not column.ranked):
            return undefined
        cuts = [column.part(cut) for cut in self.cuts]
        if any(cell_state(column, cut.rows).status != "ok" for cut in cuts):
            return undefined
        if not ranks_needed and math.isnan(self.threshold):
            return undefined
        parts = []
        for cut in cuts:
            logits = column.logits[cut.rows]
            if ranks_needed:
                parts.append((cut.rows, auc_influence(cut.labels, logits)))
            else:
                right = called_fake(logits, self.threshold) == (cut.labels == 1)
                parts.append((cut.rows, share_influence(cut.labels, right)))
        return mean_influence(n, parts)

    def describe(self, metric: str, value: Influence, clean: Influence | None) -> dict[str, float]:
        """Give value, interval and the paired drop against clean."""
        pairs = min(self.real.size, self.fake.size)
        lo, hi = mean_interval(value, self.clusters, pairs)
        found = {metric: value.value, f"{metric}_lo": lo, f"{metric}_hi": hi}
        drop = Difference(NAN, NAN)
        if clean is not None and clean is not value:
            drop = difference(value, clean, self.clusters, pairs=pairs)
        drop_lo, drop_hi = drop.interval()
        return found | {
            f"{metric}_drop": drop.value, f"{metric}_drop_lo": drop_lo, f"{metric}_drop_hi": drop_hi,
        }  # fmt: skip


def mean_interval(value: Influence, clusters: NDArray[np.int64] | None, pairs: int) -> Interval:
    """Compute the 95% interval of a mean on the logit scale.

    Args:
        value: The mean, with each image's contribution.
        clusters: (n,) codes of images that depend on each other; None where none do.
        pairs: Number of pairs of a real and a fake image, for a mean that nothing moves.
    """
    nothing = Influence(0.0, np.zeros(value.parts.size))
    return logit_interval(difference(nothing, value, clusters, pairs=pairs))


def logit_interval(estimate: Difference) -> Interval:
    """Compute a 95% interval that stays inside (0, 1) and is longer towards one half."""
    value, sd = estimate.value, estimate.sd
    if not estimate.defined or math.isnan(sd):
        return Interval(NAN, NAN)
    half = estimate.quantile(0.975) * sd
    if not 0 < value < 1 or sd == 0:
        return Interval(max(0.0, value - half), min(1.0, value + half))
    middle, spread = float(logit(value)), half / (value * (1 - value))
    return Interval(float(expit(middle - spread)), float(expit(middle + spread)))
