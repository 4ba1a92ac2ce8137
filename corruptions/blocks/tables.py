"""What JPEG fixes in advance: quantisation tables, and the integer cosine transform as a matrix."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

# Tables K.1 and K.2 of ITU-T T.81, in rows: what quality 50 stands for.
_LUMINANCE: Final = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56), (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
_CHROMINANCE: Final = (
    (17, 18, 24, 47, 99, 99, 99, 99), (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99), (47, 66, 99, 99, 99, 99, 99, 99),
    *((99, 99, 99, 99, 99, 99, 99, 99),) * 4,
)  # fmt: skip
# The constants of the transform have 13 bits behind the point.
FRACTION: Final = 13


@cache
def quantisation(quality: int) -> NDArray[np.float32]:
    """Give both quantisation tables at a quality, by libjpeg's scale.

    Args:
        quality: 1 (coarsest) to 100.

    Returns:
        (2, 8, 8) float32, whole numbers from 1 to 255: luminance, chrominance; row, column.
    """
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    tables = (np.array((_LUMINANCE, _CHROMINANCE)) * percent + 50) // 100
    scaled = tables.clip(1, 255).astype(np.float32)
    scaled.flags.writeable = False
    return scaled


@cache
def cosines() -> NDArray[np.float64]:
    """Give libjpeg's accurate integer transform ("islow") of eight values as a matrix.

    The butterflies of Loeffler, Ligtenberg and Moschytz (ICASSP 1989) round nothing between their
    multiplications, so on integers they are this matrix; its transpose is the inverse's.

    Returns:
        (8, 8) float64 of whole numbers, scaled by 2**13 * sqrt(8): frequency, position.
    """
    d = np.eye(8, dtype=np.int64)
    plus, minus = d[:4] + d[:3:-1], d[:4] - d[:3:-1]
    outer, inner = plus[:2] + plus[:1:-1], plus[:2] - plus[:1:-1]
    turned = (inner[0] + inner[1]) * 4433
    sums = (minus[3] + minus[0], minus[2] + minus[1], minus[3] + minus[1], minus[2] + minus[0])
    both = (sums[2] + sums[3]) * 9633
    first, second = sums[0] * -7373, sums[1] * -20995
    third, fourth = sums[2] * -16069 + both, sums[3] * -3196 + both
    rows = (
        (outer[0] + outer[1]) << FRACTION, minus[0] * 12299 + first + fourth,
        turned + inner[0] * 6270, minus[1] * 25172 + second + third,
        (outer[0] - outer[1]) << FRACTION, minus[2] * 16819 + second + fourth,
        turned - inner[1] * 15137, minus[3] * 2446 + first + third,
    )  # fmt: skip
    matrix = np.array(rows, dtype=np.float64)
    matrix.flags.writeable = False
    return matrix
