"""One column of scores on disk, and the cells made of it: read once, sorted once, merged for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics.streams.cell import StreamedCell, measure_streamed
from leaderboards.statistics.streams.ranking import PairCount, RankingFile
from leaderboards.statistics.streams.runs import SortedRuns, merged
from leaderboards.statistics.thresholds import called_fake
from leaderboards.tables.measures.states import CellState, Status, counted_state
from leaderboards.tables.slicing import Slice

CHUNK: Final = 1 << 20  # images that are read at once
_SCORES: Final = np.dtype(np.float32)
_KINDS: Final = np.dtype(np.int32)
LEFT_OUT: Final = -1
# Is told how many more images have passed, for whoever watches.
Advance = Callable[[int], object]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnFile:
    """The scores of one detector under one condition, as files of one value an image.

    A *kind* is what slices are made of: images of one label, generator and domain. In the slices that belong
    to these columns, rows are numbers of kinds.

    Attributes:
        detector: The detector's name on the board.
        condition: The condition's canonical spelling.
        kinds: File of int32, the number of each image's kind; -1 where the image is left out.
        logits: File of float32 likewise, nan where unscored.
        fake: (k,) bool, whether a kind is of fakes.
        status: As of a ``ScoreColumn``.
        reason: Why, where the status is not "ok".
    """

    detector: str
    condition: str
    kinds: Path
    logits: Path
    fake: NDArray[np.bool_]
    status: Status = "ok"
    reason: str = ""

    def chunks(self, size: int = CHUNK) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float32]]]:
        """Read kinds and scores, a part of the images at a time, in their order."""
        with self.kinds.open("rb") as kinds, self.logits.open("rb") as logits:
            while (codes := np.fromfile(kinds, _KINDS, size)).size:
                yield codes, np.fromfile(logits, _SCORES, size)

    def of(self, kinds: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
        """Read the scores of some kinds, a part at a time, in the order of the images."""
        chosen = self.mask(kinds)
        for codes, logits in self.chunks():
            yield logits[chosen[codes]]

    def mask(self, kinds: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mark some kinds, (k + 1,) bool; the last stands for images that are left out."""
        chosen = np.zeros(self.fake.size + 1, dtype=bool)
        chosen[kinds] = True
        return chosen


class Tally(NamedTuple):
    """Images of a column counted by kind, (k,) int64 each."""

    images: NDArray[np.int64]
    unscored: NDArray[np.int64]
    infinite: NDArray[np.int64]
    called_fake: NDArray[np.int64]


class ColumnPass:
    """One column, read once: counted by kind, and sorted in runs.

    Args:
        column: The files that hold it.
        threshold: The logit above which an image is called fake; nan where none is chosen.
        folder: Where runs are written; the caller removes it.
        advance: Hears of every image that is read, and of every image of a cell that is measured.
    """

    def __init__(
        self, column: ColumnFile, threshold: float, folder: Path, advance: Advance = lambda _: None
    ) -> None:
        self.column, self.threshold, self.folder, self._advance = column, threshold, folder, advance
        self._runs = SortedRuns(folder, column.fake, _SCORES)
        self._pairs: dict[tuple[bytes, bytes], PairCount] = {}
        k = column.fake.size
        counts = np.zeros((4, k), dtype=np.int64)
        for codes, logits in column.chunks():
            kept = codes != LEFT_OUT
            there, scores = codes[kept], logits[kept]
            finite = np.isfinite(scores)
            marks = (
                slice(None),
                np.isnan(scores),
                np.isinf(scores),
                called_fake(scores, threshold),
            )
            for number, mark in enumerate(marks):
                counts[number] += np.bincount(there[mark], minlength=k)
            self._runs.add(there[finite], scores[finite])
            advance(codes.size)
        self.tally = Tally(*counts)

    def state(self, kinds: NDArray[np.int64]) -> CellState:
        """Judge the cell of some kinds."""
        n, unscored, infinite = (int(counts[kinds].sum()) for counts in self.tally[:3])
        return counted_state(self.column.status, self.column.reason, n, unscored, infinite)

    def pairs(self, reals: NDArray[np.int64], fakes: NDArray[np.int64]) -> PairCount:
        """Count the pairs of an area under a ROC curve: at once where its cell is measured already."""
        key = (reals.tobytes(), fakes.tobytes())
        if key not in self._pairs:
            count = PairCount()
            for rows in self._merged(reals, fakes):
                count.add(rows)
            self._pairs[key] = count
        return self._pairs[key]

    def _merged(self, reals: NDArray[np.int64], fakes: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        return merged(self._runs.segments([*reals.tolist(), *fakes.tolist()]), _SCORES)

    def measured(self, cut: Slice) -> dict[str, Any]:
        """Give what a board's row holds of one cell: size, state, and numbers where it has any."""
        reals, fakes = cut.real_rows, cut.fake_rows
        state = self.state(cut.rows)
        n_real, n_fake = (int(self.tally.images[kinds].sum()) for kinds in (reals, fakes))
        values: dict[str, Any] = {"n_real": n_real, "n_fake": n_fake, **state._asdict()}
        if state.status != "ok":
            return values
        ranking = RankingFile.written(self.folder / "ranking", _SCORES, self._merged(reals, fakes))
        self._pairs[reals.tobytes(), fakes.tobytes()] = ranking.count
        called = self.tally.called_fake
        cell = StreamedCell(
            ranking,
            lambda: self.column.of(reals),
            lambda: self.column.of(fakes),
            int(called[fakes].sum()),
            int(called[reals].sum()),
        )
        values |= measure_streamed(cell, self.threshold)
        ranking.path.unlink()
        self._advance(n_real + n_fake)
        return values
