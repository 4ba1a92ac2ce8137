"""A batch of images through JPEG and back, equal bit for bit to libjpeg-turbo's encoder and decoder.

Entropy coding loses nothing, so it is left out. What remains is colour, chroma at half the size, an integer
transform, rounding to multiples, and all of it back. Every number is whole and small enough to be
exact in the floating-point type that holds it; images lie on the last axis, so that every step is long loops.

Source: ITU-T T.81 (the transform and its tables), T.871 (colour), and libjpeg's documentation of what
it does where they leave a choice: integer transform "islow", edges repeated, "fancy" upsampling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from corruptions.blocks.tables import FRACTION, cosines, quantisation

SIDE: Final = 8  # of a block
# Bits that the first of two passes keeps behind the point.
_KEPT: Final = 2
# RGB to Y, Cb, Cr less 128, in 1/65,536; and the chroma's part of R, G, B.
_TO_YCC: Final = np.array(
    ((19595, 38470, 7471), (-11059, -21709, 32768), (32768, -27439, -5329)), dtype=np.float32
) / np.float32(65536)
_YCC_ROUNDING: Final = np.array((32768, 32767, 32767), dtype=np.float32) / np.float32(65536)
_TO_RGB: Final = np.array(
    ((0, 91881), (-22554, -46802), (116130, 0)), dtype=np.float32
) / np.float32(65536)
# Chroma samples stand for so many rows and columns of pixels.
_STEPS: Final = {"4:4:4": (1, 1), "4:2:2": (1, 2), "4:2:0": (2, 2)}

Planes = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Coefficients:
    """A batch of images behind the transform, before any quality is chosen.

    Attributes:
        luma: (rows, 8, columns, 8, n) float32: block's row, frequency, block's column, frequency, image.
        chroma: (2, rows, 8, columns, 8, n) float32: likewise, Cb and Cr.
        height: Of the images, px.
        width: Of the images, px.
        subsampling: ``4:4:4``, ``4:2:2`` or ``4:2:0``.
    """

    luma: Planes
    chroma: Planes
    height: int
    width: int
    subsampling: str


def forward(images: NDArray[np.uint8], subsampling: str) -> Coefficients:
    """Transform images; several qualities can share this half.

    Args:
        images: (n, height, width, 3) uint8, RGB.
        subsampling: ``4:4:4``, ``4:2:2`` or ``4:2:0``.
    """
    count, height, width, _ = images.shape
    rgb = images.transpose(3, 1, 2, 0).astype(np.float32).reshape(3, -1)
    ycc = np.matmul(_TO_YCC, rgb)
    ycc += _YCC_ROUNDING[:, None]
    # Levels from here on are less 128: the transform wants them so, and averages do not mind.
    ycc[0] -= 128
    np.floor(ycc, out=ycc)
    planes = ycc.reshape(3, height, width, count)
    down, across = _STEPS[subsampling]
    chroma = _repeat_edge(planes[1:], down, SIDE * across)
    chroma = _repeat_edge(_reduced(chroma, down, across), SIDE, 1)
    luma = _repeat_edge(planes[:1], SIDE, SIDE)
    return Coefficients(_transformed(luma)[0], _transformed(chroma), height, width, subsampling)


def inverse(coefficients: Coefficients, quality: int) -> NDArray[np.uint8]:
    """Round to what a quality can tell apart, and give the images back.

    Args:
        coefficients: From :func:`forward`; left untouched.
        quality: 1 (worst) to 100, on libjpeg's scale.

    Returns:
        (n, height, width, 3) uint8, RGB.
    """
    height, width = coefficients.height, coefficients.width
    down, across = _STEPS[coefficients.subsampling]
    fine, coarse = quantisation(quality)
    luma = _restored(coefficients.luma[None], fine)[0, :height, :width]
    chroma = _restored(coefficients.chroma, coarse)
    chroma = chroma[:, : -(-height // down), : -(-width // across)]
    chroma = _enlarged(chroma, down, across)[:, :height, :width]
    count = luma.shape[-1]
    rgb = np.matmul(_TO_RGB, chroma.reshape(2, -1))
    rgb += np.float32(0.5)
    np.floor(rgb, out=rgb)
    pixels = rgb.reshape(3, height, width, count)
    pixels += luma
    pixels += np.float32(128)
    np.clip(pixels, 0, 255, out=pixels)
    return np.ascontiguousarray(pixels.astype(np.uint8).transpose(3, 1, 2, 0))


def _repeat_edge(planes: Planes, down: int, across: int) -> Planes:
    """Repeat last rows and columns of (c, h, w, n) up to multiples."""
    _, height, width, _ = planes.shape
    more = ((0, 0), (0, -height % down), (0, -width % across), (0, 0))
    return np.pad(planes, more, mode="edge") if more[1][1] or more[2][1] else planes


def _reduced(planes: Planes, down: int, across: int) -> Planes:
    """Average (c, h, w, n) over pixels that share a chroma sample; halves go down and up in turn."""
    if across == 1:
        return planes
    total = planes[:, :, 0::2] + planes[:, :, 1::2]
    if down == 2:
        total = total[:, 0::2] + total[:, 1::2]
    first = np.float32((down - 1) / (2 * down))  # a bias of 0, 1 over two pixels, of 1, 2 over four
    total *= np.float32(1 / (2 * down))
    total[:, :, 0::2] += first
    total[:, :, 1::2] += first + np.float32(1 / (2 * down))
    np.floor(total, out=total)
    return total


def _enlarged(planes: Planes, down: int, across: int) -> Planes:
    """Bring chroma (c, h, w, n) to the size of the picture, each sample three parts to one of the next."""
    if across == 1:
        return np.ascontiguousarray(planes)
    channels, height, width, count = planes.shape
    if width <= 2:  # libjpeg has no room for a neighbour there
        return planes.repeat(down, axis=1).repeat(across, axis=2)
    if down == 2:
        triple = planes * np.float32(3)
        tall = np.empty((channels, height, 2, width, count), np.float32)
        tall[:, 0, 0], tall[:, 1:, 0] = planes[:, 0], planes[:, :-1]
        tall[:, -1, 1], tall[:, :-1, 1] = planes[:, -1], planes[:, 1:]
        tall += triple[:, :, None]
        planes = tall.reshape(channels, 2 * height, width, count)
    triple = planes * np.float32(3)
    wide = np.empty((*planes.shape[:3], 2, count), np.float32)
    wide[:, :, 0, 0], wide[:, :, 1:, 0] = planes[:, :, 0], planes[:, :, :-1]
    wide[:, :, -1, 1], wide[:, :, :-1, 1] = planes[:, :, -1], planes[:, :, 1:]
    wide += triple[:, :, :, None]
    # Over 4: 1 left, 2 right; over 16: 8 left, 7 right.
    part = np.float32(1 / (4 * 4 if down == 2 else 4))
    wide *= part
    wide += np.array((8, 7) if down == 2 else (1, 2), np.float32)[:, None] * part
    np.floor(wide, out=wide)
    enlarged: Planes = wide.reshape(channels, planes.shape[1], 2 * width, count)
    return enlarged


def _transformed(planes: Planes) -> Planes:
    """Transform (c, h, w, n) by blocks: rows with two bits more, then columns."""
    channels, height, width, count = planes.shape
    matrix = cosines()
    # 128 * 8 * 2**13 is 2**23: the first pass is exact in 24 bits, the second needs 28.
    short = (matrix / 2 ** (FRACTION - _KEPT)).astype(np.float32)
    rows = np.matmul(short, planes.reshape(channels, height, width // SIDE, SIDE, count))
    rows += np.float32(0.5)
    np.floor(rows, out=rows)
    tall = rows.reshape(channels, height // SIDE, SIDE, width * count).astype(np.float64)
    columns = np.matmul(matrix / 2 ** (FRACTION + _KEPT), tall)
    columns += 0.5
    np.floor(columns, out=columns)
    blocks = (channels, height // SIDE, SIDE, width // SIDE, SIDE, count)
    coefficients: Planes = columns.astype(np.float32).reshape(blocks)
    return coefficients


def _restored(blocks: Planes, table: NDArray[np.float32]) -> Planes:
    """Quantise, multiply out and transform back: (c, h, w, n) levels less 128, clipped to 8 bits."""
    channels, rows, _, columns, _, count = blocks.shape
    steps = table[:, None, :, None]
    divisors = steps * np.float32(SIDE)  # the transform's own scale
    # Half away from zero. A quarter more keeps whole quotients clear of what float32 rounds off.
    half = np.float32(0.5) + np.float32(0.25) / divisors
    level = blocks * (np.float32(1) / divisors)
    level += np.copysign(half, blocks)
    np.trunc(level, out=level)
    level *= steps
    matrix: NDArray[Any] = cosines().T
    tall = level.reshape(channels, rows, SIDE, columns * SIDE * count).astype(np.float64)
    kept = np.matmul(matrix / 2 ** (FRACTION - _KEPT), tall)
    kept += 0.5
    np.floor(kept, out=kept)
    wide = kept.reshape(channels, rows * SIDE, columns, SIDE, count)
    planes = np.matmul(matrix / 2 ** (FRACTION + _KEPT + 3), wide)
    planes += 0.5
    np.floor(planes, out=planes)
    np.clip(planes, -128, 127, out=planes)
    restored: Planes = planes.astype(np.float32).reshape(
        channels, rows * SIDE, columns * SIDE, count
    )
    return restored
