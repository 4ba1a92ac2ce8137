"""The rank statistics of one cell whose distinct scores lie in a file: passes over it, in bounded memory.

Every sum is taken in the order, and by the halves, in which ``TieGroups`` takes it: the bits are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics.intervals import NAN
from leaderboards.statistics.operating import PARTIAL_MAX_FPR, partial_area
from leaderboards.statistics.streams.runs import BLOCK, group_type, read_rows
from leaderboards.statistics.streams.summation import pairwise_sum


class Stretch(NamedTuple):
    """Consecutive distinct scores with the counts of both classes before them.

    Attributes:
        rows: (m,) rows of ``group_type``.
        real: Reals that come before in the direction of reading.
        fake: Fakes that do.
    """

    rows: NDArray[Any]
    real: int
    fake: int


@dataclass(slots=True)
class PairCount:
    """Real-fake pairs, counted while distinct scores pass in ascending order.

    Attributes:
        n_groups: Number of distinct scores.
        n_real: Number of real images.
        n_fake: Number of fake images.
        halves: Twice the number of pairs that are ranked rightly, ties counted as one half.
        ties: Number of pairs of equal scores.
    """

    n_groups: int = 0
    n_real: int = 0
    n_fake: int = 0
    halves: int = 0
    ties: int = 0

    def add(self, rows: NDArray[Any]) -> None:
        """Count the next distinct scores, rows of ``group_type``."""
        real, fake = rows["real"], rows["fake"]
        below = self.n_real + np.cumsum(real) - real
        # In halves of a block at most n_real n_fake: whole numbers, exact.
        self.halves += int(np.sum(fake * (2 * below + real)))
        self.ties += int(np.sum(fake * real))
        self.n_groups += rows.size
        self.n_real += int(real.sum())
        self.n_fake += int(fake.sum())

    def auc(self) -> float:
        """Compute the area under the ROC curve; see ``TieGroups.auc``."""
        pairs = self.n_real * self.n_fake
        return self.halves / (2 * pairs) if pairs else NAN


@dataclass(frozen=True, slots=True)
class RankingFile:
    """Scores of both classes counted by distinct value: what ``TieGroups`` holds, on disk.

    Attributes:
        path: Rows of ``group_type``, ascending, every score once.
        scores: Type of the scores.
        count: How many images and pairs there are.
        block: Rows that are read at once.
    """

    path: Path
    scores: np.dtype[Any]
    count: PairCount
    block: int = BLOCK

    @classmethod
    def written(
        cls, path: Path, scores: np.dtype[Any], stream: Iterable[NDArray[Any]], block: int = BLOCK
    ) -> RankingFile:
        """Write what ``merged`` yields, and count it on the way."""
        count = PairCount()
        with path.open("wb") as file:
            for rows in stream:
                file.write(rows.tobytes())
                count.add(rows)
        return cls(path, scores, count, block)

    @property
    def n_groups(self) -> int:
        """Number of distinct scores."""
        return self.count.n_groups

    @property
    def n_real(self) -> int:
        """Number of real images."""
        return self.count.n_real

    @property
    def n_fake(self) -> int:
        """Number of fake images."""
        return self.count.n_fake

    @property
    def has_both(self) -> bool:
        """Whether there are images of both classes."""
        return self.n_real > 0 and self.n_fake > 0

    def auc(self) -> float:
        """Compute the area under the ROC curve; see ``TieGroups.auc``."""
        return self.count.auc()

    def ascending(self) -> Iterator[Stretch]:
        """Read from the lowest score to the highest."""
        real = fake = 0
        for start in range(0, self.n_groups, self.block):
            rows = self._read(start, min(start + self.block, self.n_groups))
            yield Stretch(rows, real, fake)
            real, fake = real + int(rows["real"].sum()), fake + int(rows["fake"].sum())

    def descending(self) -> Iterator[Stretch]:
        """Read from the highest score to the lowest."""
        real = fake = 0
        for stop in range(self.n_groups, 0, -self.block):
            rows = self._read(max(0, stop - self.block), stop)[::-1]
            yield Stretch(rows, real, fake)
            real, fake = real + int(rows["real"].sum()), fake + int(rows["fake"].sum())

    def squares(self, auc: float) -> tuple[float, float]:
        """Sum the squared distances of placements from the area; see ``TieGroups.squares``."""
        fakes = _Rows(self, descending=False)
        reals = _Rows(self, descending=False)

        def of_fakes(m: int) -> NDArray[np.float64]:
            rows, before, _ = fakes.read(m)
            placed = (before + np.cumsum(rows["real"]) - 0.5 * rows["real"]) / self.n_real
            return np.asarray(rows["fake"] * (placed - auc) ** 2, dtype=np.float64)

        def of_reals(m: int) -> NDArray[np.float64]:
            rows, _, before = reals.read(m)
            over = self.n_fake - (before + np.cumsum(rows["fake"])) + 0.5 * rows["fake"]
            return np.asarray(rows["real"] * (over / self.n_fake - auc) ** 2, dtype=np.float64)

        n, leaf = self.n_groups, self.block
        return pairwise_sum(n, of_fakes, leaf), pairwise_sum(n, of_reals, leaf)

    def average_precision(self) -> float:
        """Compute average precision; see ``TieGroups.average_precision``."""
        if not self.has_both:
            return NAN
        rows_down = _Rows(self, descending=True)

        def terms(m: int) -> NDArray[np.float64]:
            rows, real, fake = rows_down.read(m)
            hits = fake + np.cumsum(rows["fake"])
            called = hits + real + np.cumsum(rows["real"])
            return np.asarray(rows["fake"] * (hits / called), dtype=np.float64)

        return pairwise_sum(self.n_groups, terms, self.block) / self.n_fake

    def fakes_above(self, allowed: int) -> int:
        """Count the fakes strictly above the real that would be one too many."""
        for rows, real, fake in self.descending():
            reals = real + np.cumsum(rows["real"])
            cut = int(np.searchsorted(reals, allowed, side="right"))
            if cut < rows.size:
                return fake + int(rows["fake"][:cut].sum())
        return self.n_fake

    def equal_error_rate(self) -> float:
        """Find the error rate where both classes err alike; see ``operating.equal_error_rate``."""
        if not self.has_both:
            return NAN
        fpr = tpr = 0.0  # the point before
        for rows, real, fake in self.descending():
            x = (real + np.cumsum(rows["real"])) / self.n_real
            y = (fake + np.cumsum(rows["fake"])) / self.n_fake
            gap = x - (1 - y)
            crossing = int(np.searchsorted(gap, 0.0, side="left"))
            if crossing == gap.size:
                fpr, tpr = float(x[-1]), float(y[-1])
                continue
            if gap[crossing] == 0:
                return float(x[crossing])
            if crossing:
                fpr, tpr = float(x[crossing - 1]), float(y[crossing - 1])
            before = fpr - (1 - tpr)
            share = -before / (gap[crossing] - before)
            return float(fpr + share * (x[crossing] - fpr))
        return fpr

    def partial_auc(self, max_fpr: float = PARTIAL_MAX_FPR) -> float:
        """Compute the scaled area up to a false-positive rate; see ``operating.partial_auc``."""
        if not self.has_both:
            return NAN
        n_points, last = 0, (0.0, 0.0)  # distinct scores up to the rate, and the point of the last
        after = (1.0, 1.0)
        for rows, real, fake in self.descending():
            x = (real + np.cumsum(rows["real"])) / self.n_real
            y = (fake + np.cumsum(rows["fake"])) / self.n_fake
            stop = int(np.searchsorted(x, max_fpr, side="right"))
            n_points += stop
            if stop:
                last = float(x[stop - 1]), float(y[stop - 1])
            if stop < x.size:
                after = float(x[stop]), float(y[stop])
                break
        corner = float(np.interp(max_fpr, [last[0], after[0]], [last[1], after[1]]))
        return partial_area(self._area(n_points, (max_fpr, corner)), max_fpr)

    def _area(self, n: int, corner: tuple[float, float]) -> float:
        """Sum the trapezia of the first n points of the curve, and of the corner behind them."""
        rows_down, point = _Rows(self, descending=True), np.zeros(2)

        def terms(m: int) -> NDArray[np.float64]:
            rows, real, fake = rows_down.read(min(m, n - rows_down.n_read))
            x = (real + np.cumsum(rows["real"])) / self.n_real
            y = (fake + np.cumsum(rows["fake"])) / self.n_fake
            if rows.size < m:
                x, y = np.append(x, corner[0]), np.append(y, corner[1])
            x, y = np.append(point[0], x), np.append(point[1], y)
            point[:] = x[-1], y[-1]
            return np.asarray(np.diff(x) * (y[1:] + y[:-1]) / 2, dtype=np.float64)

        return pairwise_sum(n + 1, terms, self.block)

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        return read_rows(self.path, group_type(self.scores), start, stop)


class _Rows:
    """Rows of a file, read on in stretches of the length that is asked for."""

    def __init__(self, ranking: RankingFile, *, descending: bool) -> None:
        self._ranking, self._descending = ranking, descending
        self.n_read = self._real = self._fake = 0

    def read(self, m: int) -> Stretch:
        """Give the next m distinct scores."""
        n = self._ranking.n_groups
        start, stop = self.n_read, min(self.n_read + m, n)
        if self._descending:
            rows = self._ranking._read(n - stop, n - start)[::-1]
        else:
            rows = self._ranking._read(start, stop)
        stretch = Stretch(rows, self._real, self._fake)
        self.n_read = stop
        self._real += int(rows["real"].sum())
        self._fake += int(rows["fake"].sum())
        return stretch
