"""From decoded images to canvases: corrupted once for all detectors, fitted once for all of one geometry.

Only canvases are kept, so the memory this needs is the detectors' own, whatever the pictures' size.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from bench.inference.foreign import border
from bench.inference.profiling import Stopwatch
from bench.inference.threads import Lanes, slices
from bench.protocol.seeding import generator_for
from corruptions.base import Corruption
from detectors.base import Detector

if TYPE_CHECKING:
    from bench.datasets import ImageRecord
    from bench.protocol.condition import Step
    from bench.scoring.decoding import DecodedChunk

Image = NDArray[np.uint8]


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
    """

    changed: list[bool | None]
    canvases: dict[Hashable, list[Image | None]]
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
    steps: tuple[Step, ...],
    fits: Mapping[Hashable, Detector],
    workshop: Workshop,
) -> Ready:
    """Corrupt and fit every image of a chunk, in threads.

    Args:
        chunk: Decoded images of the chunk.
        steps: Corruptions of the source image.
        fits: By geometry: a detector that fits so.
        workshop: Threads, seed, stopwatch.
    """
    count, watch, recipe = len(chunk.records), workshop.watch, _recipe(steps, 0)
    ready = Ready([None] * count, {key: [None] * count for key in fits})

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
                    corrupted = _chain(image, chunk.records[row], recipe, workshop.seed)
                except Exception as error:  # a plug-in may raise anything; the others go on
                    return error, unfit
                if steps:
                    ready.changed[row] = differs(image, corrupted)
                between = watch.clock()
                for key, detector in fits.items():
                    if key not in unfit:
                        try:
                            ready.canvases[key][row] = detector.fit(corrupted)
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


def purpose(position: int, step: Step) -> str:
    """Name what a step draws for: its place in the condition, and all its parameters."""
    return f"{position}:{step.spell(resolved=True)}"


_Recipe = Sequence[tuple[Corruption, str]]


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
