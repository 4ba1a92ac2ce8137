"""From decoded images to canvases: corrupted once for all detectors, fitted once for all of one geometry.

Only canvases are kept, so the memory this needs is the detectors' own, whatever the pictures' size.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from bench.inference.foreign import border
from bench.inference.profiling import Stopwatch
from bench.inference.threads import Lanes, slices
from bench.protocol.seeding import generator_for
from corruptions.base import Corruption
from corruptions.likeness import Likeness, likeness
from detectors.base import Detector

if TYPE_CHECKING:
    from bench.datasets import ImageRecord
    from bench.protocol.condition import Condition, Step
    from bench.scoring.decoding import DecodedChunk

Image = NDArray[np.uint8]
_Recipe = Sequence[tuple[Corruption, str]]


_NESTED = re.compile(r",nested=(true|false)")


@dataclass(frozen=True, slots=True)
class Workshop:
    """The tools that every image is worked on with.

    Attributes:
        seed: Seed of the run, for corruptions that draw.
        lanes: Threads that images are worked on in.
        watch: Stopwatch that corruptions and geometry are timed with.
    """

    seed: int
    lanes: Lanes
    watch: Stopwatch


@dataclass(slots=True)
class Ready:
    """A chunk's images behind one chain of corruptions, as canvases.

    Attributes:
        changed: Whether the corruptions changed the image; ``None`` where there is no image or none.
        canvases: By geometry: (3, h, w) uint8, ``None`` where there is no image.
        unfit: By geometry: the first failure of its fit, in the order of the images.
        error: The first failure of a corruption.
        likeness: How like itself each image still is; ``None`` where that is not asked, or undefined.
    """

    changed: list[bool | None]
    canvases: dict[Hashable, list[Image | None]]
    likeness: list[Likeness | None]
    unfit: dict[Hashable, Exception] = field(default_factory=dict)
    error: Exception | None = None


def geometry(label: str, detector: Detector) -> Hashable:
    """Give a key of a detector's canvas: equal for detectors that can share canvases."""
    if not detector.fits_by_card:
        return label  # a fit of its own
    spec = detector.card.input
    return spec.geometry


def make_ready(
    chunk: DecodedChunk,
    condition: Condition,
    fits: Mapping[Hashable, Detector],
    workshop: Workshop,
) -> Ready:
    """Corrupt and fit every image of a chunk, in threads.

    Args:
        chunk: Decoded images of the chunk.
        condition: Says which corruptions the source image goes through, and which class.
        fits: By geometry: a detector that fits so.
        workshop: Threads, seed, stopwatch.
    """
    count, watch = len(chunk.records), workshop.watch
    ready = Ready([None] * count, {key: [None] * count for key in fits}, [None] * count)
    corrupted_by = _Corruptions.of(condition, workshop.seed)

    def work(part: range) -> tuple[Exception | None, dict[Hashable, Exception]]:
        unfit: dict[Hashable, Exception] = {}
        corrupting = fitting = 0.0
        try:
            for row in part:
                image = chunk.images[row]
                if image is None:
                    continue
                start = watch.clock()
                try:
                    outcome = corrupted_by(image, chunk.records[row])
                except Exception as error:  # a plug-in may raise anything; the others go on
                    return error, unfit
                ready.changed[row], ready.likeness[row] = outcome.changed, outcome.likeness
                between = watch.clock()
                for key, detector in fits.items():
                    if key not in unfit:
                        try:
                            ready.canvases[key][row] = detector.fit(outcome.image)
                        except Exception as error:  # the user's own code may raise anything
                            unfit[key] = error
                end = watch.clock()
                corrupting, fitting = corrupting + between - start, fitting + end - between
        finally:
            watch.add("corrupt", corrupting)
            watch.add("fit", fitting)
        return None, unfit

    for error, unfit in reversed(workshop.lanes.each(work, slices(count))):
        ready.error = error or ready.error
        ready.unfit |= unfit
    return ready


class _Corrupted(NamedTuple):
    """An image behind the corruptions of a condition.

    Attributes:
        image: (h, w, 3) uint8.
        changed: Whether they changed it; ``None`` where there are none for it.
        likeness: How like itself it still is, under a condition that changes one class.
    """

    image: Image
    changed: bool | None
    likeness: Likeness | None


class _Corruptions(NamedTuple):
    """The corruptions of a condition's source images: those of all, then those of one class or both."""

    condition: Condition
    common: _Recipe
    own: _Recipe
    seed: int

    @classmethod
    def of(cls, condition: Condition, seed: int) -> _Corruptions:
        first = len(condition.equaliser)
        common, own = condition.before[:first], condition.before[first:]
        return cls(condition, _recipe(common, 0), _recipe(own, first), seed)

    def __call__(self, image: Image, record: ImageRecord) -> _Corrupted:
        common = _chain(image, record, self.common, self.seed)
        if not self.condition.changes(record.label):
            return _Corrupted(common, None, None)
        own = _chain(common, record, self.own, self.seed)
        if self.condition.only:
            return _Corrupted(own, differs(common, own), likeness(common, own))
        steps = self.common or self.own
        return _Corrupted(own, differs(image, own) if steps else None, None)


def corrupt(
    pictures: Sequence[Image | None],
    records: Sequence[ImageRecord],
    steps: tuple[Step, ...],
    first: int,
    workshop: Workshop,
) -> list[Image | None]:
    """Corrupt every picture by a chain, in threads.

    Args:
        pictures: (h, w, 3) uint8, ``None`` where there is none.
        records: Records of the pictures; draws depend on their ids.
        steps: Corruptions of the chain, in order.
        first: Position of its first step in the whole condition.
        workshop: Threads, seed, stopwatch.
    """
    recipe = _recipe(steps, first)

    def work(part: range) -> list[Image | None]:
        with workshop.watch.time("corrupt"):
            return [
                None
                if (picture := pictures[row]) is None
                else _chain(picture, records[row], recipe, workshop.seed)
                for row in part
            ]

    parts = workshop.lanes.each(work, slices(len(pictures)))
    return [picture for part in parts for picture in part]


def corrupt_after(
    records: Sequence[ImageRecord],
    canvases: Sequence[NDArray[Any] | None],
    condition: Condition,
    changed: Sequence[bool | None],
    workshop: Workshop,
) -> tuple[list[Image | None], list[bool | None]]:
    """Corrupt the attacked canvases; a file holds 8 bits, so that is what is corrupted.

    Args:
        records: The n images.
        canvases: (3, h, w) uint8 or float32 in [0, 1]; ``None`` where there is no image.
        condition: The chain, of which the part behind the attack is taken.
        changed: Whether the corruptions before the attack changed each image.
        workshop: Threads, seed and stopwatch.

    Returns:
        The corrupted canvases, and whether every chain of corruptions changed its image.
    """
    pictures = [None if canvas is None else to_hwc(canvas) for canvas in canvases]
    first = len(condition.before) + 1
    corrupted = corrupt(pictures, records, condition.after, first, workshop)
    altered = [differs(a, b) for a, b in zip(pictures, corrupted, strict=True)]
    if condition.before:
        altered = [both(a, b) for a, b in zip(changed, altered, strict=True)]
    return [
        None if picture is None else np.ascontiguousarray(picture.transpose(2, 0, 1))
        for picture in corrupted
    ], altered


def purpose(position: int, step: Step) -> str:
    """Name what a step draws for: its place in the condition, and all its parameters."""
    # Whether budgets nest decides what is kept, not what is drawn.
    return f"{position}:{_NESTED.sub('', step.spell(resolved=True))}"


def _recipe(steps: tuple[Step, ...], first: int) -> _Recipe:
    return [
        (cast(Corruption, step.plugin), purpose(position, step))
        for position, step in enumerate(steps, start=first)
    ]


def _chain(image: Image, record: ImageRecord, recipe: _Recipe, seed: int) -> Image:
    """Corrupt one image by every corruption of a chain."""
    for corruption, drawn_for in recipe:
        with border(type(corruption).__name__):
            image = corruption(image, generator_for(seed, drawn_for, record.sample_id))
    return image


def differs(a: NDArray[np.uint8] | None, b: NDArray[np.uint8] | None) -> bool | None:
    """Tell whether two pictures differ; None where there is no picture."""
    return None if a is None or b is None else not np.array_equal(a, b)


def both(a: bool | None, b: bool | None) -> bool | None:
    """Tell whether both hold; None where either is unknown."""
    return None if a is None or b is None else a and b


def to_hwc(canvas: NDArray[Any]) -> NDArray[np.uint8]:
    """Turn a (3, h, w) canvas, uint8 or float32 in [0, 1], into an (h, w, 3) uint8 picture."""
    pixels = canvas if canvas.dtype == np.uint8 else np.round(canvas * 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))
