"""What a JPEG says of its encoder: quality from the quantisation tables, subsampling, the tables' digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Luminance table of the standard, row by row (ITU-T T.81, annex K.1); libjpeg scales it by the quality.
_LUMINANCE: Final = np.array(
    [
        16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
        14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
        18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
        49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
    ],
    dtype=np.int64,
)  # fmt: skip
# Sampling of luminance relative to chrominance, across and down, by the name it goes under.
_SUBSAMPLINGS: Final = {
    (1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class JpegFacts:
    """What the header of a JPEG says of how it was encoded.

    Attributes:
        quality: Quality, 1 to 100, at which libjpeg's luminance table is nearest to the file's.
        subsampling: ``4:2:0``, ``4:4:4`` and the like; ``none`` where there is no chrominance.
        tables: First eight hex digits of the SHA-256 of all quantisation tables.
        progressive: Whether the scans are progressive.
    """

    quality: int
    subsampling: str
    tables: str
    progressive: bool


def jpeg_facts(image: Image.Image) -> JpegFacts | None:
    """Read how an opened JPEG was encoded; None where its header holds no tables.

    Args:
        image: An image opened by Pillow; it need not be loaded.
    """
    tables: dict[int, Any] = getattr(image, "quantization", None) or {}
    if not tables or len(tables[min(tables)]) != _LUMINANCE.size:
        return None
    digest = hashlib.sha256()
    for number in sorted(tables):
        digest.update(np.asarray(tables[number], dtype="<u2").tobytes())
    return JpegFacts(
        quality=estimate_quality(np.asarray(tables[min(tables)], dtype=np.int64)),
        subsampling=_subsampling(getattr(image, "layer", [])),
        tables=digest.hexdigest()[:8],
        progressive=bool(image.info.get("progressive") or image.info.get("progression")),
    )


def estimate_quality(table: NDArray[np.int64]) -> int:
    """Estimate libjpeg's quality from a luminance table.

    Encoders with tables of their own get the quality whose table is nearest (sum of absolute
    differences), the higher one of two as near.

    Args:
        table: (64,) divisors, row by row, 1 to 65535.

    Returns:
        1 to 100.

    Example:
        >>> estimate_quality(np.ones(64, dtype=np.int64))
        100
    """
    distances = np.abs(_scaled_tables() - table).sum(axis=1)
    return int(100 - np.argmin(distances[::-1]))


@lru_cache(maxsize=1)
def _scaled_tables() -> NDArray[np.int64]:
    """Give libjpeg's luminance table at qualities 1 to 100, (100, 64)."""
    qualities = np.arange(1, 101)[:, None]
    scale = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    tables: NDArray[np.int64] = np.clip((_LUMINANCE * scale + 50) // 100, 1, 255)
    return tables


def _subsampling(layer: Any) -> str:
    """Name the subsampling from Pillow's list of components (id, across, down, table)."""
    if len(layer) < 2:
        return "none"
    across, down = layer[0][1] / layer[1][1], layer[0][2] / layer[1][2]
    return _SUBSAMPLINGS.get((int(across), int(down)), f"{across:g}x{down:g}")
