"""Whether a PNG is whole, and a PNG without what decides no pixel."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from bench.datasets.policy import BadImageError

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
# Adam7: first column, first row, column step, row step of each pass.
_PASSES: Final = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
)  # fmt: skip
_BLOCK: Final = 1 << 20  # bytes unpacked at a time: none is kept
_TEXT: Final = frozenset({b"tEXt", b"zTXt", b"iTXt"})
# Text that may say which way up the image is; Pillow reads it.
_ORIENTATION: Final = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")


class _Chunk(NamedTuple):
    """A chunk: its kind, and where its content begins and ends."""

    kind: bytes
    start: int
    end: int


def check_png(data: bytes) -> None:
    """Refuse a PNG that is cut short, has a flipped bit, or holds fewer rows than its header says.

    Raises:
        BadImageError: no end chunk, a chunk that fails its checksum, or too few rows.
    """
    view = memoryview(data)
    image_data, header = [], b""
    kind = b""
    for kind, start, end in _chunks(data):
        # Only what decides pixels: a broken text chunk does no harm.
        if kind[:1].isupper() or kind == b"tRNS":
            (checksum,) = struct.unpack_from(">I", data, end)
            if zlib.crc32(view[start - 4 : end]) != checksum:
                name = kind.decode("ascii", "backslashreplace")
                raise BadImageError(f"a damaged PNG (chunk {name} fails its checksum)")
        if kind == b"IHDR":
            header = data[start:end]
        if kind == b"IDAT":
            image_data.append(view[start:end])
    if kind != b"IEND":
        raise BadImageError("a truncated PNG (no IEND chunk)")
    _check_rows(image_data, header)


def without_metadata(data: bytes, *, keep_orientation: bool) -> bytes:
    """Leave out colour profile and text, which decide no pixel and may be of any size.

    Args:
        data: a PNG.
        keep_orientation: whether text that may say which way up the image is stays.
    """
    kept = [_SIGNATURE]
    for kind, start, end in _chunks(data):
        orients = keep_orientation and data[start:end].startswith(_ORIENTATION)
        if kind != b"iCCP" and (kind not in _TEXT or orients):
            kept.append(data[start - 8 : end + 4])
    return b"".join(kept)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """Follow the chunks, up to the last or the first that is cut.

    Each is length (4 bytes), kind (4), content, checksum of kind and content (4).
    """
    position = len(_SIGNATURE)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind = bytes(data[position + 4 : position + 8])
        end = position + 8 + length
        if end + 4 > len(data):
            return
        yield _Chunk(kind, position + 8, end)
        if kind == b"IEND":
            return
        position = end + 4


def _check_rows(image_data: list[memoryview], header: bytes) -> None:
    """Unpack the image data and count its bytes, to the end of its stream."""
    if len(header) < 13 or header[9] not in _CHANNELS:
        return  # Pillow has said so, or will
    expected, unpacked = _bytes_of_rows(header), 0
    stream = zlib.decompressobj()
    try:
        for part in image_data:
            waiting: bytes | memoryview = part
            while waiting and not stream.eof and unpacked <= expected:
                unpacked += len(stream.decompress(waiting, _BLOCK))
                waiting = stream.unconsumed_tail
    except zlib.error as error:
        raise BadImageError(f"a damaged PNG (image data does not unpack: {error})") from error
    if unpacked < expected:
        raise BadImageError(
            f"a truncated PNG (image data for {unpacked / expected:.0%} of its rows)"
        )
    # More than the rows need is unused, and may go on for ever.
    if not stream.eof and unpacked == expected:
        raise BadImageError("a truncated PNG (image data without its end)")


def _bytes_of_rows(header: bytes) -> int:
    """Count the bytes of all rows once unpacked, each with the byte that names its filter."""
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", header[:13])
    bits = depth * _CHANNELS[colour]
    if not interlace:
        return int(height * (1 + (width * bits + 7) // 8))
    total = 0
    for left, top, across, down in _PASSES:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total
