"""Batches of fixed shape: the same images always meet in the same batch, so their bits never change.

A network's logits move by some 1e-5 with the batch size. Batches are therefore formed inside a chunk, in
manifest order, and the tail is padded; a resumed or distributed run then has the very same batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from detectors.inputs.spec import InputSpec

# A batch of one runs through other kernels than any larger one. Their rounding is within 1e-4 of a clean
# logit, but the sign in PGD amplifies it to more than half a logit; two images are enough to avoid it.
SMALLEST = 2
# Images a batch that are tried first; an out-of-memory error halves them.
AUTO_BATCH = {"cpu": 32, "cuda": 128}
# On a CPU every thread has a batch of its own: what is quick to compute takes the whole batch, larger
# canvases fewer of them (16 of 224 px), since gradients keep every layer of every image in memory.
CPU_PIXELS = 1 << 20


def auto_batch(size: int | tuple[int, int] | None, device: torch.device, views: int = 1) -> int:
    """Choose how many images a batch has.

    Args:
        size: Side of their canvases in px, or height and width; ``None`` where they are of any size.
        device: Where they are scored.
        views: Views of a canvas, all of which a gradient keeps in memory.

    Returns:
        A power of two.
    """
    largest = max(SMALLEST, AUTO_BATCH[device.type] >> (views - 1).bit_length())
    if device.type != "cpu":
        return largest
    height, width = (size, size) if isinstance(size, int) or size is None else size
    room = CPU_PIXELS // (height * width * views) if height and width else max(1, 8 // views)
    return min(largest, 1 << max(1, room.bit_length() - 1))


def auto_batch_of(rule: InputSpec, device: torch.device) -> int:
    """Choose how many images a batch has by the input rule: every view of every image takes its room.

    Args:
        rule: Input rule of the detector that scores them.
        device: Where they are scored.

    Returns:
        A power of two.
    """
    if rule.views == "one":
        return auto_batch(rule.canvas, device)
    return auto_batch(rule.network_input, device, rule.count_views(rule.canvas_or(64)))


@dataclass(frozen=True, slots=True)
class Place:
    """Which canvases a batch is made of, before its pixels are put together.

    Attributes:
        rows: Positions in the list of canvases; the padding has none.
        index: (shape,) the position behind every row, padding included: the last image again.
    """

    rows: NDArray[np.int64]
    index: NDArray[np.int64]

    def fill(self, canvases: Sequence[NDArray[Any] | None]) -> Batch:
        """The batch, from the canvases it was laid out for."""
        chosen = [canvas for i in self.index if (canvas := canvases[i]) is not None]
        return Batch(self.rows, np.stack(chosen), self.index)


@dataclass(frozen=True, slots=True)
class Batch:
    """Up to ``size`` canvases of one shape, padded to a fixed length.

    Attributes:
        rows: Positions in the list the canvases came from; the padding has none.
        images: (shape, 3, h, w) uint8, or float32 in [0, 1] where an attack did not quantise; rows
            past ``len(rows)`` repeat the last image.
        index: (shape,) the position behind every row, padding included.
    """

    rows: NDArray[np.int64]
    images: NDArray[Any]
    index: NDArray[np.int64]

    def tensor(self, device: torch.device) -> torch.Tensor:
        """Give the images as (shape, 3, h, w) float32 in [0, 1] on ``device``."""
        pixels = torch.from_numpy(self.images)
        if device.type == "cuda":
            pixels = pixels.pin_memory().to(device, non_blocking=True)
        return unit_floats(pixels)


def unit_floats(pixels: torch.Tensor) -> torch.Tensor:
    """Turn uint8 levels into float32 in [0, 1] where they are; floats are handed back as they came.

    Every level has the same bits on every device.
    """
    if pixels.dtype != torch.uint8:
        return pixels
    # Not by the number 255: CUDA would multiply by its reciprocal, and 126 of the 256 levels would be off
    # by a bit. By a tensor it divides.
    return pixels.to(torch.float32).div_(torch.full((), 255.0, device=pixels.device))


def layout(canvases: Sequence[NDArray[Any] | None], size: int) -> Iterator[Place]:
    """Group canvases by shape, in order, and cut each group into batches of ``size``.

    Args:
        canvases: (3, h, w) uint8, or float32 in [0, 1]; ``None`` where there is no image.
        size: Images in a batch.

    Yields:
        Places of ``max(size, SMALLEST)``, or where shapes vary of the next power of two; what is short is
        padded with its last image. Repeating an image, rather than adding a black one, keeps gradients of
        the padding as well behaved as its neighbour's.
    """
    longest = max(size, SMALLEST)
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for position, canvas in enumerate(canvases):
        if canvas is not None:
            by_shape.setdefault(canvas.shape, []).append(position)
    for positions in by_shape.values():
        for start in range(0, len(positions), size):
            rows = positions[start : start + size]
            # Where shapes vary, most groups are a few images: padding each to a whole batch is mostly waste.
            length = longest if len(by_shape) == 1 else min(longest, power_of_two(len(rows)))
            index = rows + [rows[-1]] * (length - len(rows))
            yield Place(np.asarray(rows, dtype=np.int64), np.asarray(index, dtype=np.int64))


def power_of_two(count: int) -> int:
    """The smallest power of two that holds ``count`` images, at least SMALLEST."""
    return max(SMALLEST, 1 << (count - 1).bit_length())


def batches(canvases: Sequence[NDArray[Any] | None], size: int) -> Iterator[Batch]:
    """The batches of :func:`layout`, filled one after the other."""
    for place in layout(canvases, size):
        yield place.fill(canvases)
