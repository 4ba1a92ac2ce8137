"""What people do to a picture before they post it again: collage, thumbnail, deep-fry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image as PILImage

from corruptions.base import Corruption, Image
from corruptions.checks import choice, real, whole
from corruptions.color import Contrast, Saturation
from corruptions.filters import Sharpen
from corruptions.jpeg import Jpeg
from corruptions.resize import KERNELS, SMALLEST_SCALE, Resize

MOST_TILES = 16
MOST_ROUNDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Collage(Corruption):
    """A grid of the picture, shrunk, on a canvas of its size; every other tile is mirrored.

    Every tile is the picture itself, so a collage of a fake holds nothing real. Tile ``i`` of ``n`` along
    a side begins at ``floor(i * side / n)`` px; the gap is cut from its end, but for the last.

    Attributes:
        grid: Tiles a side, 2 to 16.
        gap: Width of the gap over the short side, 0 to 0.25.
        level: Gray level of the gap, 0 to 255.
    """

    name: ClassVar[str] = "collage"
    summary: ClassVar[str] = "a grid of the picture, shrunk and mirrored in turn; has one strength"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {}, {}, {}, {})
    one_strength: ClassVar[bool] = True
    draws: ClassVar[bool] = False

    grid: int = 2
    gap: float = 0.02
    level: int = 255

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", whole("collage grid", self.grid, 2, MOST_TILES))
        object.__setattr__(self, "gap", real("collage gap", self.gap, 0.0, 0.25))
        object.__setattr__(self, "level", whole("collage level", self.level, 0, 255))

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Shrink by Pillow's Lanczos kernel, once a size of tile."""
        height, width = image.shape[:2]
        gap = int(min(height, width) * self.gap + 0.5)
        out = np.full(image.shape, self.level, dtype=np.uint8)
        picture = PILImage.fromarray(image)
        for row, (top, bottom) in enumerate(self._tiles(height, gap)):
            for column, (left, right) in enumerate(self._tiles(width, gap)):
                tile = picture.resize((right - left, bottom - top), KERNELS["lanczos"])
                pixels = np.asarray(tile)
                mirrored = (row + column) % 2 == 1
                out[top:bottom, left:right] = pixels[:, ::-1] if mirrored else pixels
        return out

    def _tiles(self, side: int, gap: int) -> list[tuple[int, int]]:
        """Cut a side into tiles: first px and the px after the last; a tile has at least one."""
        tiles = []
        for index in range(self.grid):
            start, stop = index * side // self.grid, (index + 1) * side // self.grid
            if stop > start:
                tiles.append((start, stop if stop == side else max(start + 1, stop - gap)))
        return tiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail(Corruption):
    """Shrunk, encoded as JPEG while small, and enlarged to the old size: a preview that was kept.

    Sides of the thumbnail are those of ``resize``; chroma is 4:2:0.

    Attributes:
        scale: Factor on both sides, 0.001 to 1; 0.25 where neither ``scale`` nor ``size`` is given.
        size: Short side in px, 1 to 16384, in place of ``scale``.
        quality: JPEG quality, 1 to 100.
        kernel: Pillow's kernel, both ways: ``nearest``, ``box``, ``bilinear``, ``bicubic`` or
            ``lanczos``.
    """

    name: ClassVar[str] = "thumbnail"
    summary: ClassVar[str] = "shrunk, encoded as JPEG while small, and enlarged again"
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
    quality: int = 75
    kernel: str = "bicubic"

    def __post_init__(self) -> None:
        if self.scale is not None and self.size is not None:
            raise ValueError(
                f"thumbnail takes scale or size, not both (scale={self.scale!r}, size={self.size!r})"
            )
        if self.size is None:
            scale = 0.25 if self.scale is None else self.scale
            scale = real("thumbnail scale", scale, SMALLEST_SCALE, 1.0)
            object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "quality", whole("thumbnail quality", self.quality, 1, 100))
        choice("thumbnail kernel", self.kernel, KERNELS)
        self._shrink()

    def apply(self, image: Image, rng: np.random.Generator, /) -> Image:
        """Resample, encode and decode, resample."""
        height, width = image.shape[:2]
        small = Jpeg(quality=self.quality)(self._shrink()(image, rng), rng)
        enlarged = PILImage.fromarray(small).resize((width, height), KERNELS[self.kernel])
        return np.array(enlarged, dtype=np.uint8)

    def _shrink(self) -> Resize:
        return Resize(scale=self.scale, size=self.size, back=False, kernel=self.kernel)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepFry(Corruption):
    """Contrast, colour, sharpening and a poor JPEG, again and again, as memes are made.

    One round is ``contrast``, ``saturation``, ``sharpen`` and ``jpeg`` (4:2:0) of this package, in
    that order.

    Attributes:
        contrast: Factor of a round on distances from the channels' means, 1 to 10.
        saturation: Factor of a round on distances from luma, 1 to 10.
        amount: Unsharp mask of a round, 0 to 20.
        quality: JPEG quality of a round, 1 to 100.
        rounds: Number of rounds, 1 to 20.
    """

    name: ClassVar[str] = "deep-fry"
    summary: ClassVar[str] = "contrast, colour, sharpening and a poor JPEG, in rounds"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"contrast": 1.1, "saturation": 1.2, "amount": 0.5, "quality": 60, "rounds": 1},
        {"contrast": 1.25, "saturation": 1.4, "amount": 1.0, "quality": 40, "rounds": 1},
        {"contrast": 1.5, "saturation": 1.7, "amount": 1.5, "quality": 20, "rounds": 1},
        {"contrast": 1.5, "saturation": 1.7, "amount": 1.5, "quality": 12, "rounds": 2},
        {"contrast": 1.8, "saturation": 2.0, "amount": 2.0, "quality": 8, "rounds": 3},
    )
    draws: ClassVar[bool] = False

    contrast: float = 1.5
    saturation: float = 1.7
    amount: float = 1.5
    quality: int = 20
    rounds: int = 1

    def __post_init__(self) -> None:
        for name in ("contrast", "saturation"):
            value = real(f"deep-fry {name}", getattr(self, name), 1.0, 10.0)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "amount", real("deep-fry amount", self.amount, 0.0, 20.0))
        object.__setattr__(self, "quality", whole("deep-fry quality", self.quality, 1, 100))
        object.__setattr__(self, "rounds", whole("deep-fry rounds", self.rounds, 1, MOST_ROUNDS))

    def apply(self, image: Image, rng: np.random.Generator, /) -> Image:
        """Apply the four corruptions in rounds."""
        chain: tuple[Corruption, ...] = (
            Contrast(factor=self.contrast),
            Saturation(factor=self.saturation),
            Sharpen(amount=self.amount),
            Jpeg(quality=self.quality),
        )
        for step in chain * self.rounds:
            image = step(image, rng)
        return image


CORRUPTIONS = {"collage": Collage, "thumbnail": Thumbnail, "deep-fry": DeepFry}
