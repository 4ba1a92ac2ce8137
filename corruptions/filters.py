"""Filters an editor offers: pixelate, sharpen, median."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image as PILImage

from corruptions import opencv
from corruptions.base import Corruption, Image
from corruptions.blur import LARGEST_SIGMA, Blur
from corruptions.checks import real
from corruptions.checks import whole as whole_number
from corruptions.ranks import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixelate(Corruption):
    """Down and back up with Pillow's box kernel, as in ImageNet-C.

    The small side is ``floor(side * scale)`` px and at least 1 px. On squares of 224 px equal bit for
    bit to ImageNet-C's (Hendrycks and Dietterich 2019), which knows no other size.

    Attributes:
        scale: Small side over side, 0.001 to 1.
    """

    name: ClassVar[str] = "pixelate"
    summary: ClassVar[str] = "down by a factor and back up, both with a box kernel"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"scale": 0.6},
        {"scale": 0.5},
        {"scale": 0.4},
        {"scale": 0.3},
        {"scale": 0.25},
    )
    draws: ClassVar[bool] = False

    scale: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", real("pixelate scale", self.scale, 0.001, 1.0))

    @property
    def may_be_identity(self) -> bool:
        """True where no side may shrink."""
        return self.scale == 1

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Resample twice by Pillow with a box kernel."""
        height, width = image.shape[:2]
        small = max(1, int(width * self.scale)), max(1, int(height * self.scale))
        picture = PILImage.fromarray(image).resize(small, PILImage.Resampling.BOX)
        return np.array(picture.resize((width, height), PILImage.Resampling.BOX), dtype=np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharpen(Corruption):
    """Unsharp mask: the picture plus its difference from its Gaussian blur, times an amount.

    A value v becomes ``v + amount * (v - blurred)``, clipped and rounded. The blur is ``blur`` of this
    package, rounded to whole levels first.

    Attributes:
        amount: Share of the difference added, 0 to 100.
        sigma: Standard deviation of the Gaussian in px, 0 to 100.
    """

    name: ClassVar[str] = "sharpen"
    summary: ClassVar[str] = "unsharp mask of a stated amount"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"amount": 0.5},
        {"amount": 1.0},
        {"amount": 2.0},
        {"amount": 3.0},
        {"amount": 5.0},
    )
    draws: ClassVar[bool] = False

    amount: float = 1.0
    sigma: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "amount", real("sharpen amount", self.amount, 0.0, 100.0))
        object.__setattr__(self, "sigma", real("sharpen sigma", self.sigma, 0.0, LARGEST_SIGMA))

    @property
    def may_be_identity(self) -> bool:
        """True where rounding takes the change back."""
        return self.amount < 0.1 or self.sigma < 0.3

    def apply(self, image: Image, rng: np.random.Generator, /) -> Image:
        """Add the scaled difference from the blurred picture."""
        blurred = Blur(sigma=self.sigma)(image, rng)
        values = np.subtract(image, blurred, dtype=np.float32)
        values *= np.float32(self.amount)
        values += image
        np.clip(values, 0, 255, out=values)
        return np.rint(values, out=values).astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Median(Corruption):
    """The median over a square window, channel by channel; the border repeated.

    Equal bit for bit to scipy's ``median_filter(mode="nearest")`` and to OpenCV's ``medianBlur``.

    Attributes:
        size: Side of the window in px, odd, 3 to 15.
    """

    name: ClassVar[str] = "median"
    summary: ClassVar[str] = "median over a square window of a stated odd side in px"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"size": 3},
        {"size": 5},
        {"size": 7},
        {"size": 9},
        {"size": 11},
    )
    draws: ClassVar[bool] = False

    size: int = 3

    def __post_init__(self) -> None:
        size = whole_number("median size", self.size, 3, 15)
        if size % 2 == 0:
            raise ValueError(
                f"median size must be odd, got {size}; the nearest valid ones are {size - 1} and "
                f"{size + 1}"
            )
        object.__setattr__(self, "size", size)

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Run a sorting network over shifted pictures; OpenCV where it is installed: the same pixels."""
        if opencv.available():
            return opencv.median(image, self.size)
        return median(image, self.size)


CORRUPTIONS = {"pixelate": Pixelate, "sharpen": Sharpen, "median": Median}
