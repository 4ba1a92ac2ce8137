"""What decoded pixels say without a network: colours, borders, empty high frequencies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

# Levels that pixels of one constant line may lie apart: JPEG rings at the edge of a border.
_CONSTANT: Final = 10.0
# At most so many lines are looked at, and never more than a quarter of a side.
_WIDEST_BORDER: Final = 64
_CROP: Final = 256
# An enlarged image has almost no power there: cycles a pixel, and the share of the power below it.
_HIGH, _LOW = (0.36, 0.5), (0.06, 0.18)
_EMPTY: Final = 1e-4


@dataclass(frozen=True, slots=True)
class PixelFacts:
    """What the pixels of one image say.

    Attributes:
        red: Mean of the red channel, 0 to 255.
        green: Mean of the green channel, 0 to 255.
        blue: Mean of the blue channel, 0 to 255.
        border: Width in pixels of a constant border on all four sides; 0 for none.
        bordered_sides: Number of sides with a constant line at their edge, 0 to 4.
        high_frequencies: Base-10 logarithm of the power density at 0.36 to 0.5 cycles a pixel over that
            at 0.06 to 0.18; nan where the image is too small or too flat to say.
    """

    red: float
    green: float
    blue: float
    border: int
    bordered_sides: int
    high_frequencies: float

    @property
    def enlarged(self) -> bool:
        """Whether the high frequencies are as empty as those of an enlarged image."""
        return self.high_frequencies < math.log10(_EMPTY)


def pixel_facts(pixels: Pixels) -> PixelFacts:
    """Describe the decoded pixels of one image.

    Args:
        pixels: (height, width, 3) uint8.
    """
    red, green, blue = pixels.reshape(-1, 3).mean(axis=0, dtype=np.float64)
    widths = [_constant_lines(side) for side in _sides(pixels)]
    constant = min(widths)
    # A picture of one colour has no border.
    return PixelFacts(
        red=float(red),
        green=float(green),
        blue=float(blue),
        border=0 if constant >= _lines(pixels) else constant,
        bordered_sides=sum(width > 0 for width in widths),
        high_frequencies=_high_frequencies(pixels),
    )


def _lines(pixels: Pixels) -> int:
    """Number of lines at each side in which a border is looked for."""
    return int(min(_WIDEST_BORDER, max(1, min(pixels.shape[:2]) // 4)))


def _sides(pixels: Pixels) -> list[Pixels]:
    """Lines at the four sides, outermost first: four of (lines, length, 3)."""
    n = _lines(pixels)
    turned = pixels.transpose(1, 0, 2)
    return [pixels[:n], pixels[::-1][:n], turned[:n], turned[::-1][:n]]


def _constant_lines(side: Pixels) -> int:
    """Count the constant lines of one colour from the edge inwards."""
    # The brightness of whole lines: JPEG spreads colour over a block, and a border's own ringing is small.
    lines = side.mean(axis=2, dtype=np.float32)
    first = float(np.median(lines[0]))
    width = 0
    for line in lines:
        away = np.sort(np.abs(line - first))
        # The corners of a line belong to the borders of the other sides.
        if away.mean() > _CONSTANT / 2 or away[int(0.9 * (len(away) - 1))] > _CONSTANT:
            break
        width += 1
    return width


class _Lens(NamedTuple):
    """What a square of one side is looked at through: a window, and masks of two bands of frequencies."""

    window: NDArray[np.float32]
    high: NDArray[np.bool_]
    low: NDArray[np.bool_]


@lru_cache(maxsize=8)
def _lens(side: int) -> _Lens:
    window = np.hanning(side).astype(np.float32)
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    high, low = ((radius >= a) & (radius < b) for a, b in (_HIGH, _LOW))
    return _Lens(window[:, None] * window[None, :], high, low)


def _high_frequencies(pixels: Pixels) -> float:
    side = min(_CROP, *pixels.shape[:2])
    if side < 16:
        return float("nan")
    from scipy.fft import rfft2  # noqa: PLC0415

    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    gray = pixels[top : top + side, left : left + side].sum(axis=2, dtype=np.float32)
    lens = _lens(side)
    spectrum = rfft2((gray - gray.mean()) * lens.window)
    power = spectrum.real**2 + spectrum.imag**2
    high, low = float(power[lens.high].mean()), float(power[lens.low].mean())
    return float(np.log10(max(high, 1e-12) / low)) if low > 1e-3 else float("nan")
