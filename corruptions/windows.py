"""Means and variances over a square window, and the edge-keeping filters that are made of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Plane = NDArray[np.float32]


def local_mean(plane: Plane, window: int) -> Plane:
    """Average an H x W plane over ``window`` x ``window`` px, the border repeated."""
    mean: Plane = ndimage.uniform_filter(plane, window, mode="nearest")
    return mean


def local_variance(plane: Plane, mean: Plane, window: int) -> Plane:
    """Compute the variance over the same window, given the mean there; never below 0."""
    middle = np.float32(
        plane.mean(dtype=np.float64)
    )  # small numbers keep their digits when squared
    centred, offset = plane - middle, mean - middle
    variance: Plane = local_mean(centred * centred, window) - offset * offset
    np.maximum(variance, 0, out=variance)
    return variance


def wiener(plane: Plane, window: int, noise: float) -> Plane:
    """Take white noise of a known variance off a plane (scipy's ``wiener``, the border repeated).

    Args:
        plane: (H, W) float32.
        window: Side of the window in px, odd.
        noise: Variance of the noise, above 0, in squared units of the plane.
    """
    mean = local_mean(plane, window)
    variance = local_variance(plane, mean, window)
    gain = np.maximum(variance - np.float32(noise), 0) / np.maximum(variance, np.float32(noise))
    filtered: Plane = mean + gain * (plane - mean)
    return filtered


def guided(plane: Plane, window: int, eps: float) -> Plane:
    """Smooth a plane and keep its edges: the guided filter with itself as guide (He et al. 2010).

    Args:
        plane: (H, W) float32.
        window: Side of the window in px, odd.
        eps: Variance below which a window counts as flat, above 0.
    """
    mean = local_mean(plane, window)
    variance = local_variance(plane, mean, window)
    slope: Plane = variance / (variance + np.float32(eps))
    offset = mean - slope * mean
    smooth: Plane = local_mean(slope, window) * plane + local_mean(offset, window)
    return smooth


def window_of(shape: tuple[int, ...], share: float) -> int:
    """Choose the odd side of a window that spans a share of the short side; at least 3 px."""
    return 2 * max(1, int(min(shape[:2]) * share / 2 + 0.5)) + 1
