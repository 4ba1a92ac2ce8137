"""The same cells scored by two detectors: a paired test of each, and of their mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics.bootstrap import STATISTICS, resamples
from leaderboards.statistics.intervals import NAN
from leaderboards.statistics.metrics import called_fake
from leaderboards.statistics.paired import (
    Difference,
    Influence,
    auc_influence,
    degrees_of_freedom,
    difference,
    mcnemar,
    mean_influence,
    share_influence,
)

MACRO = "(macro mean)"
N_RESAMPLES = 1000
METRICS = tuple(STATISTICS)
_BLOCK = 8_000_000
_SHARES = ("accuracy", "balanced_accuracy", "fake_recall", "recall", "real_recall")


@dataclass(frozen=True, slots=True, eq=False)
class PairedCell:
    """One cell scored by both; logits are aligned with all images, ``rows`` picks the cell's.

    Attributes:
        name: Detector, generator, domain, condition.
        rows: (m,) positions of the cell's images.
        labels: (m,) their labels.
        baseline: (n,) logits; nan where unscored.
        candidate: (n,) logits.
        thresholds: Baseline's and candidate's.
    """

    name: tuple[str, str, str, str]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    baseline: NDArray[Any]
    candidate: NDArray[Any]
    thresholds: tuple[float, float] = (0.0, 0.0)

    @property
    def identical(self) -> bool:
        """Whether both gave every image the same score."""
        same = np.array_equal(self.baseline[self.rows], self.candidate[self.rows])
        return bool(same and self.thresholds[0] == self.thresholds[1])

    @property
    def counts(self) -> tuple[int, int]:
        """Real and fake images."""
        fakes = int(np.count_nonzero(self.labels == 1))
        return len(self.labels) - fakes, fakes


@dataclass(frozen=True, slots=True, eq=False)
class Tested:
    """One test.

    Attributes:
        name: Of the cell; generator ``MACRO`` for the mean of a detector's cells.
        counts: Real and fake images.
        values: The metric of the baseline and of the candidate.
        found: Their difference.
        identical: Whether every score is the same.
        p: Two-sided, of no difference; McNemar's exact one for accuracy.
    """

    name: tuple[str, str, str, str]
    counts: tuple[int, int]
    values: tuple[float, float]
    found: Difference
    identical: bool
    p: float


def paired_tests(
    cells: Sequence[PairedCell],
    metric: str,
    strata: NDArray[np.int64],
    clusters: NDArray[np.int64] | None,
    *,
    seed: int = 0,
) -> list[Tested]:
    """The paired difference of every cell, then of each detector's mean over its cells."""
    if metric not in METRICS:
        raise ValueError(f"the gate cannot test {metric!r}; it knows {', '.join(METRICS)}")
    detectors = list(dict.fromkeys(cell.name[0] for cell in cells))
    if metric == "auc" or metric in _SHARES:
        by = [_influences(cell, metric) for cell in cells]
        tests = [_cell_test(c, one, metric, clusters) for c, one in zip(cells, by, strict=True)]
        for detector in detectors:
            own = [i for i, cell in enumerate(cells) if cell.name[0] == detector]
            means = [
                mean_influence(len(strata), [(cells[i].rows, by[i][side]) for i in own])
                for side in (0, 1)
            ]
            rows = np.unique(np.concatenate([cells[i].rows for i in own]))
            used = None if clusters is None else clusters[rows]
            before, after = (Influence(mean.value, mean.parts[rows]) for mean in means)
            found = difference(before, after, used)
            tests.append(
                _macro_test(detector, [cells[i] for i in own], [tests[i] for i in own], found)
            )
        return tests
    draws = _resampled(cells, metric, strata, clusters, seed)
    tests = []
    for cell, (values, gaps) in zip(cells, draws, strict=True):
        own_clusters = None if clusters is None else clusters[cell.rows]
        found = Difference(
            values[1] - values[0], _variance(gaps), _least(cell), degrees_of_freedom(own_clusters)
        )
        tests.append(
            Tested(cell.name, cell.counts, values, found, cell.identical, found.p_two_sided)
        )
    for detector in detectors:
        own = [i for i, cell in enumerate(cells) if cell.name[0] == detector]
        gap = np.mean([draws[i][1] for i in own], axis=0)
        value = float(np.mean([tests[i].found.value for i in own]))
        # The images of the cells together hold at least the clusters of any one of them.
        mean = Difference(value, _variance(gap), df=max(tests[i].found.df for i in own))
        tests.append(_macro_test(detector, [cells[i] for i in own], [tests[i] for i in own], mean))
    return tests


def _influences(cell: PairedCell, metric: str) -> tuple[Influence, Influence]:
    sides = zip((cell.baseline, cell.candidate), cell.thresholds, strict=True)
    if metric == "auc":
        a, b = (auc_influence(cell.labels, logits[cell.rows]) for logits, _ in sides)
        return a, b
    a, b = (
        share_influence(
            cell.labels, called_fake(logits[cell.rows], at) == (cell.labels == 1), metric
        )
        for logits, at in sides
    )
    return a, b


def _cell_test(
    cell: PairedCell,
    by: tuple[Influence, Influence],
    metric: str,
    clusters: NDArray[np.int64] | None,
) -> Tested:
    own = None if clusters is None else clusters[cell.rows]
    found = replace(difference(*by, own), floor_sd=_least(cell))
    p = found.p_two_sided
    if metric == "accuracy" and clusters is None and found.defined:
        right = [
            called_fake(logits[cell.rows], at) == (cell.labels == 1)
            for logits, at in zip((cell.baseline, cell.candidate), cell.thresholds, strict=True)
        ]
        p = mcnemar(*right).p_two_sided
    return Tested(cell.name, cell.counts, (by[0].value, by[1].value), found, cell.identical, p)


def _macro_test(
    detector: str, cells: Sequence[PairedCell], tests: Sequence[Tested], found: Difference
) -> Tested:
    values = tuple(float(np.mean([test.values[side] for test in tests])) for side in (0, 1))
    rows = np.concatenate([cell.rows for cell in cells])
    labels = np.concatenate([cell.labels for cell in cells])
    _, first = np.unique(rows, return_index=True)
    fakes = int(np.count_nonzero(labels[first] == 1))
    # What no cell has seen is an unknown of each, apart from the others.
    least = math.sqrt(sum(test.found.floor_sd**2 for test in tests)) / len(tests)
    return Tested(
        (detector, MACRO, "", ""),
        (first.size - fakes, fakes),
        (values[0], values[1]),
        found := replace(found, floor_sd=least),
        all(test.identical for test in tests),
        found.p_two_sided,
    )


def _least(cell: PairedCell) -> float:
    if cell.identical:
        return 0.0
    empty = Influence(0.0, np.zeros(1))
    return difference(empty, empty, pairs=min(cell.counts)).floor_sd


def _variance(draws: NDArray[np.float64]) -> float:
    kept = draws[np.isfinite(draws)]
    return float(np.var(kept, ddof=1)) if kept.size > N_RESAMPLES // 2 else NAN


def _resampled(
    cells: Sequence[PairedCell],
    metric: str,
    strata: NDArray[np.int64],
    clusters: NDArray[np.int64] | None,
    seed: int,
) -> list[tuple[tuple[float, float], NDArray[np.float64]]]:
    """Values on the images as they are, and the difference in every resample, the same for all cells."""
    function = STATISTICS[metric]

    def both(cell: PairedCell, weights: NDArray[np.float32]) -> list[NDArray[np.float64]]:
        own = np.take(weights, cell.rows, axis=1)
        return [
            function(cell.labels, logits[cell.rows], own, at)
            for logits, at in zip((cell.baseline, cell.candidate), cell.thresholds, strict=True)
        ]

    whole = np.ones((1, strata.size), dtype=np.float32)
    values = [(float(a[0]), float(b[0])) for a, b in (both(cell, whole) for cell in cells)]
    gaps: list[list[NDArray[np.float64]]] = [[] for _ in cells]
    block = max(1, min(N_RESAMPLES, _BLOCK // max(1, strata.size)))
    for at, start in enumerate(range(0, N_RESAMPLES, block)):
        count = min(block, N_RESAMPLES - start)
        weights = resamples(strata, count, seed + at, clusters)
        for cell, kept in zip(cells, gaps, strict=True):
            a, b = both(cell, weights)
            kept.append(b - a)
    return [(v, np.concatenate(kept)) for v, kept in zip(values, gaps, strict=True)]
