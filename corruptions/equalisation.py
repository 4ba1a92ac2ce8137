"""Contrast-limited adaptive histogram equalisation, as OpenCV computes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from corruptions.base import Corruption, Image
from corruptions.checks import real, whole
from corruptions.color import luma_of
from corruptions.levels import to_levels

NARROWEST_TILE = 32  # px
BLOCK_ROWS = 64  # rows interpolated at a time, so that their floats stay in a core's cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Clahe(Corruption):
    """Luma equalised tile by tile, with limited contrast (Zuiderveld 1994); colour differences stay.

    Luma is Pillow's (ITU-R BT.601); what equalisation adds to it is added to the three channels. On
    luma alone, whole, it equals OpenCV's ``createCLAHE(clip, (tiles, tiles))`` bit for bit.

    Attributes:
        amount: Share of the change that is made, 0 to 1.
        clip: Most pixels of one level in a tile, over their mean number, 0.1 to 100.
        tiles: Most tiles along a side, 1 to 64; fewer where they would be narrower than 32 px, whose few
            pixels no limit of contrast could hold.
    """

    name: ClassVar[str] = "clahe"
    summary: ClassVar[str] = "contrast-limited adaptive histogram equalisation of luma"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"amount": 0.2},
        {"amount": 0.4},
        {"amount": 0.6},
        {"amount": 0.8},
        {"amount": 1.0},
    )
    draws: ClassVar[bool] = False

    amount: float = 1.0
    clip: float = 4.0
    tiles: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "amount", real("clahe amount", self.amount, 0.0, 1.0))
        object.__setattr__(self, "clip", real("clahe clip", self.clip, 0.1, 100.0))
        object.__setattr__(self, "tiles", whole("clahe tiles", self.tiles, 1, 64))

    @property
    def may_be_identity(self) -> bool:
        """True where rounding takes the change back."""
        return self.amount < 0.05

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Equalise luma and add its change to every channel."""
        plane = luma_of(image)
        tiles = min(self.tiles, max(1, min(plane.shape) // NARROWEST_TILE))
        change = equalised(plane, self.clip, tiles).astype(np.float32) - plane
        return to_levels(image + np.float32(self.amount) * change[..., None])


def equalised(plane: NDArray[np.uint8], clip: float, tiles: int) -> NDArray[np.uint8]:
    """Equalise an (H, W) plane tile by tile, tables interpolated bilinearly between tiles' centres."""
    height, width = plane.shape
    spare_y, spare_x = -height % tiles, -width % tiles
    if spare_y or spare_x:
        # OpenCV fills both sides up as soon as one of them needs it, by a whole tile row at most.
        spare_y, spare_x = tiles - height % tiles, tiles - width % tiles
    padded = np.pad(plane, ((0, spare_y), (0, spare_x)), mode="reflect")
    tall, wide = padded.shape[0] // tiles, padded.shape[1] // tiles
    tables = _tables(padded, tall, wide, clip)
    rows, columns = _between(height, tall, tiles), _between(width, wide, tiles)
    out = np.empty_like(plane)
    for top in range(0, height, BLOCK_ROWS):
        part = slice(top, min(top + BLOCK_ROWS, height))
        first, second, share = (each[part, None] for each in rows)
        left, right, across = (each[None] for each in columns)
        levels = plane[part]
        upper = tables[first, left, levels] * (1 - across) + tables[first, right, levels] * across
        lower = tables[second, left, levels] * (1 - across) + tables[second, right, levels] * across
        out[part] = to_levels(upper * (1 - share) + lower * share)
    return out


def _tables(padded: NDArray[np.uint8], tall: int, wide: int, clip: float) -> NDArray[np.float32]:
    """Make a table of 256 levels for every tile: (rows, columns, 256) float32 whole numbers."""
    area = tall * wide
    blocks = padded.reshape(padded.shape[0] // tall, tall, padded.shape[1] // wide, wide)
    limit = max(int(clip * area / 256), 1)
    shape = blocks.shape[0], blocks.shape[2], 256
    tables = np.empty(shape, dtype=np.float32)
    for row, column in np.ndindex(shape[:2]):
        counts = np.bincount(blocks[row, :, column].ravel(), minlength=256)
        excess = int(np.maximum(counts - limit, 0).sum())
        counts = np.minimum(counts, limit) + excess // 256
        if residual := excess % 256:
            step = max(256 // residual, 1)
            counts[: residual * step : step] += 1
        scaled = np.cumsum(counts).astype(np.float32) * np.float32(255 / area)
        tables[row, column] = np.clip(np.rint(scaled), 0, 255)
    return tables


def _between(
    side: int, tile: int, tiles: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Find the tiles on both sides of each px, and how far it lies from the centre of the first."""
    place = np.arange(side, dtype=np.float32) * np.float32(1 / tile) - np.float32(0.5)
    first = np.floor(place)
    share = (place - first).astype(np.float32)
    before = np.maximum(first, 0).astype(np.int64)
    after = np.minimum(first + 1, tiles - 1).astype(np.int64)
    return before, after, share


CORRUPTIONS = {"clahe": Clahe}
