"""What a platform makes of an uploaded picture: at most so large, encoded anew, metadata gone.

Platforms publish little of this and change it without notice. Each row of ``PLATFORMS`` says which of its
parameters rest on a source and which are assumed; a score under ``upload`` is a score under these parameters,
not under a platform's servers of today.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image as PILImage

from corruptions.base import Corruption, Image
from corruptions.checks import choice, whole
from corruptions.codecs import Webp
from corruptions.jpeg import Jpeg
from corruptions.resize import KERNELS

MOST_TIMES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """Parameters of one platform's delivery of a photograph.

    Attributes:
        codec: Encoder with its parameters.
        max_side: Longest side in px; larger pictures are shrunk to it.
        max_pixels: Largest number of pixels; larger pictures are shrunk to it.
        kernel: Pillow's kernel for shrinking.
        sourced: Parameters that rest on a source, with the source.
        assumed: Parameters without a source.
    """

    codec: Jpeg | Webp
    max_side: int | None = None
    max_pixels: int | None = None
    kernel: str = "lanczos"
    sourced: str = "nothing"
    assumed: str

    @property
    def chain(self) -> str:
        """The chain in words, with every parameter."""
        if self.max_side is not None:
            limit = f"longest side at most {self.max_side} px ({self.kernel})"
        else:
            limit = f"at most {self.max_pixels} pixels ({self.kernel})"
        if isinstance(self.codec, Webp):
            return f"{limit}, WebP quality {self.codec.quality}, 4:2:0"
        return f"{limit}, JPEG quality {self.codec.quality}, {self.codec.subsampling}"

    def scale(self, width: int, height: int) -> float:
        """Compute the factor by which a picture of this size in px is shrunk; 1 where it fits."""
        sides = math.inf if self.max_side is None else self.max_side / max(width, height)
        area = math.inf
        if self.max_pixels is not None:
            area = math.sqrt(self.max_pixels / (width * height))
        return min(1.0, sides, area)


_REST = "quality, chroma 4:2:0, kernel"
_TESTED = "by Photo Taco's upload tests of 2021"

PLATFORMS: Mapping[str, Platform] = {
    "mastodon": Platform(
        codec=Jpeg(quality=90),
        max_pixels=8_294_400,
        sourced="8,294,400 pixels: Mastodon's app/models/media_attachment.rb",
        assumed=_REST,
    ),
    "telegram": Platform(
        codec=Jpeg(quality=87),
        max_side=1280,
        sourced="quality 87: Telegram for Android, photos that went through its editor",
        assumed="1280 px, chroma 4:2:0, kernel",
    ),
    "twitter": Platform(
        codec=Jpeg(quality=85),
        max_side=4096,
        sourced=f"4096 px: {_TESTED}",
        assumed=_REST,
    ),
    "bluesky": Platform(
        codec=Jpeg(quality=82),
        max_side=2000,
        sourced="2000 px: POST_IMG_MAX of Bluesky's app, which also asks for at most 1 MB",
        assumed=f"{_REST}; the limit of 1 MB is not applied",
    ),
    "facebook": Platform(
        codec=Jpeg(quality=80),
        max_side=1920,
        sourced=f"1920 px: {_TESTED}",
        assumed=_REST,
    ),
    "signal": Platform(
        codec=Jpeg(quality=77),
        max_side=1600,
        sourced="1600 px: PushMediaConstraints of an earlier Signal for Android",
        assumed=f"{_REST}; the limit of 1 MB is not applied",
    ),
    "instagram": Platform(
        codec=Jpeg(quality=75),
        max_side=1080,
        sourced=f"1080 px: {_TESTED}",
        assumed=_REST,
    ),
    "whatsapp": Platform(
        codec=Jpeg(quality=70), max_side=1600, assumed="1600 px, quality, chroma 4:2:0, kernel"
    ),
    "reddit": Platform(
        codec=Webp(quality=75), max_side=1080, assumed="WebP preview, 1080 px, quality, kernel"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload(Corruption):
    """A platform's chain: shrink to its maximum, never enlarge, then encode; once or several times.

    Attributes:
        platform: A row of ``PLATFORMS``, such as ``facebook``.
        times: Number of uploads of the picture as last downloaded, 1 to 10.
    """

    name: ClassVar[str] = "upload"
    summary: ClassVar[str] = "a platform's maximum size and encoder, once or several times"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"platform": "mastodon"},
        {"platform": "telegram"},
        {"platform": "facebook"},
        {"platform": "instagram"},
        {"platform": "whatsapp"},
    )
    draws: ClassVar[bool] = False

    platform: str = "facebook"
    times: int = 1

    def __post_init__(self) -> None:
        choice("upload platform", self.platform, PLATFORMS)
        object.__setattr__(self, "times", whole("upload times", self.times, 1, MOST_TIMES))

    @property
    def keeps_size(self) -> bool:
        """False: a picture larger than the platform's maximum is shrunk."""
        return False

    @property
    def as_done(self) -> str:
        """The platform's chain, with every parameter."""
        again = f", {self.times} times" if self.times > 1 else ""
        return PLATFORMS[self.platform].chain + again

    @classmethod
    def table(cls) -> list[dict[str, str]]:
        """List the platforms, a row each: its chain, what rests on a source, what is assumed."""
        return [
            {
                "platform": name,
                "chain": platform.chain,
                "sourced": platform.sourced,
                "assumed": platform.assumed,
            }
            for name, platform in PLATFORMS.items()
        ]

    def apply(self, image: Image, rng: np.random.Generator, /) -> Image:
        """Shrink where need be and encode, ``times`` times."""
        platform = PLATFORMS[self.platform]
        for _ in range(self.times):
            height, width = image.shape[:2]
            scale = platform.scale(width, height)
            if scale < 1:
                wide, tall = (max(1, int(side * scale + 0.5)) for side in (width, height))
                shrunk = PILImage.fromarray(image).resize((wide, tall), KERNELS[platform.kernel])
                image = np.array(shrunk, dtype=np.uint8)
            image = platform.codec(image, rng)
        return image


CORRUPTIONS = {"upload": Upload}
