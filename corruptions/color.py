"""Changes of tone and colour, pixel by pixel: no randomness, no neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from corruptions import opencv
from corruptions.base import Corruption, Image
from corruptions.checks import real, whole

LEVELS = np.arange(256, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brightness(Corruption):
    """Multiplied values, or a shift of HSV's value; give one of the two.

    ``factor`` is torchvision's and Pillow's brightness: every channel v of 0 to 255 becomes
    ``v * factor``, clipped and rounded, within one level of theirs.
    ``value`` is ImageNet-C's (Hendrycks and Dietterich 2019): HSV's value plus a constant, hue and
    saturation kept, so a pixel's channels grow in proportion and black becomes gray.

    Attributes:
        factor: Multiplier, 0 to 100; 1 keeps the picture; 1.3 where neither is given.
        value: Added to HSV's value, -1 to 1 in units of [0, 1], in place of ``factor``.
    """

    name: ClassVar[str] = "brightness"
    summary: ClassVar[str] = "channels times a factor, or HSV's value shifted"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"factor": 1.1},
        {"factor": 1.3},
        {"factor": 1.6},
        {"factor": 2.0},
        {"factor": 3.0},
    )
    draws: ClassVar[bool] = False

    factor: float | None = None
    value: float | None = None

    def __post_init__(self) -> None:
        if self.factor is not None and self.value is not None:
            raise ValueError(
                f"brightness takes factor or value, not both (factor={self.factor!r}, "
                f"value={self.value!r})"
            )
        if self.value is not None:
            object.__setattr__(self, "value", real("brightness value", self.value, -1.0, 1.0))
        else:
            factor = 1.3 if self.factor is None else self.factor
            object.__setattr__(self, "factor", real("brightness factor", factor, 0.0, 100.0))

    @property
    def may_be_identity(self) -> bool:
        """True where rounding takes the change back."""
        if self.value is not None:
            return abs(self.value) < 1 / 255
        return self.factor is not None and abs(self.factor - 1) < 1 / 64

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Look values up in one table for all channels, or multiply each pixel by its own ratio."""
        if self.factor is not None:
            return _look_up(image, LEVELS * self.factor)
        assert self.value is not None
        top = np.maximum(np.maximum(image[..., 0], image[..., 1]), image[..., 2])
        shifted = np.clip(LEVELS + self.value * 255, 0, 255)
        ratio = (shifted / np.maximum(LEVELS, 1)).astype(np.float32)[top]
        out = np.empty_like(image)
        for channel in range(3):
            out[..., channel] = np.rint(ratio * image[..., channel])
        # Black has no hue: all of its channels take the shift.
        out[top == 0] = np.uint8(np.rint(shifted[0]))
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast(Corruption):
    """Distances from each channel's mean over the picture, times a factor, as in ImageNet-C.

    A value v becomes ``mean + (v - mean) * factor``, clipped and rounded, with the mean of its
    channel (Hendrycks and Dietterich 2019; Pillow's and torchvision's contrast turn on the mean
    luma).

    Attributes:
        factor: Multiplier, 0 to 100; 1 keeps the picture, 0 leaves its mean colour.
    """

    name: ClassVar[str] = "contrast"
    summary: ClassVar[str] = "distance from the channels' means times a factor"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"factor": 0.8},
        {"factor": 0.6},
        {"factor": 0.4},
        {"factor": 0.2},
        {"factor": 0.05},
    )
    draws: ClassVar[bool] = False

    factor: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", real("contrast factor", self.factor, 0.0, 100.0))

    @property
    def may_be_identity(self) -> bool:
        """True where rounding takes the change back."""
        return abs(self.factor - 1) < 1 / 64

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Look values up in one table a channel; sums are whole numbers, so the mean is exact."""
        height, width = image.shape[:2]
        # Whole rows are added first: long runs of memory, many times faster than a channel at a time.
        rows = image.reshape(height, -1).sum(axis=0, dtype=np.uint32)
        means = rows.reshape(width, 3).sum(axis=0, dtype=np.int64) / (height * width)
        tables = _table(means + (LEVELS[:, None] - means) * self.factor)
        if opencv.available():
            return opencv.look_up(image, tables)
        return np.stack([tables[:, c].take(image[..., c]) for c in range(3)], axis=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturation(Corruption):
    """Distances from the pixel's luma, times a factor, as Pillow's and torchvision's saturation.

    A value v becomes ``luma + (v - luma) * factor``, clipped and rounded. Luma is Pillow's (ITU-R
    BT.601, rounded to a whole level).

    Attributes:
        factor: Multiplier, 0 to 100; 1 keeps the picture, 0 leaves gray, above 1 exaggerates.
    """

    name: ClassVar[str] = "saturation"
    summary: ClassVar[str] = "distance from luma times a factor; 0 is gray"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"factor": 0.8},
        {"factor": 0.6},
        {"factor": 0.4},
        {"factor": 0.2},
        {"factor": 0.0},
    )
    draws: ClassVar[bool] = False

    factor: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", real("saturation factor", self.factor, 0.0, 100.0))

    @property
    def may_be_identity(self) -> bool:
        """True: gray photographs stay as they are."""
        return True

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Blend the picture with its luma."""
        luma = luma_of(image)
        gray = luma * np.float32(1 - self.factor)
        out = np.empty_like(image)
        for channel in range(3):
            mixed = image[..., channel] * np.float32(self.factor)
            mixed += gray
            np.clip(mixed, 0, 255, out=mixed)
            out[..., channel] = np.rint(mixed, out=mixed)
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Gamma(Corruption):
    """A power of the value: v becomes ``255 * (v / 255) ** gamma``, rounded.

    The formula is torchvision's ``adjust_gamma`` without its gain.

    Attributes:
        gamma: Exponent, 0.01 to 100; 1 keeps the picture, above 1 darkens it.
    """

    name: ClassVar[str] = "gamma"
    summary: ClassVar[str] = "values to a power; above 1 darkens"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"gamma": 1.2},
        {"gamma": 1.5},
        {"gamma": 2.0},
        {"gamma": 2.5},
        {"gamma": 3.5},
    )
    draws: ClassVar[bool] = False

    gamma: float = 1.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", real("gamma", self.gamma, 0.01, 100.0))

    @property
    def may_be_identity(self) -> bool:
        """True where rounding takes the change back."""
        return abs(self.gamma - 1) < 1 / 64

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Look values up in one table for all channels."""
        return _look_up(image, 255 * (LEVELS / 255) ** self.gamma)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grayscale(Corruption):
    """Every channel becomes the pixel's luma: Pillow's ``convert("L")``, back in RGB."""

    name: ClassVar[str] = "grayscale"
    summary: ClassVar[str] = "luma in all three channels; has one strength"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {}, {}, {}, {})
    one_strength: ClassVar[bool] = True
    draws: ClassVar[bool] = False

    @property
    def may_be_identity(self) -> bool:
        """True: gray photographs stay as they are."""
        return True

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Write Pillow's luma into all three channels."""
        luma, out = luma_of(image), np.empty_like(image)
        for channel in range(3):
            out[..., channel] = luma
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterize(Corruption):
    """The low bits of every value set to zero, as Pillow's and torchvision's posterize.

    Attributes:
        bits: High bits kept, 1 to 8.
    """

    name: ClassVar[str] = "posterize"
    summary: ClassVar[str] = "a stated number of high bits kept"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"bits": 6},
        {"bits": 5},
        {"bits": 4},
        {"bits": 3},
        {"bits": 2},
    )
    draws: ClassVar[bool] = False

    bits: int = 4

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", whole("posterize bits", self.bits, 1, 8))

    @property
    def may_be_identity(self) -> bool:
        """True where all bits are kept."""
        return self.bits == 8

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Mask the low bits of every value."""
        return image & np.uint8(256 - 2 ** (8 - self.bits))


def luma_of(image: Image) -> NDArray[np.uint8]:
    """Compute the H x W luma of an H x W x 3 image, ITU-R BT.601, rounded as Pillow does."""
    return np.asarray(PILImage.fromarray(image).convert("L"))


def _look_up(image: Image, values: NDArray[np.float64]) -> Image:
    """Replace every level by its entry of (256,) ``values``, clipped and rounded."""
    table = _table(values)
    return opencv.look_up(image, table) if opencv.available() else table.take(image)


def _table(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


CORRUPTIONS = {
    "brightness": Brightness,
    "contrast": Contrast,
    "saturation": Saturation,
    "gamma": Gamma,
    "grayscale": Grayscale,
    "posterize": Posterize,
}
