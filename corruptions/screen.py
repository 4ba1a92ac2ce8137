"""What a screen leaves: a screenshot's frame, a logo or a line of text on top."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from corruptions.base import Corruption, Image
from corruptions.checks import choice, real, whole
from corruptions.resize import KERNELS

MARKS = ("text", "logo")
POSITIONS = ("centre", "top-left", "top-right", "bottom-left", "bottom-right")
LONGEST_TEXT = 40
MARGIN = 0.04  # of the short side
OVERSAMPLING = 4  # the logo is drawn so many times larger, then averaged down


@dataclass(frozen=True, slots=True, kw_only=True)
class Screenshot(Corruption):
    """The picture shrunk to a window, with a plain frame; the PNG it is saved as loses nothing more.

    Sides become ``floor(side * scale + 0.5)`` px, the frame ``floor(short side * frame + 0.5)`` px on
    every side, and at least 1 px each.

    Attributes:
        scale: Window's side over the picture's, 0.01 to 4.
        frame: Width of the frame over the window's short side, 0 to 1.
        level: Gray level of the frame, 0 to 255.
        kernel: Pillow's kernel: ``nearest``, ``box``, ``bilinear``, ``bicubic`` or ``lanczos``.
    """

    name: ClassVar[str] = "screenshot"
    summary: ClassVar[str] = "resized to a window, with a plain frame, saved without loss"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"scale": 0.9},
        {"scale": 0.8},
        {"scale": 0.65},
        {"scale": 0.5},
        {"scale": 0.35},
    )
    draws: ClassVar[bool] = False

    scale: float = 0.8
    frame: float = 0.03
    level: int = 32
    kernel: str = "bilinear"

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", real("screenshot scale", self.scale, 0.01, 4.0))
        object.__setattr__(self, "frame", real("screenshot frame", self.frame, 0.0, 1.0))
        object.__setattr__(self, "level", whole("screenshot level", self.level, 0, 255))
        choice("screenshot kernel", self.kernel, KERNELS)

    @property
    def keeps_size(self) -> bool:
        """False: window and frame make another size."""
        return False

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Resample once by Pillow, then add the frame."""
        height, width = image.shape[:2]
        wide, tall = (max(1, int(side * self.scale + 0.5)) for side in (width, height))
        frame = max(1, int(min(wide, tall) * self.frame + 0.5))
        out = np.full((tall + 2 * frame, wide + 2 * frame, 3), self.level, dtype=np.uint8)
        window = PILImage.fromarray(image).resize((wide, tall), KERNELS[self.kernel])
        out[frame : frame + tall, frame : frame + wide] = np.asarray(window)
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay(Corruption):
    """A mark of one gray level blended over the picture: a line of text, or a ring with a bar.

    Under a mark of coverage c in [0, 1] a value v becomes ``v + (level - v) * c * opacity``, rounded.

    Attributes:
        size: Height of the mark over the picture's short side, 0.01 to 1.
        opacity: 0 (nothing) to 1 (opaque).
        mark: ``text`` or ``logo``.
        text: Up to 40 letters, digits, spaces and ``. _ - @``, in Pillow's own font.
        position: ``centre`` or a corner such as ``bottom-right``, 4 % of the short side inside.
        level: Gray level of the mark, 0 to 255.
    """

    name: ClassVar[str] = "overlay"
    summary: ClassVar[str] = "a logo or a line of text blended over the picture"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"size": 0.06},
        {"size": 0.1},
        {"size": 0.15},
        {"size": 0.2},
        {"size": 0.3},
    )
    draws: ClassVar[bool] = False

    size: float = 0.1
    opacity: float = 0.8
    mark: str = "text"
    text: str = "@sample"
    position: str = "bottom-right"
    level: int = 255

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", real("overlay size", self.size, 0.01, 1.0))
        object.__setattr__(self, "opacity", real("overlay opacity", self.opacity, 0.0, 1.0))
        choice("overlay mark", self.mark, MARKS)
        choice("overlay position", self.position, POSITIONS)
        object.__setattr__(self, "level", whole("overlay level", self.level, 0, 255))
        # Nothing that a condition's spelling would take for its own punctuation.
        fits = isinstance(self.text, str) and 0 < len(self.text) <= LONGEST_TEXT
        plain = fits and all(c.isascii() and (c.isalnum() or c in " ._-@") for c in self.text)
        if not plain or self.text != self.text.strip():
            raise ValueError(
                f"overlay text must be 1 to {LONGEST_TEXT} letters, digits, spaces or . _ - @, got "
                f"{self.text!r}"
            )

    @property
    def may_be_identity(self) -> bool:
        """True where the mark is nearly transparent."""
        return self.opacity < 1 / 32

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Blend where the mark is; what sticks out is cut off."""
        height, width = image.shape[:2]
        short = min(height, width)
        side = max(1, int(short * self.size + 0.5))
        mask = _logo(side) if self.mark == "logo" else _line(self.text, side)
        mask = mask[:height, :width]
        top, left = self._corner(height - mask.shape[0], width - mask.shape[1], short)
        out = image.copy()
        part = out[top : top + mask.shape[0], left : left + mask.shape[1]]
        alpha = (mask * np.float32(self.opacity / 255))[:, :, None]
        part[:] = np.rint(part + (np.float32(self.level) - part) * alpha)
        return out

    def _corner(self, spare_y: int, spare_x: int, short: int) -> tuple[int, int]:
        if self.position == "centre":
            return spare_y // 2, spare_x // 2
        margin = int(short * MARGIN + 0.5)
        inside_y, inside_x = min(margin, spare_y), min(margin, spare_x)
        return (
            inside_y if "top" in self.position else spare_y - inside_y,
            inside_x if "left" in self.position else spare_x - inside_x,
        )


def _line(text: str, height: int) -> NDArray[np.uint8]:
    """Draw a line of text whose ink is about ``height`` px high, as coverage of 0 to 255."""
    font = ImageFont.load_default(size=max(4, round(height * 1.3)))
    left, top, right, bottom = font.getbbox(text)
    wide, tall = max(1, round(right - left)), max(1, round(bottom - top))
    mask = PILImage.new("L", (wide, tall))
    ImageDraw.Draw(mask).text((-left, -top), text, fill=255, font=font)
    return np.asarray(mask)


def _logo(side: int) -> NDArray[np.uint8]:
    """Draw a ring with a bar across, ``side`` px square, as coverage of 0 to 255."""
    large = side * OVERSAMPLING
    mask = PILImage.new("L", (large, large))
    draw = ImageDraw.Draw(mask)
    stroke = max(OVERSAMPLING, large // 6)
    draw.ellipse((0, 0, large - 1, large - 1), outline=255, width=stroke)
    middle = large // 2
    draw.rectangle((0, middle - stroke // 2, large - 1, middle + stroke // 2 - 1), fill=255)
    return np.asarray(mask.resize((side, side), PILImage.Resampling.BOX))


CORRUPTIONS = {"screenshot": Screenshot, "overlay": Overlay}
