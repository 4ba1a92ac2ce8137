"""OpenCV where it is installed, and only for what it does bit for bit like our own code, but faster.

It is optional (``pip install detector-bench[fast]``): results never depend on it, and the tests hold the
two paths equal.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corruptions.base import Image

try:
    _cv2: Any = importlib.import_module("cv2")
except ImportError:
    _cv2 = None


def available() -> bool:
    """Whether OpenCV can be used."""
    return _cv2 is not None


def median(image: Image, size: int) -> Image:
    """The median over ``size`` x ``size`` px of (H, W, 3) uint8, the border repeated."""
    return np.asarray(_cv2.medianBlur(np.ascontiguousarray(image), size))


def look_up(image: Image, tables: NDArray[np.uint8]) -> Image:
    """(H, W, 3) uint8 through one (256,) table, or through one a channel, (256, 3)."""
    per_channel = tables if tables.ndim == 1 else tables[None]
    return np.asarray(_cv2.LUT(np.ascontiguousarray(image), per_channel))


def mirror(image: Image) -> Image:
    """(H, W, 3) uint8 with left and right exchanged."""
    return np.asarray(_cv2.flip(np.ascontiguousarray(image), 1))
