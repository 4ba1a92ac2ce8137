"""Resizing, by default down and back up: what low resolution leaves of an image."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image as PILImage

from corruptions.base import Corruption, Image, Images
from corruptions.checks import choice, flag, real, whole

KERNELS = {
    "nearest": PILImage.Resampling.NEAREST,
    "box": PILImage.Resampling.BOX,
    "bilinear": PILImage.Resampling.BILINEAR,
    "bicubic": PILImage.Resampling.BICUBIC,
    "lanczos": PILImage.Resampling.LANCZOS,
}
SMALLEST_SCALE, LARGEST_SCALE = 0.001, 16.0
LONGEST_SIZE = 16_384
# Images whose sides stay within so many px go together, as many as have about so many pixels: measured.
TOGETHER_SIDE, TOGETHER_PIXELS = 48, 65_536
MOST_PIXELS = 2**28  # about 800 MB of RGB: a long thin image can grow without bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize(Corruption):
    """Resampling by Pillow, whose kernels widen when they shrink (no aliasing but for nearest).

    Equal bit for bit to Pillow's ``Image.resize``, once or twice. A new side is
    ``floor(side * factor + 0.5)`` px and at least 1 px. With ``size`` the short side becomes exactly
    that and the long one keeps the aspect, whether that shrinks or enlarges.

    Attributes:
        scale: Factor on both sides, 0.001 to 16; 0.5 where neither ``scale`` nor ``size`` is given.
        size: Short side in px, 1 to 16384, in place of ``scale``.
        back: Return to the original size with the same kernel.
        kernel: ``nearest``, ``box``, ``bilinear``, ``bicubic`` or ``lanczos``.
    """

    name: ClassVar[str] = "resize"
    summary: ClassVar[str] = "down (or up) by a factor or to a short side, and back by default"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"scale": 0.75},
        {"scale": 0.5},
        {"scale": 0.375},
        {"scale": 0.25},
        {"scale": 0.125},
    )
    draws: ClassVar[bool] = False

    scale: float | None = None
    size: int | None = None
    back: bool = True
    kernel: str = "bilinear"

    def __post_init__(self) -> None:
        if self.scale is not None and self.size is not None:
            raise ValueError(
                f"resize takes scale or size, not both (scale={self.scale!r}, size={self.size!r})"
            )
        if self.size is not None:
            object.__setattr__(self, "size", whole("resize size", self.size, 1, LONGEST_SIZE))
        else:
            scale = 0.5 if self.scale is None else self.scale
            scale = real("resize scale", scale, SMALLEST_SCALE, LARGEST_SCALE)
            object.__setattr__(self, "scale", scale)
        flag("resize back", self.back)
        choice("resize kernel", self.kernel, KERNELS)

    @property
    def keeps_size(self) -> bool:
        """True where the image returns to its size."""
        return self.back

    @property
    def may_be_identity(self) -> bool:
        """True near scale 1, for a size that all images may have, and for exact round trips."""
        if self.scale is None:
            return True
        # A factor this near 1 rounds to the same side for images of 8 px and more.
        if abs(self.scale - 1) < 1 / 16:
            return True
        return self.back and self.scale > 1 and self.kernel in ("nearest", "box")

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Resample once or, with ``back``, twice.

        Raises:
            ValueError: The image would grow past what memory should hold.
        """
        height, width = image.shape[:2]
        new_width, new_height = self.target(width, height)
        if new_width * new_height > MOST_PIXELS:
            raise ValueError(
                f"resize would turn {width}x{height} px into {new_width}x{new_height} px, more "
                f"than {MOST_PIXELS} pixels: use a smaller scale or size"
            )
        kernel = KERNELS[self.kernel]
        out = PILImage.fromarray(image).resize((new_width, new_height), kernel)
        if self.back:
            out = out.resize((width, height), kernel)
        return np.array(out, dtype=np.uint8)

    def batch_size(self, height: int, width: int, /) -> int:
        """Take many small images; large ones are as quick one by one, and nearest has no passes."""
        longest = max(height, width, *self.target(width, height))
        gains = longest <= TOGETHER_SIDE and self.kernel != "nearest"
        return TOGETHER_PIXELS // (longest * longest) if gains else 0

    def apply_batch(self, images: Images, _memo: MutableMapping[Hashable, Any], /) -> Images:
        """Resample all in one pass along the rows and one down the columns, as Pillow does for each."""
        height, width = images.shape[1:3]
        kernel = KERNELS[self.kernel]
        out = _passes(images, *self.target(width, height), kernel)
        return _passes(out, width, height, kernel) if self.back else out

    def target(self, width: int, height: int) -> tuple[int, int]:
        """Compute the width and height in px that an image of this width and height is resized to."""
        factor = self.size / min(width, height) if self.size is not None else self.scale
        assert factor is not None
        return max(1, int(width * factor + 0.5)), max(1, int(height * factor + 0.5))


def _passes(images: Images, width: int, height: int, kernel: PILImage.Resampling) -> Images:
    """Resample (n, h, w, 3) uint8 to (n, height, width, 3) by Pillow's two passes, each over all images.

    Pillow goes along the rows, rounds to 8 bits, and goes down the columns; a pass that changes no side is
    left out. Along the rows images can stand one below the other, down the columns side by side.
    """
    count, h, w = images.shape[:3]
    if w != width:
        below = PILImage.fromarray(images.reshape(count * h, w, 3))
        images = np.asarray(below.resize((width, count * h), kernel))
        images = images.reshape(count, h, width, 3)
    if h != height:
        beside = np.ascontiguousarray(images.transpose(1, 0, 2, 3)).reshape(h, count * width, 3)
        tall = np.asarray(PILImage.fromarray(beside).resize((count * width, height), kernel))
        images = tall.reshape(height, count, width, 3).transpose(1, 0, 2, 3)
    return np.ascontiguousarray(images)


CORRUPTIONS = {"resize": Resize}
