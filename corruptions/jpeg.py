"""JPEG compression: encode, decode, keep the pixels."""

from __future__ import annotations

import functools
import io
from collections.abc import Hashable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image as PILImage

from corruptions.base import Corruption, Image, Images
from corruptions.blocks.roundtrip import forward, inverse
from corruptions.checks import choice, whole

SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
LONGEST_SIDE = 65_500  # libjpeg's JPEG_MAX_DIMENSION
# Measured on one core (tests/benchmarks/jpeg_batches.py): at 32 px a batch takes .25 of Pillow's time, at 64
# some .8, beyond 80 more than all of it. A batch of so many pixels stays in a core's cache.
_BATCHED_PIXELS = 64 * 64
_BATCH_PIXELS = 1 << 16


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
        return _saved(image, self.quality, self.subsampling)

    def batch_size(self, height: int, width: int, /) -> int:
        """Take small images together, where that gives the bits of this Pillow's libjpeg."""
        pixels = height * width
        if pixels > _BATCHED_PIXELS or not equals_pillow(self.quality, self.subsampling):
            return 0
        return _BATCH_PIXELS // max(pixels, 1024)

    def apply_batch(self, images: Images, memo: MutableMapping[Hashable, Any], /) -> Images:
        """Do what saving and opening each would do; qualities of one set of images share the transform."""
        key = (self.name, self.subsampling)
        coefficients = memo.get(key)
        if coefficients is None:
            coefficients = memo[key] = forward(images, self.subsampling)
        return inverse(coefficients, self.quality)


def _saved(image: Image, quality: int, subsampling: str) -> Image:
    buffer = io.BytesIO()
    PILImage.fromarray(image).save(buffer, format="JPEG", quality=quality, subsampling=subsampling)
    with PILImage.open(buffer, formats=("JPEG",)) as decoded:
        return np.array(decoded, dtype=np.uint8)


@functools.cache
def equals_pillow(quality: int, subsampling: str) -> bool:
    """Try whether batches give the bits of this installation's libjpeg; another build may round elsewhere.

    Args:
        quality: 1 to 100.
        subsampling: ``4:4:4``, ``4:2:2`` or ``4:2:0``.
    """
    rng = np.random.default_rng(0)
    for height, width in ((33, 31), (16, 48), (5, 2)):
        noise = rng.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
        slope = np.linspace(rng.integers(0, 256, (2, 1, width, 3)), noise[:, -1:], height, axis=1)
        images = np.concatenate([noise, slope[:, :, 0].astype(np.uint8), noise // 128 * 255])
        batch = inverse(forward(images, subsampling), quality)
        if any(
            not np.array_equal(_saved(image, quality, subsampling), out)
            for image, out in zip(images, batch, strict=True)
        ):
            return False
    return True


CORRUPTIONS = {"jpeg": Jpeg}
