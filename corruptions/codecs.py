"""WebP, AVIF and JPEG 2000 compression: encode, decode, keep the pixels."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image as PILImage
from PIL import features

from corruptions.base import Corruption, Image
from corruptions.checks import choice, real, whole
from corruptions.jpeg import SUBSAMPLINGS

LONGEST_WEBP_SIDE = 16_383  # 14 bits a side in the bitstream, RFC 9649 section 2.5
LONGEST_AVIF_SIDE = 65_535  # 16 bits a side in an AV1 sequence header
LONGEST_JPEG2000_SIDE = 2**31 - 1  # 32 bits a side in the SIZ marker; Pillow's are signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Webp(Corruption):
    """Lossy WebP by Pillow's libwebp, equal bit for bit to saving and opening with Pillow.

    Chroma is always 4:2:0: the lossy format has nothing else (RFC 9649).

    Attributes:
        quality: 0 (worst) to 100, on libwebp's scale, which is not JPEG's.
        method: Effort of the encoder, 0 (fast) to 6 (small); it changes the pixels.
    """

    name: ClassVar[str] = "webp"
    summary: ClassVar[str] = "lossy WebP round trip at a stated quality"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"quality": 95},
        {"quality": 85},
        {"quality": 75},
        {"quality": 50},
        {"quality": 30},
    )
    draws: ClassVar[bool] = False

    quality: int = 75
    method: int = 4

    def __post_init__(self) -> None:
        object.__setattr__(self, "quality", whole("webp quality", self.quality, 0, 100))
        object.__setattr__(self, "method", whole("webp method", self.method, 0, 6))

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Encode and decode in memory.

        Raises:
            ValueError: A side is longer than a WebP can hold, or this Pillow has no WebP.
        """
        return _round_trip(
            image, "WebP", LONGEST_WEBP_SIDE, quality=self.quality, method=self.method
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Avif(Corruption):
    """AVIF by Pillow's libavif, equal bit for bit to saving and opening with Pillow.

    Attributes:
        quality: 0 (worst) to 100, on libavif's scale, which is neither JPEG's nor WebP's.
        subsampling: Chroma subsampling: ``4:4:4`` (none), ``4:2:2`` or ``4:2:0``.
        speed: 0 (slow) to 10 (fast); it changes the pixels.
    """

    name: ClassVar[str] = "avif"
    summary: ClassVar[str] = "AVIF round trip at a stated quality and chroma subsampling"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"quality": 90},
        {"quality": 75},
        {"quality": 60},
        {"quality": 45},
        {"quality": 30},
    )
    draws: ClassVar[bool] = False

    quality: int = 75
    subsampling: str = "4:2:0"
    speed: int = 6

    def __post_init__(self) -> None:
        object.__setattr__(self, "quality", whole("avif quality", self.quality, 0, 100))
        choice("avif subsampling", self.subsampling, SUBSAMPLINGS)
        object.__setattr__(self, "speed", whole("avif speed", self.speed, 0, 10))

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Encode and decode in memory, on one thread: images are spread over threads already.

        Raises:
            ValueError: A side is longer than an AVIF can hold, or this Pillow has no AVIF.
        """
        return _round_trip(
            image,
            "AVIF",
            LONGEST_AVIF_SIDE,
            quality=self.quality,
            subsampling=self.subsampling,
            speed=self.speed,
            max_threads=1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Jpeg2000(Corruption):
    """Lossy JPEG 2000 by Pillow's OpenJPEG, equal bit for bit to saving and opening with Pillow.

    The 9-7 wavelet and the irreversible colour transform, one quality layer. A small picture may
    compress to its rate without loss; then it keeps its pixels but for the wavelet's rounding.

    Attributes:
        rate: Bytes of the raw picture over bytes of the file, 1 to 1000.
    """

    name: ClassVar[str] = "jpeg2000"
    summary: ClassVar[str] = "lossy JPEG 2000 round trip at a stated compression rate"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"rate": 4.0},
        {"rate": 8.0},
        {"rate": 16.0},
        {"rate": 32.0},
        {"rate": 64.0},
    )
    draws: ClassVar[bool] = False

    rate: float = 16.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", real("jpeg2000 rate", self.rate, 1.0, 1000.0))

    @property
    def may_be_identity(self) -> bool:
        """True where the rate leaves room for every bit of a photograph."""
        return self.rate < 3

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Encode and decode in memory.

        Raises:
            ValueError: This Pillow has no JPEG 2000.
        """
        return _round_trip(
            image,
            "JPEG2000",
            LONGEST_JPEG2000_SIDE,
            feature="jpg_2000",
            quality_mode="rates",
            quality_layers=[self.rate],
            irreversible=True,
        )


def _round_trip(
    image: Image, codec: str, longest: int, *, feature: str = "", **options: Any
) -> Image:
    """Save an image with Pillow and open it again, as RGB."""
    if not features.check(feature or codec.lower()):
        raise ValueError(f"this Pillow is built without {codec}: install Pillow's own wheel")
    height, width = image.shape[:2]
    if max(height, width) > longest:
        raise ValueError(
            f"a {codec} holds at most {longest} px a side, the image has {width}x{height}"
        )
    buffer = io.BytesIO()
    PILImage.fromarray(image).save(buffer, format=codec.upper(), **options)
    with PILImage.open(buffer, formats=(codec.upper(),)) as decoded:
        return np.array(decoded.convert("RGB"), dtype=np.uint8)


CORRUPTIONS = {"webp": Webp, "avif": Avif, "jpeg2000": Jpeg2000}
