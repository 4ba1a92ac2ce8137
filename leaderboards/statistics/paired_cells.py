"""The same cells scored by two detectors: a paired test of each, and of means over them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics.bootstrap import Statistic, resamples
from leaderboards.statistics.catalogue import InfluenceFunction, metric_of, paired_metrics
from leaderboards.statistics.intervals import NAN
from leaderboards.statistics.paired import (
    Difference,
    Influence,
    degrees_of_freedom,
    difference,
    mean_influence,
    smallest_error,
)
from leaderboards.statistics.significance import mcnemar
from leaderboards.statistics.thresholds import called_fake

MACRO = "(macro mean)"
N_RESAMPLES = 1000
# Weights held in memory at once: 32 MB of float32.
_BLOCK = 8_000_000

Clusters = NDArray[np.int64] | None


class CellName(NamedTuple):
    """What a cell is about.

    Attributes:
        detector: Name of the detector.
        generator: Name of the generator, or ``MACRO`` for a mean over cells.
        domain: Name of the domain.
        condition: Condition as spelt; "" for a mean over several.
    """

    detector: str
    generator: str
    domain: str
    condition: str


class Side(NamedTuple):
    """One detector's scores in a cell.

    Attributes:
        logits: (m,) one an image of the cell.
        threshold: Logit above which an image is called fake.
    """

    logits: NDArray[Any]
    threshold: float


@dataclass(frozen=True, slots=True, eq=False)
class PairedCell:
    """One cell scored by both; logits are aligned with all images, ``rows`` picks the cell's.

    Attributes:
        name: Detector, generator, domain, condition.
        rows: (m,) positions of the cell's images.
        labels: (m,) labels of these images, 0 or 1.
        baseline: (n,) logits; nan where unscored.
        candidate: (n,) logits; nan where unscored.
        thresholds: Logits above which the baseline and the candidate call an image fake.
        ranked: False where logits of either say no more than the verdict.
    """

    name: tuple[str, str, str, str]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    baseline: NDArray[Any]
    candidate: NDArray[Any]
    thresholds: tuple[float, float] = (0.0, 0.0)
    ranked: bool = True

    @property
    def identical(self) -> bool:
        """Whether both gave every image the same score."""
        before, after = self.sides
        return bool(
            np.array_equal(before.logits, after.logits) and before.threshold == after.threshold
        )

    @property
    def counts(self) -> tuple[int, int]:
        """Number of real and of fake images."""
        n_fake = int(np.count_nonzero(self.labels == 1))
        return len(self.labels) - n_fake, n_fake

    def allows(self, metric: str) -> bool:
        """Whether a metric may be used here: one that rests on logits needs logits that rank."""
        record = metric_of(metric)
        return self.ranked or record is None or record.needs_threshold

    @property
    def sides(self) -> tuple[Side, Side]:
        """The baseline's and the candidate's scores of the cell's images."""
        before, after = self.thresholds
        return Side(self.baseline[self.rows], before), Side(self.candidate[self.rows], after)


@dataclass(frozen=True, slots=True)
class CellMean:
    """Cells whose mean is tested too.

    Attributes:
        name: Name of the test.
        members: Positions of the cells among those tested; at least one.
    """

    name: tuple[str, str, str, str]
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tested:
    """One paired test, of a cell or of a mean over cells.

    Attributes:
        name: Name of the cell, or of the mean.
        counts: Number of real and of fake images.
        values: The metric of the baseline and of the candidate.
        difference: Candidate minus baseline.
        identical: Whether every score is the same.
        p: Two-sided p value of "no difference"; McNemar's exact one for accuracy.
    """

    name: tuple[str, str, str, str]
    counts: tuple[int, int]
    values: tuple[float, float]
    difference: Difference
    identical: bool
    p: float


def paired_tests(
    cells: Sequence[PairedCell],
    metric: str,
    strata: NDArray[np.int64],
    clusters: Clusters,
    *,
    means: Sequence[CellMean] | None = None,
    seed: int = 0,
) -> list[Tested]:
    """Test the paired difference of every cell, then of means over cells.

    Args:
        cells: Cells scored by both.
        metric: A name among ``paired_metrics``.
        strata: (n,) codes of the groups of images gathered apart, for resampling.
        clusters: (n,) codes of dependent images, from ``cluster_codes``.
        means: Means to test; by default one a detector, over all its cells.
        seed: Seed of resampling, for metrics without a test in closed form.

    Returns:
        A test a cell, in order, then a test a mean.

    Raises:
        ValueError: A metric without a paired test.
    """
    metrics = paired_metrics()
    if metric not in metrics:
        raise ValueError(f"the gate cannot test {metric!r}; it knows {', '.join(metrics)}")
    if means is None:
        means = detector_means(cells)
    influence, statistic = metrics[metric].influence, metrics[metric].statistic
    if influence is not None:
        is_exact = metric == "accuracy" and clusters is None
        return _closed_form_tests(cells, influence, means, len(strata), clusters, is_exact=is_exact)
    assert statistic is not None
    draws = _resampled_differences(cells, statistic, strata, clusters, seed)
    return _resampled_tests(cells, statistic, means, draws, clusters)


def detector_means(cells: Sequence[PairedCell]) -> list[CellMean]:
    """Name one mean a detector, over all its cells."""
    members: dict[str, list[int]] = {}
    for position, cell in enumerate(cells):
        members.setdefault(CellName(*cell.name).detector, []).append(position)
    return [
        CellMean((detector, MACRO, "", ""), tuple(positions))
        for detector, positions in members.items()
    ]


def _closed_form_tests(
    cells: Sequence[PairedCell],
    influence: InfluenceFunction,
    means: Sequence[CellMean],
    n_images: int,
    clusters: Clusters,
    *,
    is_exact: bool,
) -> list[Tested]:
    """Test by what each image contributes; verdicts exactly, by McNemar's test, where asked."""
    influences = [
        [influence(cell.labels, side.logits, side.threshold) for side in cell.sides]
        for cell in cells
    ]
    tests = []
    for cell, (before, after) in zip(cells, influences, strict=True):
        gap = replace(
            difference(before, after, _of_rows(clusters, cell.rows)), floor_sd=_floor_sd(cell)
        )
        test = Tested(
            cell.name,
            cell.counts,
            (before.value, after.value),
            gap,
            cell.identical,
            gap.p_two_sided,
        )
        if is_exact and gap.defined:
            test = replace(test, p=_mcnemar_p(cell))
        tests.append(test)
    for mean in means:
        rows = _rows_of(cells, mean)
        sides = [
            mean_influence(n_images, [(cells[i].rows, influences[i][side]) for i in mean.members])
            for side in (0, 1)
        ]
        before, after = (Influence(side.value, side.parts[rows]) for side in sides)
        tests.append(
            _mean_test(cells, tests, mean, difference(before, after, _of_rows(clusters, rows)))
        )
    return tests


def _resampled_tests(
    cells: Sequence[PairedCell],
    statistic: Statistic,
    means: Sequence[CellMean],
    draws: Sequence[NDArray[np.float64]],
    clusters: Clusters,
) -> list[Tested]:
    """Test by the spread of the difference over resamples, the same ones for all cells."""
    tests = []
    for cell, gaps in zip(cells, draws, strict=True):
        whole = np.ones((1, len(cell.rows)), dtype=np.float32)
        before, after = (float(values[0]) for values in _both_sides(cell, statistic, whole))
        df = degrees_of_freedom(_of_rows(clusters, cell.rows))
        gap = Difference(after - before, _variance(gaps), _floor_sd(cell), df)
        tests.append(
            Tested(cell.name, cell.counts, (before, after), gap, cell.identical, gap.p_two_sided)
        )
    for mean in means:
        gaps = np.mean([draws[i] for i in mean.members], axis=0)
        members = [tests[i].difference for i in mean.members]
        value = float(np.mean([member.value for member in members]))
        # The images of the cells together hold at least the clusters of any one of them.
        df = max(member.df for member in members)
        tests.append(_mean_test(cells, tests, mean, Difference(value, _variance(gaps), df=df)))
    return tests


def _mcnemar_p(cell: PairedCell) -> float:
    before, after = (
        called_fake(side.logits, side.threshold) == (cell.labels == 1) for side in cell.sides
    )
    return mcnemar(before, after).p_two_sided


def _mean_test(
    cells: Sequence[PairedCell], tests: Sequence[Tested], mean: CellMean, gap: Difference
) -> Tested:
    members = [tests[i] for i in mean.members]
    before = float(np.mean([test.values[0] for test in members]))
    after = float(np.mean([test.values[1] for test in members]))
    # What no cell has seen is an unknown of each, apart from the others.
    floor_sd = math.sqrt(sum(test.difference.floor_sd**2 for test in members)) / len(members)
    gap = replace(gap, floor_sd=floor_sd)
    is_identical = all(test.identical for test in members)
    counts = _counts_of(cells, mean)
    return Tested(mean.name, counts, (before, after), gap, is_identical, gap.p_two_sided)


def _rows_of(cells: Sequence[PairedCell], mean: CellMean) -> NDArray[np.int64]:
    return np.unique(np.concatenate([cells[i].rows for i in mean.members]))


def _counts_of(cells: Sequence[PairedCell], mean: CellMean) -> tuple[int, int]:
    """Real and fake images of all the cells, each image once."""
    rows = np.concatenate([cells[i].rows for i in mean.members])
    labels = np.concatenate([cells[i].labels for i in mean.members])
    _, first = np.unique(rows, return_index=True)
    n_fake = int(np.count_nonzero(labels[first] == 1))
    return first.size - n_fake, n_fake


def _of_rows(clusters: Clusters, rows: NDArray[np.int64]) -> Clusters:
    return None if clusters is None else clusters[rows]


def _floor_sd(cell: PairedCell) -> float:
    return 0.0 if cell.identical else smallest_error(min(cell.counts))


def _variance(draws: NDArray[np.float64]) -> float:
    kept = draws[np.isfinite(draws)]
    return float(np.var(kept, ddof=1)) if kept.size > N_RESAMPLES // 2 else NAN


def _both_sides(
    cell: PairedCell, statistic: Statistic, weights: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    before, after = cell.sides
    return (
        statistic(cell.labels, before.logits, weights, before.threshold),
        statistic(cell.labels, after.logits, weights, after.threshold),
    )


def _resampled_differences(
    cells: Sequence[PairedCell],
    statistic: Statistic,
    strata: NDArray[np.int64],
    clusters: Clusters,
    seed: int,
) -> list[NDArray[np.float64]]:
    """For each cell, (N_RESAMPLES,) differences; resamples are made in blocks that fit in memory."""
    blocks: list[list[NDArray[np.float64]]] = [[] for _ in cells]
    size = max(1, min(N_RESAMPLES, _BLOCK // max(1, strata.size)))
    for block, start in enumerate(range(0, N_RESAMPLES, size)):
        n_resamples = min(size, N_RESAMPLES - start)
        weights = resamples(strata, n_resamples, seed + block, clusters)
        for cell, gaps in zip(cells, blocks, strict=True):
            before, after = _both_sides(cell, statistic, np.take(weights, cell.rows, axis=1))
            gaps.append(after - before)
    return [np.concatenate(gaps) for gaps in blocks]
