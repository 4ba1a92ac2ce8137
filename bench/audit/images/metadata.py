"""The parts of an image file that hold no pixels: text, EXIF, XMP, profiles, content credentials."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

_PNG: Final = b"\x89PNG\r\n\x1a\n"
# Text that is inflated from a compressed chunk: what software writes is shorter, a bomb is longer.
_MOST_TEXT: Final = 1 << 20


class Block(NamedTuple):
    """One block of metadata.

    Attributes:
        kind: ``exif``, ``icc``, ``xmp``, ``text``, ``credentials`` or ``other``.
        content: Content of the block; text is inflated.
    """

    kind: str
    content: bytes


def metadata_blocks(data: bytes) -> list[Block]:
    """List the blocks of metadata of a JPEG, PNG, WebP or ISO media file; none for other formats.

    A damaged block ends the list: what stands before it still counts.

    Args:
        data: The encoded file.
    """
    if data.startswith(b"\xff\xd8"):
        return list(_of_jpeg(data))
    if data.startswith(_PNG):
        return list(_of_png(data))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return list(_of_webp(data))
    if data[4:8] == b"ftyp":
        return list(_of_iso(data))
    if data[:4] in (b"II*\0", b"MM\0*"):
        return [Block("exif", data[: 1 << 16])]
    return []


def _of_jpeg(data: bytes) -> Iterator[Block]:
    """Walk the segments before the first scan."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
            continue
        if marker in (0xDA, 0xD9):
            return
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            place += 2
            continue
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        content = data[place + 4 : place + 2 + length]
        if marker == 0xFE:
            yield Block("text", content)
        elif 0xE1 <= marker <= 0xEF:
            yield Block(_jpeg_kind(marker, content), content)
        place += 2 + max(length, 2)


def _jpeg_kind(marker: int, content: bytes) -> str:
    if marker == 0xE1:
        return "exif" if content.startswith(b"Exif\0") else "xmp"
    if marker == 0xE2 and content.startswith(b"ICC_PROFILE"):
        return "icc"
    if marker == 0xEB and b"jumb" in content[:64]:
        return "credentials"
    return "other"


def _of_png(data: bytes) -> Iterator[Block]:
    """Walk all chunks: text may stand behind the pixels."""
    place = len(_PNG)
    while place + 8 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        name = data[place + 4 : place + 8]
        content = data[place + 8 : place + 8 + length]
        if name == b"tEXt":
            yield Block("text", content)
        elif name in (b"zTXt", b"iTXt"):
            text = _inflated(name, content)
            yield Block("xmp" if text.startswith(b"XML:com.adobe.xmp") else "text", text)
        elif name == b"eXIf":
            yield Block("exif", content)
        elif name == b"iCCP":
            yield Block("icc", content)
        elif name == b"caBX":
            yield Block("credentials", content)
        elif name == b"IEND":
            return
        place += 12 + length


def _inflated(name: bytes, content: bytes) -> bytes:
    keyword, _, rest = content.partition(b"\0")
    if name == b"zTXt":
        packed = rest[1:]
    elif rest[:1] == b"\x01":
        packed = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    else:
        return content
    try:
        return keyword + b"\0" + zlib.decompressobj().decompress(packed, _MOST_TEXT)
    except zlib.error:
        return content


def _of_webp(data: bytes) -> Iterator[Block]:
    kinds = {b"EXIF": "exif", b"XMP ": "xmp", b"ICCP": "icc", b"C2PA": "credentials"}
    place = 12
    while place + 8 <= len(data):
        name, length = (
            data[place : place + 4],
            int.from_bytes(data[place + 4 : place + 8], "little"),
        )
        if name in kinds:
            yield Block(kinds[name], data[place + 8 : place + 8 + length])
        place += 8 + length + length % 2


def _of_iso(data: bytes) -> Iterator[Block]:
    """Look for well-known beginnings in an AVIF: its boxes nest too freely for a short walk."""
    for kind, start in (("exif", b"Exif\0\0"), ("xmp", b"<x:xmpmeta"), ("credentials", b"jumb")):
        place = data.find(start)
        if place >= 0:
            yield Block(kind, data[place : place + (1 << 16)])
