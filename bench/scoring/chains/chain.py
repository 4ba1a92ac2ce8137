"""One chain of corruptions over some images: small ones together, where a corruption gains by it.

Whether images go together shows in no bit: what draws is never done together, and what is gives the same
pixels either way.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, cast

import numpy as np
from numpy.typing import NDArray

from attacks.laundering.base import Laundering
from bench.inference.foreign import border
from bench.inference.threads import SLICE, Lanes, slices
from bench.protocol.seeding import generator_for
from corruptions.base import Corruption

if TYPE_CHECKING:
    from bench.datasets import ImageRecord
    from bench.protocol.condition import Step

Image = NDArray[np.uint8]
# By the rows of some images: what corruptions have computed of their pixels.
Memo = MutableMapping[Hashable, Any]
Edit = Corruption | Laundering

# Fewer images of a size than this are as quick one by one.
LEAST: Final = 8
# Images of no more pixels are worked on together; what is larger, alone, so that memory stays flat.
TOGETHER_PIXELS: Final = 1 << 18
# Stands where no generator is used: making one takes 10 us, a tenth of what a small image's JPEG does.
_UNUSED: Final = np.random.default_rng(0)
_NESTED = re.compile(r",nested=(true|false)")


def purpose(position: int, step: Step) -> str:
    """Name what a step draws for: its place in the condition, and all its parameters."""
    # Whether budgets nest decides what is kept, not what is drawn.
    return f"{position}:{_NESTED.sub('', step.spell(resolved=True))}"


@dataclass(frozen=True, slots=True)
class Chain:
    """Corruptions of a condition, one after the other, for many images.

    Attributes:
        steps: Each with the text that its seeds are derived from.
        seed: Seed of the run.
    """

    steps: tuple[tuple[Edit, str], ...]
    seed: int

    @classmethod
    def of(cls, steps: Sequence[Step], first: int, seed: int) -> Self:
        """Make the chain of some steps of a condition.

        Args:
            steps: Corruptions of the condition, in order.
            first: Position of the first of them in the whole condition.
            seed: Seed of the run.
        """
        named = [
            (cast(Edit, step.plugin), purpose(position, step))
            for position, step in enumerate(steps, start=first)
        ]
        return cls(tuple(named), seed)

    def __call__(
        self,
        pictures: Sequence[Image],
        records: Sequence[ImageRecord],
        memo: Memo | None = None,
    ) -> tuple[list[Image], Exception | None]:
        """Corrupt images by every step.

        Args:
            pictures: (h, w, 3) uint8 each.
            records: Records of the pictures; draws depend on their ids.
            memo: What corruptions computed of these pictures before.

        Returns:
            The corrupted pictures in front of the first that failed, and its failure.
        """
        current, failure = list(pictures), None
        for number, (corruption, drawn_for) in enumerate(self.steps):
            outcomes = _together(corruption, current, memo if number == 0 else None)
            for row, picture in enumerate(current):
                outcome = outcomes.get(row)
                if outcome is None:
                    outcome = self._alone(corruption, drawn_for, picture, records[row])
                if isinstance(outcome, Exception):
                    # In the order of the images, it comes before whatever failed in a later one.
                    failure, current = outcome, current[:row]
                    break
                current[row] = outcome
        return current, failure

    def _alone(
        self, corruption: Edit, drawn_for: str, picture: Image, record: ImageRecord
    ) -> Image | Exception:
        draws, seed = corruption.draws, self.seed
        rng = generator_for(seed, drawn_for, record.sample_id) if draws else _UNUSED
        try:
            with border(type(corruption).__name__):
                return corruption(picture, rng)
        except Exception as error:  # a plug-in may raise anything
            return error


def _together(
    corruption: Edit, pictures: Sequence[Image], memo: Memo | None
) -> dict[int, Image | Exception]:
    """Corrupt those pictures that gain by it with others of their size; by position."""
    outcomes: dict[int, Image | Exception] = {}
    if not isinstance(corruption, Corruption) or corruption.draws or len(pictures) < LEAST:
        return outcomes
    by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, picture in enumerate(pictures):
        by_size[picture.shape[0], picture.shape[1]].append(row)
    for size, rows in by_size.items():
        if len(rows) < LEAST:
            continue
        try:
            with border(type(corruption).__name__):
                at_once = int(corruption.batch_size(*size))
        except Exception as error:  # a plug-in may raise anything
            outcomes[rows[0]] = error
            continue
        for start in range(0, len(rows), at_once) if at_once > 0 else ():
            batch = rows[start : start + at_once]
            shared = None if memo is None else memo.setdefault(tuple(batch), {})
            try:
                with border(type(corruption).__name__):
                    images = corruption.batch([pictures[row] for row in batch], shared)
                outcomes |= zip(batch, images, strict=True)
            except Exception as error:  # a plug-in may raise anything
                outcomes[batch[0]] = error
    return outcomes


def parts(images: Sequence[Image | None], lanes: Lanes) -> list[range]:
    """Cut images into parts for threads: large ones where that leaves no thread without work."""
    small = sum(image.size for image in images if image is not None) <= 3 * TOGETHER_PIXELS
    size = len(images) // (2 * lanes.threads) if small else SLICE
    return slices(len(images), max(SLICE, size))


def spans(images: Sequence[Image | None], part: range) -> Iterator[list[int]]:
    """Give the rows of a part that hold an image, in runs that are small enough to be worked on together."""
    rows: list[int] = []
    pixels = 0
    for row in part:
        image = images[row]
        if image is None:
            continue
        size = image.shape[0] * image.shape[1]
        if rows and pixels + size > TOGETHER_PIXELS:
            yield rows
            rows, pixels = [], 0
        rows.append(row)
        pixels += size
    if rows:
        yield rows
