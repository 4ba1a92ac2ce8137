"""The control `resampled`: real tiles reduced and enlarged by bicubic, which no network has touched.

Two of the generators enlarge a reduced tile. A detector that has learned "was resampled" finds them, too,
and calls every thumbnail of a photograph fake; how often it calls these tiles fake tells the two apart.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# The factors of the two super-resolution networks.
FACTORS = (2, 4)


def resample(window: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Reduce a window by a factor and bring it back, both by Pillow's antialiased bicubic.

    Args:
        window: uint8 (height, width, 3), both divisible by the factor.
        factor: At least 2.

    Returns:
        uint8 of the same shape.
    """
    height, width = window.shape[:2]
    image = Image.fromarray(window).resize(
        (width // factor, height // factor), Image.Resampling.BICUBIC
    )
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), dtype=np.uint8)


def resampler() -> Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]:
    """Make the variation that draws one of `FACTORS` for each window."""
    return lambda window, rng: resample(window, FACTORS[int(rng.integers(len(FACTORS)))])
