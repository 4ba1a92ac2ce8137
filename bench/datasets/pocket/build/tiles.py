"""Cut photographs into 64x64 tiles and keep those with something to see.

Detail is judged by the mean gradient, not by the spread of colours: a smooth sky has a wide spread and
nothing a detector could use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .photos import Photo

SIDE = 64
MARGIN = 16
MIN_DETAIL = 2.0


@dataclass(frozen=True, slots=True)
class Tile:
    """A real tile with the surroundings the generators may look at.

    Attributes:
        photo: Source photograph.
        row: Row in the photograph's grid of tiles.
        column: Column in that grid.
        window: uint8, shape (96, 96, 3): the tile and 16 px around it (mirrored at the photograph's edge).
    """

    photo: Photo
    row: int
    column: int
    window: NDArray[np.uint8]

    @property
    def id(self) -> str:
        """Name of the tile, unique in the set; the `pair` of its variations."""
        return f"{self.photo.id}-r{self.row:02d}c{self.column:02d}"

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The tile itself, uint8, shape (64, 64, 3)."""
        return crop(self.window)


def crop(window: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut the tile out of a window.

    Args:
        window: uint8, shape (96, 96, 3).

    Returns:
        uint8, shape (64, 64, 3).
    """
    return np.ascontiguousarray(window[MARGIN : MARGIN + SIDE, MARGIN : MARGIN + SIDE])


def detail(pixels: NDArray[np.uint8]) -> float:
    """Mean gradient of the brightness, in grey levels a pixel.

    Args:
        pixels: uint8, shape (height, width, 3).

    Returns:
        Mean absolute difference between neighbours, both directions, range [0, 255].
    """
    grey = pixels.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    return float((np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()) / 2)


def cut(photo: Photo, pixels: NDArray[np.uint8], rng: np.random.Generator) -> list[Tile]:
    """Cut one reduced photograph into non-overlapping tiles.

    Args:
        photo: The photograph the pixels come from.
        pixels: uint8, shape (height, width, 3).
        rng: Draws which tiles stay when more than `photo.cap` have enough detail.

    Returns:
        At most `photo.cap` tiles, in reading order.
    """
    rows, columns = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
    top, left = (pixels.shape[0] - rows * SIDE) // 2, (pixels.shape[1] - columns * SIDE) // 2
    padded = np.pad(pixels, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="reflect")
    full = SIDE + 2 * MARGIN
    tiles = []
    for row in range(rows):
        for column in range(columns):
            y, x = top + row * SIDE, left + column * SIDE
            tile = Tile(photo, row, column, padded[y : y + full, x : x + full].copy())
            if detail(tile.pixels) >= MIN_DETAIL:
                tiles.append(tile)
    if len(tiles) > photo.cap:
        keep = rng.choice(len(tiles), size=photo.cap, replace=False)
        tiles = [tiles[i] for i in sorted(keep)]
    return tiles
