"""Super-resolution down and up: a picture that a network-free enlarger has drawn anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from corruptions.base import Corruption, Image
from corruptions.checks import real, whole
from corruptions.levels import to_levels
from corruptions.resize import KERNELS, SMALLEST_SCALE, Resize

MOST_ITERATIONS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SuperResolution(Corruption):
    """Shrunk by Lanczos, then enlarged by iterative back-projection to the old size.

    Back-projection (Irani and Peleg 1991) enlarges bicubically and then, again and again, shrinks the
    result and adds the enlarged error, so that the outcome is a sharp picture that shrinks to what was
    kept. It is no network and knows no textures.

    Attributes:
        scale: Factor on both sides, 0.001 to 1.
        iterations: Corrections after the bicubic enlargement, 0 to 100.
    """

    name: ClassVar[str] = "super-resolution"
    summary: ClassVar[str] = "shrunk, then enlarged by iterative back-projection"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"scale": 0.75},
        {"scale": 0.6},
        {"scale": 0.5},
        {"scale": 0.35},
        {"scale": 0.25},
    )
    draws: ClassVar[bool] = False

    scale: float = 0.5
    iterations: int = 5

    def __post_init__(self) -> None:
        scale = real("super-resolution scale", self.scale, SMALLEST_SCALE, 1.0)
        object.__setattr__(self, "scale", scale)
        iterations = whole("super-resolution iterations", self.iterations, 0, MOST_ITERATIONS)
        object.__setattr__(self, "iterations", iterations)

    @property
    def may_be_identity(self) -> bool:
        """True where no side may shrink."""
        return self.scale > 15 / 16

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Work channel by channel in float32, as Pillow resamples."""
        height, width = image.shape[:2]
        small = Resize(scale=self.scale).target(width, height)
        out = np.empty_like(image)
        for channel in range(3):
            plane = np.ascontiguousarray(image[..., channel])
            kept = np.rint(np.clip(_resized(plane, small, "lanczos"), 0, 255))
            large = _resized(kept, (width, height), "bicubic")
            for _ in range(self.iterations):
                error = kept - _resized(large, small, "lanczos")
                large = large + _resized(error, (width, height), "bicubic")
            out[..., channel] = to_levels(large)
        return out


def _resized(plane: NDArray[Any], size: tuple[int, int], kernel: str) -> NDArray[np.float32]:
    """Resample an H x W plane to a width and height in px, in float32, unclipped."""
    picture = PILImage.fromarray(np.asarray(plane, dtype=np.float32))
    return np.array(picture.resize(size, KERNELS[kernel]), dtype=np.float32)


CORRUPTIONS = {"super-resolution": SuperResolution}
