"""What is shown of a picture: crops, and bars around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image as PILImage

from corruptions.base import Corruption, Image
from corruptions.checks import choice, flag, real, whole
from corruptions.resize import KERNELS

ANCHORS = ("centre", "random", "top-left", "top-right", "bottom-left", "bottom-right")
BAR_SIDES = ("height", "width", "both")


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop(Corruption):
    """A rectangle of the picture, kept at its size or, with ``back``, resized to the full size.

    Sides are ``floor(side * fraction + 0.5)`` px, or ``size`` px (never more than the picture has),
    and at least 1 px. The centre leaves the odd pixel on the right and at the bottom.

    Attributes:
        fraction: Share of each side kept, 0.01 to 1; 0.8 where neither ``fraction`` nor ``size`` is
            given.
        size: Both sides in px, 1 to 2^20, in place of ``fraction``.
        anchor: ``centre``, ``random`` (uniform over positions), or a corner such as ``top-left``.
        back: Resize the rectangle to the original size.
        kernel: Pillow's kernel for that: ``nearest``, ``box``, ``bilinear``, ``bicubic``,
            ``lanczos``.
    """

    name: ClassVar[str] = "crop"
    summary: ClassVar[str] = "centre, random or corner crop, resized back on request"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"fraction": 0.95},
        {"fraction": 0.9},
        {"fraction": 0.8},
        {"fraction": 0.65},
        {"fraction": 0.5},
    )

    fraction: float | None = None
    size: int | None = None
    anchor: str = "centre"
    back: bool = False
    kernel: str = "bilinear"

    def __post_init__(self) -> None:
        if self.fraction is not None and self.size is not None:
            raise ValueError(
                f"crop takes fraction or size, not both (fraction={self.fraction!r}, "
                f"size={self.size!r})"
            )
        if self.size is not None:
            object.__setattr__(self, "size", whole("crop size", self.size, 1, 2**20))
        else:
            fraction = 0.8 if self.fraction is None else self.fraction
            object.__setattr__(self, "fraction", real("crop fraction", fraction, 0.01, 1.0))
        choice("crop anchor", self.anchor, ANCHORS)
        flag("crop back", self.back)
        choice("crop kernel", self.kernel, KERNELS)

    @property
    def keeps_size(self) -> bool:
        """True where the crop is resized to the full size."""
        return self.back

    @property
    def may_be_identity(self) -> bool:
        """True for a size no picture may reach, and where rounding keeps every pixel."""
        return self.fraction is None or self.fraction > 15 / 16

    def apply(self, image: Image, rng: np.random.Generator, /) -> Image:
        """Cut the rectangle out; resize it by Pillow where ``back`` says so."""
        height, width = image.shape[:2]
        if self.size is not None:
            rows, columns = min(self.size, height), min(self.size, width)
        else:
            assert self.fraction is not None
            rows, columns = (max(1, int(side * self.fraction + 0.5)) for side in (height, width))
        top, left = self._corner(height - rows, width - columns, rng)
        part = image[top : top + rows, left : left + columns]
        if not self.back or part.shape == image.shape:
            return part
        picture = PILImage.fromarray(np.ascontiguousarray(part))
        return np.array(picture.resize((width, height), KERNELS[self.kernel]), dtype=np.uint8)

    def _corner(self, spare_y: int, spare_x: int, rng: np.random.Generator) -> tuple[int, int]:
        if self.anchor == "random":
            return int(rng.integers(spare_y + 1)), int(rng.integers(spare_x + 1))
        if self.anchor == "centre":
            return spare_y // 2, spare_x // 2
        top, left = "top" in self.anchor, "left" in self.anchor
        return (0 if top else spare_y), (0 if left else spare_x)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterbox(Corruption):
    """Bars around the untouched picture, as a player or a template adds them.

    The barred side becomes ``floor(side * ratio + 0.5)`` px; the odd pixel goes right or below.

    Attributes:
        ratio: New side over old side, 1 to 10.
        side: ``height`` (bars above and below), ``width`` (left and right) or ``both``.
        level: Gray level of the bars, 0 (black) to 255.
    """

    name: ClassVar[str] = "letterbox"
    summary: ClassVar[str] = "bars above and below, left and right, or all around"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"ratio": 1.1},
        {"ratio": 1.25},
        {"ratio": 1.5},
        {"ratio": 2.0},
        {"ratio": 3.0},
    )
    draws: ClassVar[bool] = False

    ratio: float = 1.5
    side: str = "height"
    level: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratio", real("letterbox ratio", self.ratio, 1.0, 10.0))
        choice("letterbox side", self.side, BAR_SIDES)
        object.__setattr__(self, "level", whole("letterbox level", self.level, 0, 255))

    @property
    def keeps_size(self) -> bool:
        """True where there are no bars."""
        return self.ratio == 1

    @property
    def may_be_identity(self) -> bool:
        """True where a bar may round to nothing."""
        return self.ratio < 17 / 16

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Pad with one gray level."""
        height, width = image.shape[:2]
        tall = height if self.side == "width" else int(height * self.ratio + 0.5)
        wide = width if self.side == "height" else int(width * self.ratio + 0.5)
        out = np.full((tall, wide, 3), self.level, dtype=np.uint8)
        top, left = (tall - height) // 2, (wide - width) // 2
        out[top : top + height, left : left + width] = image
        return out


CORRUPTIONS = {"crop": Crop, "letterbox": Letterbox}
