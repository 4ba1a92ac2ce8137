"""Gaussian blur with a true Gaussian kernel."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from corruptions.base import Corruption, Image, Images
from corruptions.checks import real

# In bytes. Smaller blocks are no quicker on one core (2**18 to 2**22 measured), and each call to NumPy gives
# Python's lock up and waits for it again beside other threads.
BLOCK_BYTES = 2**20
LARGEST_SIGMA = 100.0
# Images of no more pixels go together, as many as have about so many values: measured at 16 to 128 px.
TOGETHER_PIXELS, TOGETHER_VALUES = 96 * 96, 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Blur(Corruption):
    """Separable Gaussian blur, the kernel sampled out to at least 4 sigma, the border repeated.

    A tap ``i`` px from the centre weighs ``exp(-i^2 / (2 sigma^2))``, normalised to a sum of 1, up
    to ``i = ceil(4 sigma)``. Within one level of scipy's ``gaussian_filter(mode="nearest")``.
    Pillow's own GaussianBlur is a chain of box filters, up to 19 levels off; OpenCV's default border
    is up to 45 levels off.

    Attributes:
        sigma: Standard deviation of the kernel in px, 0 to 100.
    """

    name: ClassVar[str] = "blur"
    summary: ClassVar[str] = "Gaussian blur of a stated sigma in px"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"sigma": 0.5},
        {"sigma": 1.0},
        {"sigma": 2.0},
        {"sigma": 3.0},
        {"sigma": 5.0},
    )
    draws: ClassVar[bool] = False

    sigma: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", real("blur sigma", self.sigma, 0.0, LARGEST_SIGMA))

    @property
    def may_be_identity(self) -> bool:
        """True where the neighbours' weight is so small that rounding takes it back."""
        return self.sigma < 0.3

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Blur down the columns, then along the rows, a block of rows at a time."""
        weights = half_kernel(self.sigma)
        radius = len(weights) - 1
        if radius == 0:
            return image
        height, width, channels = image.shape
        tall = np.pad(image, ((radius, radius), (0, 0), (0, 0)), mode="edge")
        out = np.empty(image.shape, dtype=np.uint8)
        block = max(1, BLOCK_BYTES // (4 * width * channels))
        for top in range(0, height, block):
            bottom = min(top + block, height)
            out[top:bottom] = _blurred(tall[None, top : bottom + 2 * radius], weights)[0]
        return out

    def batch_size(self, height: int, width: int, /) -> int:
        """Take as many small images as a core's cache holds; large ones are as quick one by one."""
        return TOGETHER_VALUES // (3 * height * width) if height * width <= TOGETHER_PIXELS else 0

    def apply_batch(self, images: Images, _memo: MutableMapping[Hashable, Any], /) -> Images:
        """Blur as :meth:`apply` does, every value by the same operations in the same order."""
        weights = half_kernel(self.sigma)
        radius = len(weights) - 1
        if radius == 0:
            return images
        tall = np.pad(images, ((0, 0), (radius, radius), (0, 0), (0, 0)), mode="edge")
        return _blurred(tall, weights)


def half_kernel(sigma: float) -> NDArray[np.float32]:
    """Compute the weights of the centre and of one side, float32; the whole kernel sums to 1.

    The radius is ``ceil(4 sigma)``; sigma 0 gives the centre alone.
    """
    radius = math.ceil(4 * sigma)
    if radius == 0:
        return np.ones(1, dtype=np.float32)
    weights = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    weights /= weights[0] + 2 * weights[1:].sum()
    return weights.astype(np.float32)


def _blurred(tall: Images, weights: NDArray[np.float32]) -> Images:
    """Blur images down the columns, then along the rows.

    Args:
        tall: (n, h + 2 r, w, c) uint8, r rows of each border repeated or of the picture beyond.
        weights: (r + 1,) from ``half_kernel``.

    Returns:
        (n, h, w, c) uint8.
    """
    radius = len(weights) - 1
    count, taller, width, channels = tall.shape
    height = taller - 2 * radius
    padded = tall.astype(np.float32).reshape(count, taller, width * channels)
    down = _convolve(padded, weights, (count, height, width * channels), axis=1, stride=1)
    widened = np.pad(
        down.reshape(count, height, width, channels),
        ((0, 0), (0, 0), (radius, radius), (0, 0)),
        mode="edge",
    ).reshape(count, height, (width + 2 * radius) * channels)
    across = _convolve(widened, weights, down.shape, axis=2, stride=channels)
    return np.rint(across, out=across).astype(np.uint8).reshape(count, height, width, channels)


def _convolve(
    padded: NDArray[np.float32],
    weights: NDArray[np.float32],
    shape: tuple[int, ...],
    axis: int,
    stride: int,
) -> NDArray[np.float32]:
    """Convolve a padded array with a symmetric kernel along an axis, ``stride`` items a tap.

    Plain multiplications and additions in one order: the same bits on every machine, which a BLAS
    or an FFT does not promise.
    """
    radius = len(weights) - 1

    def shifted(tap: int) -> NDArray[np.float32]:
        start = (radius + tap) * stride
        return padded[(slice(None),) * axis + (slice(start, start + shape[axis]),)]

    out: NDArray[np.float32] = shifted(0) * weights[0]
    pair = np.empty_like(out)
    for tap in range(1, radius + 1):
        np.add(shifted(-tap), shifted(tap), out=pair)
        pair *= weights[tap]
        out += pair
    return out


CORRUPTIONS = {"blur": Blur}
