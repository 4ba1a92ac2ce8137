"""Blur by a lens out of focus and by a moving camera."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corruptions.base import Corruption, Image
from corruptions.blur import BLOCK_BYTES
from corruptions.checks import real, whole

LARGEST_RADIUS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DefocusBlur(Corruption):
    """The mean over a disk of pixels, its rim softened; the border repeated.

    The disk and its softening are those of ImageNet-C (Hendrycks and Dietterich 2019, ``disk`` in
    its ``make_imagenet_c.py``): pixels at most ``radius`` away, then a Gaussian of 3 taps a side, of
    5 where the radius is above 8. There the kernel is cut where the Gaussian leaves its array, here
    it is not.

    Attributes:
        radius: Radius of the disk in px, 1 to 100.
        alias: Standard deviation in px of the Gaussian that softens the rim, 0 to 10.
    """

    name: ClassVar[str] = "defocus-blur"
    summary: ClassVar[str] = "mean over a disk of a stated radius in px"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"radius": 1},
        {"radius": 2},
        {"radius": 4},
        {"radius": 6},
        {"radius": 10},
    )
    draws: ClassVar[bool] = False

    radius: int = 4
    alias: float = 0.5

    def __post_init__(self) -> None:
        radius = whole("defocus-blur radius", self.radius, 1, LARGEST_RADIUS)
        object.__setattr__(self, "radius", radius)
        object.__setattr__(self, "alias", real("defocus-blur alias", self.alias, 0.0, 10.0))

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Sum whole numbers over runs of pixels, a run a row of the disk; then soften."""
        rim = _rim(self.radius, self.alias)
        sums = _disk_sums(image, self.radius, margin=len(rim) // 2)
        means = sums.values * np.float32(1 / sums.n_pixels)
        height, width = image.shape[:2]
        down = np.zeros((height, *means.shape[1:]), dtype=np.float32)
        for i, weight in enumerate(rim):
            down += means[i : i + height] * weight
        across = np.zeros(image.shape, dtype=np.float32)
        for i, weight in enumerate(rim):
            across += down[:, i : i + width] * weight
        return np.rint(across).astype(np.uint8)


class Tap(NamedTuple):
    """One tap of a motion blur: rows down, columns right, and its share of the result."""

    down: int
    right: int
    weight: np.float32


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionBlur(Corruption):
    """Half a Gaussian along a line, as ImageMagick's motion blur; the border repeated.

    Tap i of ``2 radius + 1`` lies i px along the angle, rounded to a whole pixel, and weighs
    ``exp(-i^2 / (2 sigma^2))``.

    Attributes:
        radius: Half the number of taps, 1 to 100.
        sigma: Standard deviation along the line in px, 0.1 to 1000.
        angle: Degrees, -180 to 180; None draws one an image, uniform in -45 to 45, as ImageNet-C
            does.
    """

    name: ClassVar[str] = "motion-blur"
    summary: ClassVar[str] = "a trail of a stated length, at a stated or a drawn angle"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"radius": 3, "sigma": 1.5},
        {"radius": 5, "sigma": 3.0},
        {"radius": 10, "sigma": 5.0},
        {"radius": 15, "sigma": 8.0},
        {"radius": 20, "sigma": 15.0},
    )

    radius: int = 10
    sigma: float = 5.0
    angle: float | None = None

    def __post_init__(self) -> None:
        radius = whole("motion-blur radius", self.radius, 1, LARGEST_RADIUS)
        object.__setattr__(self, "radius", radius)
        object.__setattr__(self, "sigma", real("motion-blur sigma", self.sigma, 0.1, 1000.0))
        if self.angle is not None:
            angle = real("motion-blur angle", self.angle, -180.0, 180.0)
            object.__setattr__(self, "angle", angle)

    @property
    def may_be_identity(self) -> bool:
        """True where the neighbours' weight is so small that rounding takes it back."""
        return self.sigma < 0.3

    def apply(self, image: Image, rng: np.random.Generator, /) -> Image:
        """Add the picture once a tap, shifted and weighted, a block of rows at a time."""
        angle = rng.uniform(-45, 45) if self.angle is None else self.angle
        taps = self.taps(math.radians(angle))
        height, width = image.shape[:2]
        reach_y = max(abs(tap.down) for tap in taps)
        reach_x = max(abs(tap.right) for tap in taps)
        padded = np.pad(image, ((reach_y, reach_y), (reach_x, reach_x), (0, 0)), mode="edge")
        rows = padded.reshape(height + 2 * reach_y, -1)
        out = np.empty((height, width * 3), dtype=np.uint8)
        block = max(1, BLOCK_BYTES // (4 * rows.shape[1]))
        for top in range(0, height, block):
            bottom = min(top + block, height)
            part = rows[top : bottom + 2 * reach_y].astype(np.float32)
            total = np.zeros((bottom - top, width * 3), dtype=np.float32)
            scaled = np.empty_like(total)
            for tap in taps:
                row, column = reach_y + tap.down, 3 * (reach_x + tap.right)
                shifted = part[row : row + bottom - top, column : column + width * 3]
                total += np.multiply(shifted, tap.weight, out=scaled)
            out[top:bottom] = np.rint(total, out=total)
        return out.reshape(image.shape)

    def taps(self, angle: float) -> list[Tap]:
        """Lay the taps along a line; their weights sum to 1.

        Args:
            angle: Angle of the line in radians, clockwise from the right.
        """
        weights = np.exp(-0.5 * (np.arange(2 * self.radius + 1) / self.sigma) ** 2)
        weights /= weights.sum()
        return [
            Tap(round(i * math.sin(angle)), round(i * math.cos(angle)), np.float32(weight))
            for i, weight in enumerate(weights)
        ]


def _rim(radius: int, alias: float) -> NDArray[np.float32]:
    """Compute the softening Gaussian's weights along one side; its width is ImageNet-C's."""
    half = 1 if radius <= 8 else 2
    distance = np.arange(-half, half + 1)
    weights: NDArray[np.float64] = (
        np.exp(-0.5 * (distance / alias) ** 2) if alias else 1.0 * (distance == 0)
    )
    weights /= weights.sum()
    return weights.astype(np.float32)


class _DiskSums(NamedTuple):
    """Sums over a disk around every pixel, and the number of pixels of the disk."""

    values: NDArray[np.float32]
    n_pixels: int


def _disk_sums(image: Image, radius: int, margin: int) -> _DiskSums:
    """Sum over a disk around every pixel of the picture and of ``margin`` px around it.

    Running sums along the rows give a run of any length in one subtraction, so the cost grows with
    the radius, not with the disk's area; whole numbers make them exact.
    """
    reach = radius + margin
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    tall, wide = padded.shape[:2]
    running = np.zeros((tall, wide + 1, 3), dtype=np.int32)
    np.cumsum(padded, axis=1, dtype=np.int32, out=running[:, 1:])
    height, width = image.shape[0] + 2 * margin, image.shape[1] + 2 * margin
    halves = [math.isqrt(radius * radius - y * y) for y in range(radius + 1)]
    count = sum((1 if y == 0 else 2) * (2 * half + 1) for y, half in enumerate(halves))
    flat = running.reshape(tall, -1)
    out = np.empty((height, width * 3), dtype=np.float32)
    block = max(1, BLOCK_BYTES // (4 * flat.shape[1]))
    for top in range(0, height, block):
        bottom = min(top + block, height)
        total = np.zeros((bottom - top, width * 3), dtype=np.int32)
        for y in range(-radius, radius + 1):
            half = halves[abs(y)]
            rows = flat[top + radius + y : bottom + radius + y]
            total += rows[:, 3 * (radius + half + 1) :][:, : width * 3]
            total -= rows[:, 3 * (radius - half) :][:, : width * 3]
        out[top:bottom] = total
    return _DiskSums(out.reshape(height, width, 3), count)


CORRUPTIONS = {"defocus-blur": DefocusBlur, "motion-blur": MotionBlur}
