"""Encoded bytes to RGB pixels, by Pillow only.

torchvision's decoder is faster and crashes the process on damaged PNGs; users' files never reach
it. What the policy does not name: ICC profiles are not applied, and of an animation the first
frame is taken.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

from bench.datasets.policy import (
    DEFAULT,
    BadImageError,
    DecodePolicy,
    StaleIndexError,
    codec_versions,
)
from bench.datasets.record import ImageRecord
from bench.datasets.sources.header import check_whole, in_words, open_image, true_format
from bench.datasets.sources.image_bytes import open_bytes
from bench.support.objects.place import Place

__all__ = [
    "DEFAULT",
    "BadImageError",
    "DecodePolicy",
    "codec_versions",
    "decode",
    "load",
    "open_bytes",
]


def decode(
    data: bytes, policy: DecodePolicy = DEFAULT, *, checked: bool = False
) -> NDArray[np.uint8]:
    """Decode one image under the policy.

    EXIF orientation is applied, transparency is composited over the stated colour, 16-bit
    samples keep their high byte (scaled, not clipped), palette, gray and CMYK become RGB.

    Args:
        data: the encoded file.
        policy: the choices; see `DecodePolicy`.
        checked: whether these very bytes were found whole before, as indexing does with every image
            that it hashes.

    Returns:
        (height, width, 3) uint8 in 0..255, C-contiguous, writable, owned by the caller.

    Raises:
        BadImageError: not an allowed image, too large, truncated or damaged.
    """
    # Another library may have switched this on for the process: half an image is never scored.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    image = open_image(data, policy)
    fmt = true_format(image)
    if not checked:
        check_whole(data, image)
    try:
        image.load()
        if policy.exif:
            image = _upright(image)
        return np.array(_to_rgb(image, fmt, policy.alpha_colour), dtype=np.uint8, order="C")
    except (MemoryError, BadImageError):
        raise
    except Exception as error:  # a codec may raise nearly anything on damaged data
        raise BadImageError(f"cannot be decoded ({in_words(error)})") from error


def load(root: Place, record: ImageRecord, policy: DecodePolicy = DEFAULT) -> NDArray[np.uint8]:
    """Read and decode the image of a record, and make sure that it is the one indexed.

    Returns:
        (height, width, 3) uint8, as `decode`.

    Raises:
        BadImageError: these bytes cannot be decoded; they never will be, so that is a result.
        StaleIndexError: the file is gone or differs from the one indexed: no result at all, and a
            score kept for it would stand under another image's digest.
    """
    try:
        data = open_bytes(root, record.locator)
    except BadImageError as error:
        raise StaleIndexError(
            f"{record.sample_id}: {error}, but it was there when the data was indexed: put it back, "
            "or run the same command again to index anew"
        ) from error
    if record.sha256 and hashlib.sha256(data).hexdigest() != record.sha256:
        raise StaleIndexError(
            f"{record.sample_id} changed since it was indexed: run `bench data index --refresh`"
        )
    return decode(data, policy, checked=bool(record.sha256))


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except (MemoryError, OSError):
        raise
    except Exception:  # an EXIF block nobody can read says nothing about the orientation
        return image


def _to_rgb(image: Image.Image, fmt: str, alpha_colour: tuple[int, int, int]) -> Image.Image:
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and fmt == "PNG"):
        # The high byte, as Pillow itself takes for 16-bit colour: its own conversion from
        # 16-bit gray clips everything above 255 to white.
        samples = np.asarray(image).astype(np.int64)
        image = Image.fromarray(np.clip(samples >> 8, 0, 255).astype(np.uint8))
    elif mode in {"I", "F"}:
        kind = "32-bit integer" if mode == "I" else "floating-point"
        raise BadImageError(f"{kind} samples, which have no stated range")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        background = Image.new("RGBA", layer.size, (*alpha_colour, 255))
        return Image.alpha_composite(background, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
