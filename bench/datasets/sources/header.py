"""What the first bytes of a file say, and whether all its pixels are there."""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from typing import BinaryIO, Final

from PIL import Image, ImageFile, UnidentifiedImageError

from bench.datasets.formats.gif import check_gif
from bench.datasets.formats.jpeg import check_jpeg
from bench.datasets.formats.png import check_png, without_metadata
from bench.datasets.formats.quiet_tiff import silence_libtiff
from bench.datasets.formats.raw import refuse_raw
from bench.datasets.formats.tiff import check_tiff
from bench.datasets.policy import DEFAULT, BadImageError, DecodePolicy

# Pillow warns of odd metadata on the user's screen, without a file's name; it decides no pixel.
warnings.filterwarnings("ignore", module=r"PIL\.")

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
# Formats whose own checks prove that all pixels are there; of the others only decoding does.
_COUNTED: Final = frozenset({"JPEG", "PNG"})

# First bytes of what is often found under an image's name, and what to tell its owner.
_NOT_IMAGES: Final = (
    (b"version https://git-lfs", "a Git LFS pointer, not the image itself (run `git lfs pull`)"),
    (b"%pdf", "a PDF document, not an image"),
    (b"pk\x03\x04", "a ZIP archive, not an image"),
    (b"\x1f\x8b", "a gzip archive, not an image"),
    (b"<?xml", "an XML or SVG document, not a raster image"),
    (b"<svg", "an SVG document, not a raster image"),
)


# Formats whose directory may be lost with the end of the file.
_CUT_HEADERS: Final = ((b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"ftypavif", "AVIF"))
_HEIF_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
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
    if not start:
        raise BadImageError("an empty file (0 bytes)")
    # The policy's limit holds instead: Pillow's own lies below what cameras make.
    Image.MAX_IMAGE_PIXELS = None
    silence_libtiff()
    try:
        refuse_raw(stream)
        image = _opened(stream, policy)
    except UnidentifiedImageError:
        raise BadImageError(_say_what_it_is(start, policy)) from None
    except (MemoryError, BadImageError):
        raise
    except Exception as error:  # parsers raise many kinds on hostile headers
        raise BadImageError(f"a damaged header ({in_words(error)})") from error
    width, height = image.size
    if width * height > policy.max_pixels:
        raise BadImageError(
            f"{width} x {height} pixels, more than the limit of {policy.max_pixels}"
        )
    return image


def _opened(stream: BinaryIO, policy: DecodePolicy) -> Image.Image:
    """Open an image; a PNG that Pillow refuses is tried without what decides no pixel.

    Pillow refuses text and profiles of more than a MiB, whatever the pixels are like.
    """
    stream.seek(0)
    try:
        return Image.open(stream, formats=policy.formats)
    except (UnidentifiedImageError, MemoryError):
        raise
    except Exception:
        stream.seek(0)
        if stream.read(len(_PNG_SIGNATURE)) != _PNG_SIGNATURE:
            raise
        stream.seek(0)
        data = stream.read()
        try:
            slim = without_metadata(data, keep_orientation=True)
            return Image.open(io.BytesIO(slim), formats=policy.formats)
        except ValueError:
            slim = without_metadata(data, keep_orientation=False)
            return Image.open(io.BytesIO(slim), formats=policy.formats)


def read_header(source: bytes | BinaryIO, policy: DecodePolicy = DEFAULT) -> Header:
    """Read format and size; bytes in memory are checked for missing and damaged pixels as well.

    Raises:
        BadImageError: as `open_image` and `check_whole`.
    """
    image = open_image(source, policy)
    header = Header(true_format(image), *image.size)
    if isinstance(source, bytes):
        check_whole(source, image)
        if header.format not in _COUNTED:
            _check_decodes(image)
    return header


def _check_decodes(image: Image.Image) -> None:
    # Another library may have switched this on for the process: half an image is damage.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # a codec may raise nearly anything on damaged data
        raise BadImageError(f"cannot be decoded ({in_words(error)})") from error


def true_format(image: Image.Image) -> str:
    """Name the format of an opened image.

    Pillow calls a JPEG that carries a second picture, as many phones write, MPO: it is a JPEG.
    """
    return "JPEG" if image.format == "MPO" else str(image.format)


def check_whole(data: bytes, image: Image.Image) -> None:
    """Refuse a file that is cut short or damaged where Pillow would decode it all the same.

    Args:
        data: the encoded file.
        image: the same, opened.

    Raises:
        BadImageError: an end marker, rows, scans or pixels are missing, or a checksum fails.
    """
    match true_format(image):
        case "JPEG":
            check_jpeg(data)
        case "PNG":
            check_png(data)
        case "GIF":
            check_gif(data)
        case "TIFF":
            check_tiff(data, image)
        # One byte of grace: the padding after an odd last chunk is often left out, and harmless.
        case "WEBP" if struct.unpack_from("<I", data, 4)[0] + 7 > len(data):
            raise BadImageError("a truncated WebP (shorter than its header says)")


def _say_what_it_is(start: bytes, policy: DecodePolicy) -> str:
    """Say what a file is that is no image of an allowed format, from its first bytes."""
    lowered = start.lstrip().lower()
    for prefix, words in _NOT_IMAGES:
        if lowered.startswith(prefix):
            return words
    if lowered.startswith((b"<!doctype html", b"<html")) or b"<html" in lowered:
        return "an HTML page, not an image (a failed download?)"
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS:
        return "a HEIC image; convert it to one of " + ", ".join(policy.formats)
    if not any(start):
        return "a file of zero bytes only (a failed copy?), not an image"
    for signature, name in _CUT_HEADERS:
        if start.startswith(signature, 4 if signature.startswith(b"ftyp") else 0):
            return f"a truncated or damaged {name}, or one of a kind that is not known"
    return f"not an image of an allowed format ({', '.join(policy.formats)})"


def in_words(error: BaseException) -> str:
    """Put an exception of a codec into one line."""
    text = " ".join(str(error).split())
    return text or type(error).__name__
