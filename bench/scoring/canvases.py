"""From decoded images to canvases: corrupted once for all detectors, fitted once for all of one geometry.

Only canvases are kept, so the memory this needs is the detectors' own, whatever the pictures' size.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from bench.inference.networks import Unmoved
from bench.inference.profiling import Stopwatch
from bench.inference.threads import Lanes
from bench.scoring.chains.chain import Chain, parts, spans
from corruptions.likeness import Likeness, likeness
from detectors.base import Detector
from detectors.fit import fit_images

if TYPE_CHECKING:
    from bench.datasets import ImageRecord
    from bench.protocol.condition import Condition, Step
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
            for rows in spans(chunk.images, part):
                start = watch.clock()
                outcomes, error = corrupted_by(chunk, rows)
                between = watch.clock()
                for row, outcome in zip(rows, outcomes, strict=False):
                    ready.changed[row], ready.likeness[row] = outcome.changed, outcome.likeness
                for key, detector in fits.items():
                    if key not in unfit:
                        try:
                            for row, canvas in _fitted(detector, rows, outcomes):
                                ready.canvases[key][row] = canvas
                        except Exception as failure:  # the user's own code may raise anything
                            unfit[key] = failure
                end = watch.clock()
                corrupting, fitting = corrupting + between - start, fitting + end - between
                if error is not None:
                    return error, unfit
        finally:
            watch.add("corrupt", corrupting)
            watch.add("fit", fitting)
        return None, unfit

    for error, unfit in reversed(workshop.lanes.each(work, parts(chunk.images, workshop.lanes))):
        ready.error = error or ready.error
        ready.unfit |= unfit
    return ready


def _fitted(
    detector: Detector, rows: Sequence[int], outcomes: Sequence[_Corrupted]
) -> Iterator[tuple[int, Image]]:
    """Fit images in turn, together where they go by the card; gives each row with its canvas."""
    images = [outcome.image for outcome in outcomes]
    if detector.fits_by_card and len(images) > 1:
        yield from zip(rows, fit_images(images, detector.card.input), strict=False)
    else:
        yield from zip(rows, map(detector.fit, images), strict=False)


def unmoved(chunk: DecodedChunk, condition: Condition) -> Unmoved:
    """Say which images of a chunk a condition without an attack leaves as they are.

    Under ``only(fakes)+jpeg(quality=50)`` those are the reals: their scores are those under ``clean``.
    """
    rows = frozenset(
        row
        for row, record in enumerate(chunk.records)
        if not (condition.steps and condition.changes(record.label))
    )
    return Unmoved(rows, unmoved_source(condition), chunk.forwards)


def unmoved_source(condition: Condition) -> str:
    """Spell in full what the images that a condition leaves as they are went through all the same."""
    return "+".join(step.spell(resolved=True) for step in condition.equaliser)


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
    common: Chain
    own: Chain

    @classmethod
    def of(cls, condition: Condition, seed: int) -> _Corruptions:
        first = len(condition.equaliser)
        common, own = condition.before[:first], condition.before[first:]
        return cls(condition, Chain.of(common, 0, seed), Chain.of(own, first, seed))

    def __call__(
        self, chunk: DecodedChunk, rows: Sequence[int]
    ) -> tuple[list[_Corrupted], Exception | None]:
        """Corrupt some images of a chunk: those in front of the first that fails, and its failure."""
        records = [chunk.records[row] for row in rows]
        images = [cast(Image, chunk.images[row]) for row in rows]
        common, failure = self.common(images, records, chunk.memo_of(rows))
        moved = [i for i in range(len(common)) if self.condition.changes(records[i].label)]
        memo = None if self.common.steps else chunk.memo_of([rows[i] for i in moved])
        own, failed = self.own([common[i] for i in moved], [records[i] for i in moved], memo)
        if failed is not None:
            common, failure = common[: moved[len(own)]], failed
        changed = dict(zip(moved, own, strict=False))
        return [
            self._compared(images[i], image, changed.get(i)) for i, image in enumerate(common)
        ], failure

    def _compared(self, image: Image, common: Image, own: Image | None) -> _Corrupted:
        if own is None:
            return _Corrupted(common, None, None)
        if self.condition.only:
            return _Corrupted(own, differs(common, own), likeness(common, own))
        steps = self.common.steps or self.own.steps
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
    chain = Chain.of(steps, first, workshop.seed)

    def work(part: range) -> dict[int, Image]:
        corrupted: dict[int, Image] = {}
        with workshop.watch.time("corrupt"):
            for rows in spans(pictures, part):
                images = [cast(Image, pictures[row]) for row in rows]
                outs, failure = chain(images, [records[row] for row in rows])
                if failure is not None:
                    raise failure
                corrupted |= zip(rows, outs, strict=True)
        return corrupted

    corrupted: dict[int, Image] = {}
    for part in workshop.lanes.each(work, parts(pictures, workshop.lanes)):
        corrupted |= part
    return [corrupted.get(row) for row in range(len(pictures))]


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
