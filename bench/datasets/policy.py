"""How an encoded image becomes pixels: the choices, stated once and part of every fingerprint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Final

import PIL
from PIL import features

from bench.errors import DataError

# Raise when the rules of decode.py change, so that no score made under the old ones is reused.
RULES_VERSION: Final = 2

# Decoded, 1.5 GB of RGB: what one thread of several may take.
MOST_PIXELS: Final = 500_000_000

KNOWN_FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF")


class BadImageError(DataError):
    """One image that cannot be used; the message is the reason in words, without the path."""


class StaleIndexError(DataError):
    """An indexed image that is no longer there, or no longer the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodePolicy:
    """The choices of the decoder.

    Attributes:
        alpha_colour: RGB, each 0..255: what shows through transparent pixels (white, as on a page).
        max_pixels: width * height beyond which an image is refused before decompression; what cameras and
            phones make (200 million) is below the default.
        formats: Pillow format names that may be opened; the header decides, not the suffix.
        exif: whether the EXIF orientation is applied.
    """

    alpha_colour: tuple[int, int, int] = (255, 255, 255)
    max_pixels: int = 250_000_000
    formats: tuple[str, ...] = KNOWN_FORMATS
    exif: bool = True

    def __post_init__(self) -> None:
        if len(self.alpha_colour) != 3 or not all(0 <= c <= 255 for c in self.alpha_colour):
            raise ValueError(f"alpha_colour={self.alpha_colour}: give three values from 0 to 255")
        if not 1 <= self.max_pixels <= MOST_PIXELS:
            raise ValueError(f"max_pixels={self.max_pixels}: give 1 to {MOST_PIXELS}")
        unknown = sorted(set(self.formats) - set(KNOWN_FORMATS))
        if unknown or not self.formats:
            raise ValueError(f"formats={self.formats}: choose from {', '.join(KNOWN_FORMATS)}")

    def digest(self) -> str:
        """Digest the choices and the version of the rules behind them.

        Returns:
            SHA-256, 64 hex digits.
        """
        spec = {"rules": RULES_VERSION, **asdict(self), "formats": sorted(self.formats)}
        return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()


DEFAULT: Final = DecodePolicy()


def codec_versions() -> dict[str, str]:
    """Give the versions of Pillow and of the codecs behind it: they decide pixels."""
    versions = {"pillow": PIL.__version__}
    for codec in ("libjpeg_turbo", "zlib", "zlib_ng", "webp", "libtiff", "avif"):
        version = features.version(codec) if _has(codec) else None
        if version:
            versions[codec] = str(version)
    return versions


def _has(name: str) -> bool:
    try:
        return bool(features.check(name))
    except ValueError:  # a feature this version of Pillow does not know
        return False
