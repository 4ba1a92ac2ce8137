"""What finds an image again after it was encoded, resized or mirrored: perceptual hashes and a thumbnail."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Sides of the thumbnail that confirms what a hash suspects, and of the picture that is hashed.
THUMBNAIL: Final = 8
_HASHED: Final = 32


@dataclass(frozen=True, slots=True)
class Hashes:
    """What an image is found again by.

    Attributes:
        pixels: Digest of size and pixels, 16 bytes.
        hash: Perceptual hash of 64 bits (Zauner 2010: signs of low DCT coefficients against their
            median); None where ImageHash is not installed.
        mirrored: The same of the image mirrored left to right.
        thumbnail: 8 x 8 RGB means, 192 bytes.
    """

    pixels: bytes
    hash: int | None
    mirrored: int | None
    thumbnail: bytes


def has_perceptual_hash() -> bool:
    """Tell whether ImageHash, of the extra ``[audit]``, is installed."""
    return find_spec("imagehash") is not None


def hashes(pixels: NDArray[np.uint8], *, perceptual: bool) -> Hashes:
    """Hash the decoded pixels of one image.

    Args:
        pixels: (height, width, 3) uint8, C-contiguous.
        perceptual: Whether ImageHash is to be asked.
    """
    digest = hashlib.blake2b(str(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    image = Image.fromarray(pixels)
    thumbnail = image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX).tobytes()
    if not perceptual:
        return Hashes(digest.digest(), None, None, thumbnail)
    import imagehash  # noqa: PLC0415  (an extra)

    # The hash makes the image gray and 32 x 32 itself; made so once, it serves the mirrored one too.
    small = image.convert("L").resize((_HASHED, _HASHED), Image.Resampling.LANCZOS)
    flipped = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    both = [_as_number(imagehash.phash(picture).hash) for picture in (small, flipped)]
    return Hashes(digest.digest(), both[0], both[1], thumbnail)


def _as_number(bits: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(bits.ravel()).tobytes(), "big")
