"""The variance of an estimate whose images depend on each other, from contributions read in parts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics.intervals import cluster_correction
from leaderboards.statistics.streams.summation import Pipe

ALONE: Final = -1
NO_IMAGE: Final = -2
CODES: Final = np.dtype(np.int32)
_STEP: Final = 1 << 20  # codes that are read at once


@dataclass(frozen=True, slots=True)
class ClusterFile:
    """Which images depend on each other: what ``paired.cluster_codes`` gives, on disk.

    Attributes:
        path: File of int32, one an image in their order: equal codes from 0 on for images of one cluster,
            ``ALONE`` for one that depends on no other, ``NO_IMAGE`` for one that is left out.
        n_codes: One more than the largest code can be.
    """

    path: Path
    n_codes: int

    def chunks(self) -> Iterator[NDArray[np.int32]]:
        """Read the codes, a part of the images at a time, in their order."""
        with self.path.open("rb") as file:
            while (codes := np.fromfile(file, CODES, _STEP)).size:
                yield codes


class SpreadSum:
    """A variance, summed up as contributions come, in the order of the images.

    Without clusters it is the sum of the squares; with clusters it is that of ``paired.variance_of``. Memory
    holds nine bytes a code.

    Args:
        clusters: Which images depend on each other; None where each stands alone.
    """

    def __init__(self, clusters: ClusterFile | None) -> None:
        self._codes = None if clusters is None else Pipe(clusters.chunks())
        n_codes = 0 if clusters is None else clusters.n_codes
        self._sums, self._filled = np.zeros(n_codes), np.zeros(n_codes, dtype=bool)
        self._squares = 0.0
        self._n = self._n_alone = 0

    def add(self, parts: NDArray[np.float64], counted: NDArray[np.bool_] | None = None) -> None:
        """Take the contributions of the next images.

        Args:
            parts: (m,) contributions; 0 where an image has none.
            counted: (m,) which images the estimate is about; all that are not left out by default.
        """
        if self._codes is None:
            self._squares += float(np.dot(parts, parts))
            return
        codes = self._codes.read(parts.size)
        there = codes != NO_IMAGE if counted is None else counted & (codes != NO_IMAGE)
        alone, tied = there & (codes == ALONE), there & (codes >= 0)
        own = parts[alone]
        self._squares += float(np.dot(own, own))
        np.add.at(self._sums, codes[tied], parts[tied])
        self._filled[codes[tied]] = True
        self._n += int(np.count_nonzero(there))
        self._n_alone += own.size

    @property
    def variance(self) -> float:
        """The variance of the estimate; nan where all images are one cluster."""
        if self._codes is None:
            return self._squares
        total = self._squares + float(np.dot(self._sums, self._sums))
        return total * cluster_correction(self._n_clusters, self._n)

    @property
    def df(self) -> float:
        """Degrees of freedom behind it: clusters less one; infinite where no data depend on each other."""
        return math.inf if self._codes is None else float(self._n_clusters - 1)

    @property
    def _n_clusters(self) -> int:
        return self._n_alone + int(np.count_nonzero(self._filled))
