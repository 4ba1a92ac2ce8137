"""A camera in front of the picture: lens, colour filter, sensor, demosaicking, JPEG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from corruptions.base import Corruption, Image
from corruptions.checks import real, whole
from corruptions.jpeg import Jpeg
from corruptions.levels import from_light, to_light

Plane = NDArray[np.float32]
MOST_ELECTRONS = 1e6
MOST_CYCLES = 10
# Bilinear demosaicking: a colour's missing pixels are the mean of its nearest neighbours. Green lies on a
# chequerboard, red and blue on every other row and column.
_GREEN = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], dtype=np.float32) / 4
_RED_BLUE = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=np.float32) / 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera(Corruption):
    """The picture as a camera would have taken it, in linear light, and encoded as its JPEG.

    In order: the sRGB curve undone; lateral chromatic aberration (red magnified about the centre,
    blue shrunk, bilinear); vignette (light times ``1 - vignette * r^2``, r = 1 in the corner); the
    RGGB mosaic; photons counted (Poisson) and read (Gaussian); hot pixels at full white; bilinear
    demosaicking; the sRGB curve; JPEG, chroma 4:2:0, quality up and down by two from cycle to cycle.

    Attributes:
        electrons: Count of full white, 10 to 1e6; fewer are noisier.
        read_noise: Standard deviation of the reading in electrons, 0 to 1000.
        aberration: Share by which red is magnified and blue shrunk, 0 to 0.05.
        vignette: Share of light lost in the corners, 0 to 1.
        hot: Share of hot pixels, 0 to 0.1.
        quality: JPEG quality of the first cycle, 3 to 98.
        cycles: Number of JPEG round trips, 0 to 10.
    """

    name: ClassVar[str] = "camera"
    summary: ClassVar[str] = "lens, RGGB mosaic, sensor noise, demosaicking and JPEG of a camera"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"electrons": 20_000.0, "read_noise": 3.0, "aberration": 0.0005, "vignette": 0.2,
         "hot": 0.0, "quality": 96, "cycles": 1},
        {"electrons": 8000.0, "read_noise": 4.0, "aberration": 0.001, "vignette": 0.3,
         "hot": 1e-5, "quality": 94, "cycles": 1},
        {"electrons": 3000.0, "read_noise": 5.0, "aberration": 0.0015, "vignette": 0.4,
         "hot": 3e-5, "quality": 92, "cycles": 1},
        {"electrons": 1200.0, "read_noise": 6.0, "aberration": 0.002, "vignette": 0.5,
         "hot": 1e-4, "quality": 90, "cycles": 2},
        {"electrons": 500.0, "read_noise": 8.0, "aberration": 0.003, "vignette": 0.6,
         "hot": 3e-4, "quality": 88, "cycles": 3},
    )  # fmt: skip

    electrons: float = 3000.0
    read_noise: float = 5.0
    aberration: float = 0.0015
    vignette: float = 0.4
    hot: float = 3e-5
    quality: int = 92
    cycles: int = 1

    def __post_init__(self) -> None:
        bounds = {
            "electrons": (10.0, MOST_ELECTRONS), "read_noise": (0.0, 1000.0),
            "aberration": (0.0, 0.05), "vignette": (0.0, 1.0), "hot": (0.0, 0.1),
        }  # fmt: skip
        for name, (low, high) in bounds.items():
            value = real(f"camera {name}", getattr(self, name), low, high)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "quality", whole("camera quality", self.quality, 3, 98))
        object.__setattr__(self, "cycles", whole("camera cycles", self.cycles, 0, MOST_CYCLES))

    def apply(self, image: Image, rng: np.random.Generator, /) -> Image:
        """Take the picture; draws counts, then readings, then hot pixels."""
        light = to_light(image)
        if self.aberration:
            light = aberrated(light, self.aberration)
        raw = mosaic(light) * falloff(image.shape[0], image.shape[1], self.vignette)
        raw = self._exposed(raw, rng)
        picture = from_light(demosaic(raw))
        for cycle in range(self.cycles):
            picture = Jpeg(quality=self.quality + (0, 2, -2)[cycle % 3])(picture, rng)
        return picture

    def _exposed(self, raw: Plane, rng: np.random.Generator) -> Plane:
        """Count photons and read them, in units of full white; some pixels are hot."""
        counts = rng.poisson(raw.astype(np.float64) * self.electrons)
        read = counts + rng.standard_normal(raw.shape) * self.read_noise
        exposed: Plane = (read / self.electrons).astype(np.float32)
        exposed[rng.random(raw.shape) < self.hot] = 1
        return np.clip(exposed, 0, 1, out=exposed)


def aberrated(light: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Magnify red about the centre by a share and shrink blue by it, bilinear, the border repeated."""
    out = light.copy()
    for channel, magnification in ((0, 1 + share), (2, 1 - share)):
        centre = [(side - 1) / 2 for side in light.shape[:2]]
        out[..., channel] = ndimage.affine_transform(
            light[..., channel],
            [1 / magnification] * 2,
            offset=[middle * (1 - 1 / magnification) for middle in centre],
            order=1,
            mode="nearest",
        )
    return out


def falloff(height: int, width: int, vignette: float) -> Plane:
    """Compute the share of light that reaches each pixel: 1 in the centre, 1 - vignette in a corner."""
    down = (np.arange(height) - (height - 1) / 2) / max((height - 1) / 2, 0.5)
    right = (np.arange(width) - (width - 1) / 2) / max((width - 1) / 2, 0.5)
    # Sides count by their length, so that r is a distance in the picture and 1 in its corner.
    square = (down[:, None] ** 2 * height**2 + right**2 * width**2) / (height**2 + width**2)
    share: NDArray[np.float64] = 1 - vignette * square
    return share.astype(np.float32)


def mosaic(light: NDArray[np.float32]) -> Plane:
    """Keep of each pixel the one colour that its filter lets through: red, green over green, blue."""
    raw = light[..., 1].copy()
    raw[::2, ::2] = light[::2, ::2, 0]
    raw[1::2, 1::2] = light[1::2, 1::2, 2]
    return raw


def demosaic(raw: Plane) -> NDArray[np.float32]:
    """Fill in the two missing colours of each pixel from the nearest that have them (bilinear).

    At the border the mean is over the neighbours that there are.
    """
    out = np.empty((*raw.shape, 3), dtype=np.float32)
    for channel, kernel in ((0, _RED_BLUE), (1, _GREEN), (2, _RED_BLUE)):
        mask = np.zeros(raw.shape, dtype=np.float32)
        if channel == 1:
            mask[::2, 1::2] = mask[1::2, ::2] = 1
        else:
            mask[channel // 2 :: 2, channel // 2 :: 2] = 1
        total = ndimage.convolve(raw * mask, kernel, mode="constant")
        weight = ndimage.convolve(mask, kernel, mode="constant")
        # A picture one pixel wide or high lacks a colour: the pixel's own then stands for it.
        out[..., channel] = np.where(weight > 0, total / np.maximum(weight, 1e-6), raw)
        np.copyto(out[..., channel], raw, where=mask > 0)
    return out


CORRUPTIONS = {"camera": Camera}
