"""From numbers back to an 8-bit picture, and between its levels and light."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from corruptions.base import Image


def to_levels(values: NDArray[Any]) -> Image:
    """Clip to 0..255 and round to the nearest level; the array is changed."""
    np.clip(values, 0, 255, out=values)
    np.rint(values, out=values)
    return values.astype(np.uint8)


def to_light(image: Image) -> NDArray[np.float32]:
    """Undo the sRGB transfer curve (IEC 61966-2-1): levels to linear light in [0, 1], float32."""
    return _LIGHT[image]


def from_light(light: NDArray[np.float32]) -> Image:
    """Apply the sRGB transfer curve: linear light, clipped to [0, 1], to the nearest level."""
    light = np.clip(light, 0, 1)
    curved = np.where(
        light <= np.float32(0.0031308),
        light * np.float32(12.92),
        np.float32(1.055) * light ** np.float32(1 / 2.4) - np.float32(0.055),
    )
    return to_levels(curved * np.float32(255))


def luma(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the H x W luma of H x W x 3 values, ITU-R BT.601, unrounded."""
    red, green, blue = (values[..., channel] for channel in range(3))
    weighted: NDArray[np.float32] = (
        red * np.float32(0.299) + green * np.float32(0.587) + blue * np.float32(0.114)
    )
    return weighted


def _light_table() -> NDArray[np.float32]:
    levels = np.arange(256) / 255
    light: NDArray[np.float64] = np.where(
        levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4
    )
    return light.astype(np.float32)


_LIGHT = _light_table()
