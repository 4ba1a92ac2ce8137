"""The mean of several areas under ROC curves with its variance, from scores on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics.intervals import NAN, has_variance
from leaderboards.statistics.paired import Difference
from leaderboards.statistics.streams.clusters import ClusterFile, SpreadSum
from leaderboards.streamed.placements import Area, Contributions, SortedParts

_STEP: Final = 1 << 20  # contributions that are read at once
_PARTS: Final = np.dtype(np.float64)


@dataclass(frozen=True, slots=True)
class AreaMean:
    """A mean of areas.

    Attributes:
        value: The mean; nan where undefined.
        variance: Its variance; nan where an area has none.
        df: Degrees of freedom behind the variance; infinite where no images depend on each other.
    """

    value: float
    variance: float
    df: float


@dataclass(frozen=True, slots=True)
class MeanFile:
    """A mean of areas, and what each image contributes to its error, in a file.

    Attributes:
        mean: Value, variance and degrees of freedom of the mean.
        parts: File of float64, one an image; nan where the variance is undefined.
        clusters: Which images depend on each other; None where each stands alone.
    """

    mean: AreaMean
    parts: Path
    clusters: ClusterFile | None

    def difference(self, other: MeanFile) -> Difference:
        """Take the paired difference, the other's value minus this one's, as ``paired.difference`` does."""
        spread = SpreadSum(self.clusters)
        for mine, theirs in zip(_read(self.parts), _read(other.parts), strict=True):
            spread.add(theirs - mine)
        return Difference(other.mean.value - self.mean.value, spread.variance, df=spread.df)


def _read(parts: Path) -> Iterator[NDArray[np.float64]]:
    with parts.open("rb") as file:
        while (chunk := np.fromfile(file, _PARTS, _STEP)).size:
            yield chunk


def mean_file(
    images: SortedParts, areas: Sequence[Area], parts: Path, clusters: ClusterFile | None
) -> MeanFile:
    """Average areas that may share images, unweighted, over all images that count.

    The variance is summed in parts, and so may be off in its last digits.

    Args:
        images: The images, none of those in the areas unscored.
        areas: At least one.
        parts: Where contributions are written.
        clusters: Which images depend on each other; None where each stands alone.
    """
    spread = SpreadSum(clusters)
    with parts.open("wb") as file:
        for values, _ in _contributions(images, areas):
            spread.add(values)
            file.write(values.tobytes())
    return MeanFile(AreaMean(_value(areas), spread.variance, spread.df), parts, clusters)


def mean_of_members(
    images: SortedParts, areas: Sequence[Area], clusters: ClusterFile | None
) -> AreaMean:
    """Average areas as ``mean_file`` does, over the images that are in one of them."""
    spread = SpreadSum(clusters)
    for values, counted in _contributions(images, areas):
        spread.add(values, counted)
    return AreaMean(_value(areas), spread.variance, spread.df)


def _value(areas: Sequence[Area]) -> float:
    return sum(area.pairs.auc() for area in areas) / len(areas)


def _contributions(images: SortedParts, areas: Sequence[Area]) -> Iterator[Contributions]:
    if all(has_variance(area.pairs.n_real, area.pairs.n_fake) for area in areas):
        yield from images.contributions(areas)
        return
    # What nobody knows must not look like a difference without error.
    for size in images.sizes:
        yield Contributions(np.full(size, NAN), np.ones(size, dtype=bool))
