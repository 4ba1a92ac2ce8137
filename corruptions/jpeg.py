"""JPEG compression: encode, decode, keep the pixels."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image as PILImage

from corruptions.base import Corruption, Image
from corruptions.checks import choice, whole

SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
LONGEST_SIDE = 65_500  # libjpeg's JPEG_MAX_DIMENSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg(Corruption):
    """Baseline JPEG by Pillow's libjpeg, equal bit for bit to saving and opening with Pillow.

    Quality alone does not fix the pixels: 4:2:0 and 4:4:4 at one quality differ by tens of levels,
    so chroma subsampling is a parameter of its own.

    Attributes:
        quality: 1 (worst) to 100, on libjpeg's scale; 0 is refused, since Pillow reads it as
            "the default, 75".
        subsampling: Chroma subsampling: ``4:4:4`` (none), ``4:2:2`` or ``4:2:0``.
    """

    name: ClassVar[str] = "jpeg"
    summary: ClassVar[str] = "JPEG round trip at a stated quality and chroma subsampling"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"quality": 95},
        {"quality": 85},
        {"quality": 75},
        {"quality": 50},
        {"quality": 30},
    )
    draws: ClassVar[bool] = False

    quality: int = 75
    subsampling: str = "4:2:0"

    def __post_init__(self) -> None:
        object.__setattr__(self, "quality", whole("jpeg quality", self.quality, 1, 100))
        choice("jpeg subsampling", self.subsampling, SUBSAMPLINGS)

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Encode and decode in memory.

        Raises:
            ValueError: A side is longer than a JPEG can hold.
        """
        height, width = image.shape[:2]
        if max(height, width) > LONGEST_SIDE:
            raise ValueError(
                f"a JPEG holds at most {LONGEST_SIDE} px a side, the image has {width}x{height}"
            )
        buffer = io.BytesIO()
        PILImage.fromarray(image).save(
            buffer, format="JPEG", quality=self.quality, subsampling=self.subsampling
        )
        with PILImage.open(buffer, formats=("JPEG",)) as decoded:
            return np.array(decoded, dtype=np.uint8)


CORRUPTIONS = {"jpeg": Jpeg}
