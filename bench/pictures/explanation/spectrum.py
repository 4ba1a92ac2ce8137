"""Spectra: the mean power of a generator's pictures and of their noise, beside that of its real pictures.

Upsampling leaves peaks in the power spectrum that no camera makes (Corvi et al. 2023, "Intriguing
properties of synthetic images"; Durall et al. 2020, "Watch your Up-Convolution").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

Floats = NDArray[np.float64]
LARGEST = 256  # px of the crop that is transformed
SMALLEST = 16
_GRAY = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow's "L"
_NOISE = 3  # px of the median filter whose remainder is the noise


@dataclass(frozen=True, slots=True)
class Spectra:
    """Mean power spectra of some pictures.

    Attributes:
        picture: (side, side) float64 mean of |FFT|^2 / side^2 of the gray pictures, in squared levels,
            the zero frequency in the middle at ``[side // 2, side // 2]``.
        noise: The same of what a 3 x 3 median filter takes away.
        n: Number of pictures.
    """

    picture: Floats
    noise: Floats
    n: int


def mean_spectra(pictures: Iterable[NDArray[np.uint8]], side: int) -> Spectra | None:
    """Average the power spectra of the middle of pictures.

    Args:
        pictures: (H, W, 3) uint8 each; those smaller than ``side`` px are left out.
        side: Side of the crop in px.

    Returns:
        The means; ``None`` where no picture is large enough.
    """
    sums = np.zeros((2, side, side))
    n = 0
    for picture in pictures:
        if min(picture.shape[:2]) < side:
            continue
        gray = _middle(picture @ _GRAY, side)
        noise = gray - median_filter(gray, _NOISE, mode="reflect")
        sums += [power_spectrum(gray), power_spectrum(noise)]
        n += 1
    return Spectra(sums[0] / n, sums[1] / n, n) if n else None


def power_spectrum(gray: Floats) -> Floats:
    """Give |FFT|^2 / pixels of a square picture without its mean, the zero frequency in the middle.

    Example:
        >>> round(float(power_spectrum(np.array([[1.0, -1.0], [1.0, -1.0]])).max()), 6)
        4.0
    """
    transform = np.fft.fftshift(np.fft.fft2(gray - gray.mean()))
    power: Floats = np.abs(transform) ** 2 / gray.size
    return power


def radial_mean(power: Floats) -> tuple[Floats, Floats]:
    """Average a spectrum over rings one frequency wide, up to 0.5 cycles a pixel.

    Args:
        power: (side, side), the zero frequency in the middle.

    Returns:
        Frequencies in cycles a pixel, without zero, and the mean power on each ring.
    """
    side = power.shape[0]
    steps = np.arange(side) - side // 2
    ring = np.rint(np.hypot(steps[:, None], steps[None, :])).astype(np.int64)
    most = side // 2
    total = np.bincount(ring.ravel(), power.ravel())[1 : most + 1]
    count = np.bincount(ring.ravel())[1 : most + 1]
    return np.arange(1, most + 1) / side, total / count


def crop_side(sizes: Iterable[tuple[int, int]]) -> int:
    """Choose the side of the crop: the largest even one up to 256 px that nine pictures in ten allow.

    Args:
        sizes: Height and width of every picture.
    """
    least = sorted(min(size) for size in sizes)
    if not least:
        return 0
    side = min(LARGEST, least[len(least) // 10])
    return side - side % 2 if side >= SMALLEST else 0


def _middle(gray: Floats, side: int) -> Floats:
    top, left = (gray.shape[0] - side) // 2, (gray.shape[1] - side) // 2
    return gray[top : top + side, left : left + side]
