"""Every number of one cell whose scores lie on disk: what ``metrics.measure`` gives, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from leaderboards.statistics import catalogue
from leaderboards.statistics.intervals import NAN
from leaderboards.statistics.measures import CellScores
from leaderboards.statistics.operating import ECE_BINS, UNDEFINED, Estimate, bins_of
from leaderboards.statistics.ranking import TieGroups
from leaderboards.statistics.streams.ranking import RankingFile
from leaderboards.statistics.streams.summation import Pipe, pairwise_sum

# Gives the scores of one class in the order of the images, a part at a time.
Reader = Callable[[], Iterator[NDArray[Any]]]


@dataclass(frozen=True, slots=True)
class StreamedCell:
    """One cell on disk.

    Attributes:
        ranking: Its scores, sorted and counted.
        reals: Gives the scores of the reals in the order of the images.
        fakes: Gives those of the fakes.
        tp: Fakes called fake.
        fp: Reals called fake.
    """

    ranking: RankingFile
    reals: Reader
    fakes: Reader
    tp: int
    fp: int

    def counted(self) -> CellScores:
        """Give what metrics of counts and of ranks need; its arrays of scores are empty."""
        ranking, nothing = self.ranking, np.zeros(0)
        # Metrics of the catalogue that come here ask no more of groups than a `Ranking` answers.
        groups = cast(TieGroups, ranking)
        tn, fn = ranking.n_real - self.fp, ranking.n_fake - self.tp
        return CellScores(nothing.astype(bool), nothing, groups, self.tp, self.fp, tn, fn)

    def in_memory(self, threshold: float) -> CellScores:
        """Read the whole cell, for what cannot be computed in passes."""
        empty = np.zeros(0, self.ranking.scores)
        reals = np.concatenate([empty, *self.reals()])
        fakes = np.concatenate([empty, *self.fakes()])
        labels = np.repeat([0, 1], [reals.size, fakes.size])
        return CellScores.of(labels, np.concatenate([reals, fakes]), threshold)


def measure_streamed(cell: StreamedCell, threshold: float) -> dict[str, int | float]:
    """Measure every metric there is on one cell, by column, in passes over its files.

    Bits are those of ``metrics.measure`` on the same images in the same order. A metric of a plug-in sees
    the cell in memory: what it asks of the scores nobody knows.

    Args:
        cell: The scores; no image is unscored.
        threshold: That by which ``tp`` and ``fp`` were counted.
    """
    counted, whole = cell.counted(), None
    errors = _errors(cell)
    values: dict[str, int | float] = {}
    for metric in catalogue.every_metric():
        if metric.name in errors:
            estimate = errors[metric.name]
        elif metric.name in _CURVE:
            estimate = Estimate(_CURVE[metric.name](cell.ranking), NAN, NAN)
        elif metric in catalogue.CATALOGUE:
            estimate = metric.measure(counted)
        else:
            whole = cell.in_memory(threshold) if whole is None else whole
            estimate = metric.measure(whole)
        values[metric.name] = estimate.value
        if metric.interval:
            values |= zip(metric.interval_columns, estimate.interval, strict=True)
    return values


# Metrics of the ROC curve, whose points memory does not hold.
_CURVE: Final[dict[str, Callable[[RankingFile], float]]] = {
    "eer": RankingFile.equal_error_rate,
    "partial_auc": RankingFile.partial_auc,
}


def _errors(cell: StreamedCell) -> dict[str, Estimate]:
    """Compute how far probabilities are off: over images in their order, or over sorted scores."""
    brier, ece = _in_order(cell)
    balanced_nll, balanced_ece = _by_class(cell.ranking)
    named = {"brier": brier, "ece": ece, "balanced_nll": balanced_nll, "balanced_ece": balanced_ece}
    return {
        name: UNDEFINED if np.isnan(value) else Estimate(value, NAN, NAN)
        for name, value in named.items()
    }


def _in_order(cell: StreamedCell) -> tuple[float, float]:
    """Compute Brier's score and the calibration error, reals first, each in the order of the images."""
    n_real, n = cell.ranking.n_real, cell.ranking.n_real + cell.ranking.n_fake
    if not n:
        return NAN, NAN

    def scores() -> Iterator[NDArray[Any]]:
        yield from cell.reals()
        yield from cell.fakes()

    pipe, gap, n_read = Pipe(scores()), np.zeros(ECE_BINS), 0

    def squares(m: int) -> NDArray[np.float64]:
        nonlocal n_read
        probability = expit(pipe.read(m).astype(np.float64))
        fake = np.arange(n_read, n_read + m) >= n_real
        n_read += m
        _add(gap, probability, probability - fake)
        return np.asarray((probability - fake) ** 2, dtype=np.float64)

    brier = pairwise_sum(n, squares, cell.ranking.block) / n
    return brier, float(np.abs(gap).sum() / n)


def _by_class(ranking: RankingFile) -> tuple[float, float]:
    """Compute the negative log-likelihood and calibration error that weigh both classes alike."""
    if not ranking.has_both:
        return NAN, NAN
    total, nll = np.zeros(ECE_BINS), {}
    for name, label, n in (("real", 0, ranking.n_real), ("fake", 1, ranking.n_fake)):
        pipe, gap = Pipe(_repeated(ranking, name)), np.zeros(ECE_BINS)

        def losses(
            m: int, pipe: Pipe = pipe, gap: NDArray[np.float64] = gap, label: int = label
        ) -> NDArray[np.float64]:
            z = pipe.read(m).astype(np.float64)
            probability = expit(z)
            _add(gap, probability, probability - label)
            return np.asarray(np.logaddexp(0, -z if label else z), dtype=np.float64)

        nll[name] = pairwise_sum(n, losses, ranking.block) / n
        total += gap / (2 * n)
    return (nll["fake"] + nll["real"]) / 2, float(np.abs(total).sum())


def _repeated(ranking: RankingFile, name: str) -> Iterator[NDArray[Any]]:
    """Give the scores of one class in ascending order, as often as they occur."""
    for rows, _, _ in ranking.ascending():
        ends = np.cumsum(rows[name])
        for start in range(0, int(ends[-1]), ranking.block):
            places = np.arange(start, min(start + ranking.block, int(ends[-1])))
            yield rows["value"][np.searchsorted(ends, places, side="right")]


def _add(
    gap: NDArray[np.float64], probability: NDArray[np.float64], off: NDArray[np.float64]
) -> None:
    """Go on with sums by bin where they stopped: one image after the other, as ``numpy.bincount`` adds."""
    bins = np.concatenate([np.arange(ECE_BINS), bins_of(probability)])
    gap[:] = np.bincount(bins, weights=np.concatenate([gap, off]), minlength=ECE_BINS)
