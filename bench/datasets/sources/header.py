"""What the first bytes of a file say, and whether it is whole, without decompressing a pixel."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO, Final

from PIL import Image, UnidentifiedImageError

from bench.datasets.policy import DEFAULT, BadImageError, DecodePolicy

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

# First bytes of what is often found under an image's name, and what to tell its owner.
_NOT_IMAGES: Final = (
    (b"version https://git-lfs", "a Git LFS pointer, not the image itself (run `git lfs pull`)"),
    (b"%pdf", "a PDF document, not an image"),
    (b"pk\x03\x04", "a ZIP archive, not an image"),
    (b"\x1f\x8b", "a gzip archive, not an image"),
    (b"<?xml", "an XML or SVG document, not a raster image"),
    (b"<svg", "an SVG document, not a raster image"),
)


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says.

    Attributes:
        format: Pillow's name of the true format; phone JPEGs with a second picture are ``JPEG``.
        width: width in pixels.
        height: height in pixels.
    """

    format: str
    width: int
    height: int


def open_image(source: bytes | BinaryIO, policy: DecodePolicy = DEFAULT) -> Image.Image:
    """Open an image up to its header, within the policy.

    Returns:
        A Pillow image that has not been loaded.

    Raises:
        BadImageError: not an image of an allowed format, a damaged header, or too many pixels.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    start = stream.read(512)
    stream.seek(0)
    if not start:
        raise BadImageError("an empty file (0 bytes)")
    try:
        image = Image.open(stream, formats=policy.formats)
    except UnidentifiedImageError:
        raise BadImageError(_say_what_it_is(start, policy)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImageError(f"more pixels than the limit of {policy.max_pixels}") from None
    except MemoryError:
        raise
    except Exception as error:  # Pillow's parsers raise many kinds on hostile headers
        raise BadImageError(f"a damaged header ({in_words(error)})") from error
    width, height = image.size
    if width * height > policy.max_pixels:
        raise BadImageError(
            f"{width} x {height} pixels, more than the limit of {policy.max_pixels}"
        )
    return image


def read_header(source: bytes | BinaryIO, policy: DecodePolicy = DEFAULT) -> Header:
    """Read format and size; bytes in memory are checked for truncation as well.

    Raises:
        BadImageError: as `open_image` and `check_whole`.
    """
    image = open_image(source, policy)
    header = Header(true_format(image), *image.size)
    if isinstance(source, bytes):
        check_whole(source, header.format)
    return header


def true_format(image: Image.Image) -> str:
    """Name the format of an opened image.

    Pillow calls a JPEG that carries a second picture, as many phones write, MPO: it is a JPEG.
    """
    return "JPEG" if image.format == "MPO" else str(image.format)


def check_whole(data: bytes, fmt: str) -> None:
    """Refuse a file that is cut short, or a PNG with a flipped bit, before any decoding.

    Raises:
        BadImageError: the end marker is missing, or a PNG chunk fails its checksum.
    """
    if fmt == "JPEG" and data.rfind(b"\xff\xd9") < 0:
        raise BadImageError("a truncated JPEG (no end-of-image marker)")
    if fmt == "PNG":
        _check_png(data)
    # One byte of grace: the padding after an odd last chunk is often left out, and harmless.
    if fmt == "WEBP" and struct.unpack_from("<I", data, 4)[0] + 7 > len(data):
        raise BadImageError("a truncated WebP (shorter than its header says)")


def _check_png(data: bytes) -> None:
    """Follow the chunks: length (4 bytes), kind (4), content, checksum of kind and content (4)."""
    start = len(_PNG_SIGNATURE)
    view = memoryview(data)
    while start + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, start)
        kind = bytes(view[start + 4 : start + 8])
        end = start + 8 + length
        if end + 4 > len(data):
            break
        # Only what decides pixels: a broken text chunk does no harm.
        decides_pixels = kind[:1].isupper() or kind == b"tRNS"
        if decides_pixels:
            (checksum,) = struct.unpack_from(">I", data, end)
            if zlib.crc32(view[start + 4 : end]) != checksum:
                name = kind.decode("ascii", "backslashreplace")
                raise BadImageError(f"a damaged PNG (chunk {name} fails its checksum)")
        if kind == b"IEND":
            return
        start = end + 4
    raise BadImageError("a truncated PNG (no IEND chunk)")


def _say_what_it_is(start: bytes, policy: DecodePolicy) -> str:
    """Say what a file is that is no image of an allowed format, from its first bytes."""
    lowered = start.lstrip().lower()
    for prefix, words in _NOT_IMAGES:
        if lowered.startswith(prefix):
            return words
    if lowered.startswith((b"<!doctype html", b"<html")) or b"<html" in lowered:
        return "an HTML page, not an image (a failed download?)"
    if start[4:8] == b"ftyp" and start[8:12] in {b"heic", b"heix", b"mif1", b"msf1"}:
        return "a HEIC image; convert it to one of " + ", ".join(policy.formats)
    if not any(start):
        return "a file of zero bytes only (a failed copy?), not an image"
    return f"not an image of an allowed format ({', '.join(policy.formats)})"


def in_words(error: BaseException) -> str:
    """Put an exception of a codec into one line."""
    text = " ".join(str(error).split())
    return text or type(error).__name__
