"""What each image contributes to a mean of areas under ROC curves: one sweep over all scores in their order.

Images are sorted in parts of their order, and the parts read side by side from the lowest score to the
highest. So every score is met once, beside all that equal it, whatever the number of parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics.streams.ranking import PairCount
from leaderboards.statistics.streams.runs import Segment, firsts, stretches
from leaderboards.streamed.columns import LEFT_OUT, Advance, ColumnFile

PART: Final = 1 << 22  # images that are sorted at once
BLOCK: Final = 1 << 20  # images that are placed at once
_IMAGE: Final = np.dtype([("value", np.float32), ("kind", np.int32)])
_PLACES: Final = np.dtype(np.int32)
_PARTS: Final = np.dtype(np.float64)


class Area(NamedTuple):
    """One area under a ROC curve.

    Attributes:
        reals: Kinds of its reals.
        fakes: Kinds of its fakes.
        pairs: What is counted of its pairs.
    """

    reals: NDArray[np.int64]
    fakes: NDArray[np.int64]
    pairs: PairCount


class _Part(NamedTuple):
    """Consecutive images, sorted by score.

    Attributes:
        size: How many images they are, those without a finite score included.
        scored: How many have one.
        images: File of scores and kinds, ascending.
        places: File of int32, the place of each among the images of the part.
        contributed: File of float64, what each contributes, once it is known.
    """

    size: int
    scored: int
    images: Path
    places: Path
    contributed: Path


class Contributions(NamedTuple):
    """What consecutive images contribute.

    Attributes:
        values: (m,) float64; 0 of an image that is in none of the areas.
        counted: (m,) bool, which images are in one of them.
    """

    values: NDArray[np.float64]
    counted: NDArray[np.bool_]


class SortedParts:
    """The images of a column, sorted part by part; 20 bytes of disk each.

    Args:
        column: Their kinds and scores.
        folder: Where files are made; the caller removes it.
        advance: Hears of every image that is sorted or placed.
    """

    def __init__(self, column: ColumnFile, folder: Path, advance: Advance) -> None:
        self._n_kinds, self._advance = column.fake.size, advance
        self._parts: list[_Part] = []
        for codes, logits in column.chunks(PART):
            names = [
                folder / f"{name}-{len(self._parts)}" for name in ("sorted", "places", "parts")
            ]
            places = np.flatnonzero((codes != LEFT_OUT) & np.isfinite(logits))
            places = places[np.argsort(logits[places])]
            images = np.empty(places.size, _IMAGE)
            images["value"], images["kind"] = logits[places], codes[places]
            part = _Part(codes.size, places.size, *names)
            images.tofile(part.images)
            places.astype(_PLACES).tofile(part.places)
            self._parts.append(part)
            advance(codes.size)

    @property
    def sizes(self) -> list[int]:
        """How many images each part has."""
        return [part.size for part in self._parts]

    def contributions(self, areas: Sequence[Area]) -> Iterator[Contributions]:
        """Say what every image contributes to the unweighted mean of some areas, a part at a time, in order.

        Contributions have the bits of those of ``paired.mean_influence``.

        Args:
            areas: Each with more than one image of each class, all of them scored.
        """
        chosen = np.zeros(self._n_kinds, dtype=bool)
        for area in areas:
            chosen[np.concatenate([area.reals, area.fakes])] = True
        self._sweep(areas, chosen)
        for part in self._parts:
            kinds = np.fromfile(part.images, _IMAGE)["kind"]
            places = np.fromfile(part.places, _PLACES)
            values, counted = np.zeros(part.size), np.zeros(part.size, dtype=bool)
            values[places] = np.fromfile(part.contributed, _PARTS)
            counted[places] = chosen[kinds]
            part.contributed.unlink()
            yield Contributions(values, counted)

    def _sweep(self, areas: Sequence[Area], chosen: NDArray[np.bool_]) -> None:
        """Write for every part what its images contribute, in the order of their scores."""
        segments = [Segment(part.images, 0, part.scored) for part in self._parts]
        below = _Below(self._n_kinds, areas)
        with ExitStack() as stack:
            files = [stack.enter_context(part.contributed.open("wb")) for part in self._parts]
            for pieces in stretches(segments, _IMAGE, BLOCK):
                images = np.concatenate(pieces)
                values = np.zeros(images.size)
                members = np.flatnonzero(chosen[images["kind"]])
                values[members] = below.place(images[members])
                ends = np.cumsum([piece.size for piece in pieces])
                for file, piece in zip(files, np.split(values, ends[:-1]), strict=True):
                    file.write(piece.tobytes())
                self._advance(images.size)


@dataclass(slots=True, eq=False)
class _Class:
    """The images of some kinds, as a sweep passes them.

    Attributes:
        kinds: (k,) bool, which kinds they are.
        passed: How many lie below the scores that are looked at.
    """

    kinds: NDArray[np.bool_]
    passed: int = 0


@dataclass(slots=True, eq=False)
class _Below:
    """The classes of several areas, each once though areas share it."""

    n_kinds: int
    areas: Sequence[Area]
    classes: dict[bytes, _Class] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for area in self.areas:
            for kinds in (area.reals, area.fakes):
                mask = np.zeros(self.n_kinds, dtype=bool)
                mask[kinds] = True
                self.classes[kinds.tobytes()] = _Class(mask)

    def place(self, images: NDArray[Any]) -> NDArray[np.float64]:
        """Say what images contribute, (m,) in the order given; all that equal one of them are there."""
        order = np.argsort(images["value"], kind="stable")
        kinds = images["kind"][order]
        starts = firsts(images["value"][order])
        group = np.repeat(np.arange(starts.size), np.diff(starts, append=order.size))
        rows, upto, half = {}, {}, {}
        for name, each in self.classes.items():
            rows[name] = np.flatnonzero(each.kinds[kinds])
            count = np.bincount(group[rows[name]], minlength=starts.size)
            upto[name], half[name] = each.passed + np.cumsum(count), 0.5 * count
            each.passed += rows[name].size
        total = np.zeros(order.size)
        for reals, fakes, pairs in self.areas:
            real, fake, auc = reals.tobytes(), fakes.tobytes(), pairs.auc()
            n_real, n_fake = pairs.n_real, pairs.n_fake
            of_fakes = (upto[real] - half[real]) / n_real
            of_reals = (n_fake - upto[fake] + half[fake]) / n_fake
            for name, placed, n in ((fake, of_fakes, n_fake), (real, of_reals, n_real)):
                share = (placed[group[rows[name]]] - auc) / math.sqrt(n * (n - 1))
                total[rows[name]] += share / len(self.areas)
        values = np.empty(order.size)
        values[order] = total
        return values
