"""Whether a TIFF has all its strips or tiles, each as long as it must be: Pillow leaves the rest black."""

from __future__ import annotations

from typing import Any, Final

from PIL import Image

from bench.datasets.formats.jpeg import check_entropy_coded
from bench.datasets.policy import BadImageError

# Tags of TIFF 6.0.
_BITS, _COMPRESSION, _CHANNELS, _PLANAR = 258, 259, 277, 284
_STRIP_OFFSETS, _ROWS_A_STRIP, _STRIP_BYTES = 273, 278, 279
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES = 322, 323, 324, 325
_JPEG_TABLES = 347
_UNCOMPRESSED, _JPEG = 1, 7
_SEPARATE: Final = 2  # planes, one a channel


def check_tiff(data: bytes, image: Image.Image) -> None:
    """Refuse a TIFF with too few strips or tiles, too short ones, or cut JPEG data in one.

    Args:
        data: the encoded file.
        image: the same, opened.

    Raises:
        BadImageError: says what is missing.
    """
    tags: Any = getattr(image, "tag_v2", {})
    tiled = _TILE_OFFSETS in tags
    offsets = _tuple(tags.get(_TILE_OFFSETS if tiled else _STRIP_OFFSETS))
    sizes = _tuple(tags.get(_TILE_BYTES if tiled else _STRIP_BYTES))
    width, height = tags.get(256, 0), tags.get(257, 0)
    channels = tags.get(_CHANNELS, 1)
    planes = channels if tags.get(_PLANAR) == _SEPARATE else 1
    if tiled:
        across, down = tags.get(_TILE_WIDTH, width), tags.get(_TILE_HEIGHT, height)
    else:
        across, down = width, min(tags.get(_ROWS_A_STRIP, height), height)
    if not (across and down and offsets):
        return  # Pillow will say so
    needed = -(-width // across) * -(-height // down) * planes
    if len(offsets) < needed:
        part = "tiles" if tiled else "strips"
        raise BadImageError(f"a truncated TIFF ({len(offsets)} of its {needed} {part})")
    if tags.get(_COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED and sizes and not tiled:
        bits = sum(_tuple(tags.get(_BITS, 1)))
        bits = bits if len(_tuple(tags.get(_BITS, 1))) == channels else bits * channels
        if sum(sizes) < height * ((width * bits) // 8):
            raise BadImageError("a truncated TIFF (its strips are shorter than its rows)")
    if tags.get(_COMPRESSION) == _JPEG:
        tables = _tables(tags.get(_JPEG_TABLES, b""))
        for offset, size in zip(offsets, sizes, strict=False):
            check_entropy_coded(b"\xff\xd8" + tables + data[offset + 2 : offset + size])


def _tuple(value: Any) -> tuple[int, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _tables(stream: bytes) -> bytes:
    """Take the tables that all strips share out of the JPEG stream they are kept in."""
    return stream.removeprefix(b"\xff\xd8").removesuffix(b"\xff\xd9")
