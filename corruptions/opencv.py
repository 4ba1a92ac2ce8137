"""OpenCV where it is installed, and only for what it does bit for bit like our own code, but faster.

It is optional (``pip install detector-bench[fast]``): results never depend on it, and the tests hold the
two paths equal.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corruptions.base import Image


@cache
def _cv2() -> Any:
    """Import OpenCV where it is first asked for: that takes longer than many a corruption."""
    try:
        return importlib.import_module("cv2")
    except ImportError:
        return None


def available() -> bool:
    """Say whether OpenCV is installed."""
    return _cv2() is not None


def median(image: Image, size: int) -> Image:
    """Take the median over ``size`` x ``size`` px of (H, W, 3) uint8, the border repeated."""
    return np.asarray(_cv2().medianBlur(np.ascontiguousarray(image), size))


def look_up(image: Image, tables: NDArray[np.uint8]) -> Image:
    """Replace every level of (H, W, 3) uint8 by its entry of a table.

    Args:
        image: Picture to change, left as it is.
        tables: (256,) uint8 for all channels, or (256, 3) with one table a channel.
    """
    per_channel = tables if tables.ndim == 1 else tables[None]
    return np.asarray(_cv2().LUT(np.ascontiguousarray(image), per_channel))


def mirror(image: Image) -> Image:
    """Exchange left and right of (H, W, 3) uint8."""
    return np.asarray(_cv2().flip(np.ascontiguousarray(image), 1))
