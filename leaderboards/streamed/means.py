"""The mean of several areas under ROC curves with its variance, from scores on disk."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics.intervals import NAN
from leaderboards.statistics.paired import Difference
from leaderboards.statistics.streams.ranking import RankingFile
from leaderboards.streamed.columns import ColumnPass

PART: Final = 1 << 22  # images that are placed among all scores at once
_STEP: Final = 1 << 20  # contributions that are read at once
_PARTS: Final = np.dtype(np.float64)

Areas = Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]


@dataclass(frozen=True, slots=True)
class MeanFile:
    """A mean of areas, and what each image contributes to its error, in a file.

    Attributes:
        value: The mean; nan where undefined.
        variance: Its variance, the sum of the squares of all contributions.
        parts: File of float64, one an image; nan where the variance is undefined.
    """

    value: float
    variance: float
    parts: Path

    def difference(self, other: MeanFile) -> Difference:
        """Take the paired difference, the other's value minus this one's, over images that stand alone."""
        squares = 0.0
        for mine, theirs in zip(_read(self.parts), _read(other.parts), strict=True):
            apart = theirs - mine
            squares += float(np.dot(apart, apart))
        return Difference(other.value - self.value, squares)


def _read(parts: Path) -> Iterator[NDArray[np.float64]]:
    with parts.open("rb") as file:
        while (chunk := np.fromfile(file, _PARTS, _STEP)).size:
            yield chunk


def mean_area(column: ColumnPass, areas: Areas, parts: Path) -> MeanFile:
    """Average areas that may share images, unweighted, as ``paired.mean_influence`` does.

    Contributions have the bits of ``paired.auc_influence``; the variance is summed in parts, and so may be
    off in its last digits.

    Args:
        column: The scores, none of them missing in any of the areas.
        areas: Kinds of the reals and of the fakes of each, at least one.
        parts: Where contributions are written.
    """
    rankings = [column.ranking(*area) for area in areas]
    value = sum(ranking.auc() for ranking in rankings) / len(rankings)
    defined = all(min(ranking.n_real, ranking.n_fake) > 1 for ranking in rankings)
    variance = 0.0
    with parts.open("wb") as file:
        for codes, logits in column.column.chunks(PART):
            # What nobody knows must not look like a difference without error.
            total = np.full(codes.size, 0.0 if defined else NAN)
            for area, ranking in zip(areas, rankings, strict=True) if defined else ():
                rows = np.flatnonzero(column.column.mask(np.concatenate(area))[codes])
                rows = rows[np.argsort(logits[rows])]
                fake = column.column.fake[codes[rows]]
                total[rows] += _contributions(ranking, logits[rows], fake) / len(areas)
            variance += float(np.dot(total, total))
            file.write(total.tobytes())
    for ranking in rankings:
        ranking.path.unlink()
    return MeanFile(value, variance if defined else NAN, parts)


def _contributions(
    ranking: RankingFile, scores: NDArray[np.float32], fake: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Say what images contribute to one area, (m,) ascending scores, each of which the ranking holds."""
    auc, n_real, n_fake = ranking.auc(), ranking.n_real, ranking.n_fake
    of_fakes, of_reals = np.zeros(scores.size), np.zeros(scores.size)
    for rows, real, fakes in ranking.ascending():
        first = int(np.searchsorted(scores, rows["value"][0], "left"))
        last = int(np.searchsorted(scores, rows["value"][-1], "right"))
        if first == last:
            continue
        at = np.searchsorted(rows["value"], scores[first:last])
        real_below = real + np.cumsum(rows["real"]) - 0.5 * rows["real"]
        fake_over = n_fake - (fakes + np.cumsum(rows["fake"])) + 0.5 * rows["fake"]
        of_fakes[first:last] = (real_below / n_real)[at]
        of_reals[first:last] = (fake_over / n_fake)[at]
    return np.where(
        fake,
        (of_fakes - auc) / math.sqrt(n_fake * (n_fake - 1)),
        (of_reals - auc) / math.sqrt(n_real * (n_real - 1)),
    )
