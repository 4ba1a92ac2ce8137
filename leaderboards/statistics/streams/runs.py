"""Scores sorted outside memory: runs of bounded size on disk, and their merge with exact ties.

A run holds, for every kind of image in it, the distinct scores in ascending order and how many real and
fake images have each. A cell is made of some kinds: the runs of these are merged, equal scores put together,
so that a score is sorted once whatever the number of cells that it is in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

RUN: Final = 1 << 22  # scores sorted at once
BLOCK: Final = 1 << 20  # rows of all runs together that a merge holds
_LEAST = 64  # rows of one run that a merge reads at once, however many runs there are


def group_type(scores: np.dtype[Any]) -> np.dtype[Any]:
    """Give the type of a row: a score, and how many real and fake images have it."""
    return np.dtype([("value", scores), ("real", np.int64), ("fake", np.int64)])


@dataclass(frozen=True, slots=True)
class Segment:
    """The sorted scores of one kind in one run.

    Attributes:
        path: The run's file.
        start: First row.
        stop: Row behind the last.
    """

    path: Path
    start: int
    stop: int


@dataclass(slots=True)
class SortedRuns:
    """Scores by kind of image, sorted in runs that lie in a folder.

    Attributes:
        folder: Where files of the runs are made; the caller removes it.
        fake: (k,) bool, whether the images of each kind are fakes.
        scores: Type of the scores.
        most: Scores that are held before they are sorted and written.
    """

    folder: Path
    fake: NDArray[np.bool_]
    scores: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float32))
    most: int = field(default_factory=lambda: RUN)
    _segments: dict[int, list[Segment]] = field(default_factory=dict)
    _kinds: list[NDArray[np.int64]] = field(default_factory=list)
    _values: list[NDArray[Any]] = field(default_factory=list)
    _held: int = 0
    _written: int = 0

    def add(self, kinds: NDArray[Any], values: NDArray[Any]) -> None:
        """Take scores, (n,) finite, with the kinds of their images, (n,) from 0 to k - 1."""
        for start in range(0, values.size, self.most):
            part = slice(start, start + self.most)
            self._kinds.append(kinds[part])
            self._values.append(values[part].astype(self.scores, copy=False))
            self._held += self._values[-1].size
            if self._held >= self.most:
                self._write()

    def segments(self, kinds: Sequence[int]) -> list[Segment]:
        """List what was sorted of some kinds; nothing may be added afterwards."""
        if self._held:
            self._write()
        return [segment for kind in kinds for segment in self._segments.get(kind, ())]

    def _write(self) -> None:
        """Sort what is held, kind by kind, and put it into one file."""
        kinds, values = np.concatenate(self._kinds), np.concatenate(self._values)
        self._kinds, self._values, self._held = [], [], 0
        values = values[np.argsort(kinds, kind="stable")]
        path = self.folder / f"run-{self._written}"
        self._written += 1
        start = place = 0
        with path.open("wb") as file:
            for kind, size in enumerate(np.bincount(kinds, minlength=self.fake.size).tolist()):
                if not size:
                    continue
                rows = _counted(np.sort(values[start : start + size]), fake=bool(self.fake[kind]))
                file.write(rows.tobytes())
                self._segments.setdefault(kind, []).append(Segment(path, place, place + rows.size))
                start, place = start + size, place + rows.size


def _counted(ordered: NDArray[Any], *, fake: bool) -> NDArray[Any]:
    """Count equal scores of one class, given in ascending order."""
    starts = firsts(ordered)
    rows = np.zeros(starts.size, group_type(ordered.dtype))
    rows["value"] = ordered[starts]
    rows["fake" if fake else "real"] = np.diff(starts, append=ordered.size)
    return rows


def firsts(ordered: NDArray[Any]) -> NDArray[np.int64]:
    """Give the position of the first of every run of equal values, (n,) in order."""
    first = np.ones(ordered.size, dtype=bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return np.flatnonzero(first)


class _Cursor:
    """Reads one segment block by block, in rows that are ascending in their field ``value``."""

    def __init__(self, segment: Segment, rows: np.dtype[Any]) -> None:
        self._segment, self._type, self._next = segment, rows, segment.start
        self.block = np.zeros(0, rows)

    @property
    def is_read(self) -> bool:
        """Whether nothing of the segment is left on disk."""
        return self._next >= self._segment.stop

    def fill(self, size: int) -> None:
        """Read on until the block has ``size`` rows, or the segment ends."""
        count = min(size - self.block.size, self._segment.stop - self._next)
        if count > 0:
            rows = read_rows(self._segment.path, self._type, self._next, self._next + count)
            self.block = np.concatenate([self.block, rows]) if self.block.size else rows
            self._next += count

    def take(self, most: Any) -> NDArray[Any]:
        """Give the rows whose score is at most that."""
        n = int(np.searchsorted(self.block["value"], most, side="right"))
        rows, self.block = self.block[:n], self.block[n:]
        return rows


def read_rows(path: Path, rows: np.dtype[Any], start: int, stop: int) -> NDArray[Any]:
    """Read some rows of a file of equal rows."""
    return np.fromfile(path, rows, count=stop - start, offset=start * rows.itemsize)


def merged(
    segments: Sequence[Segment], scores: np.dtype[Any], block: int = BLOCK
) -> Iterator[NDArray[Any]]:
    """Merge segments into one ascending stream in which every score stands once.

    Args:
        segments: Each ascending, a score once.
        scores: Type of the scores.
        block: Rows that are held, of all segments together.

    Yields:
        Arrays of ``group_type`` rows.
    """
    for parts in stretches(segments, group_type(scores), block):
        yield _joined(np.concatenate(parts))


def stretches(
    segments: Sequence[Segment], rows: np.dtype[Any], block: int = BLOCK
) -> Iterator[list[NDArray[Any]]]:
    """Read ascending segments side by side, so that equal values come together.

    Up to the smallest of the last values that are in memory of each segment, all rows are there: these are
    given, then more is read.

    Args:
        segments: Each ascending in ``value``.
        rows: Type of their rows.
        block: Rows that are held, of all segments together.

    Yields:
        The next rows of each segment, in the order of the segments; none of one that is read.
    """
    cursors = [_Cursor(segment, rows) for segment in segments]
    while left := [cursor for cursor in cursors if cursor.block.size or not cursor.is_read]:
        size = max(_LEAST, block // len(left))
        for cursor in left:
            cursor.fill(size)
        lasts = [cursor.block["value"][-1] for cursor in left if not cursor.is_read]
        most = min(lasts) if lasts else np.inf
        yield [cursor.take(most) for cursor in cursors]


def _joined(rows: NDArray[Any]) -> NDArray[Any]:
    """Put rows of equal scores together."""
    # Runs that are sorted already are what this kind of sort is quick at.
    order = np.argsort(rows["value"], kind="stable")
    values = rows["value"][order]
    starts = firsts(values)
    joined = np.zeros(starts.size, rows.dtype)
    joined["value"] = values[starts]
    for name in ("real", "fake"):
        joined[name] = np.add.reduceat(rows[name][order], starts)
    return joined
