"""Whether the first picture of a GIF has all its pixels: Pillow leaves the rest in one colour."""

from __future__ import annotations

from typing import Final

from bench.datasets.policy import BadImageError

_EXTENSION, _IMAGE = 0x21, 0x2C
_MOST_CODES: Final = 4096
_MOST_BITS: Final = 12


def check_gif(data: bytes) -> None:
    """Refuse a GIF whose first picture ends early.

    Raises:
        BadImageError: fewer pixels than its size says.
    """
    try:
        descriptor = _first_image(data)
        width = int.from_bytes(data[descriptor + 5 : descriptor + 7], "little")
        height = int.from_bytes(data[descriptor + 7 : descriptor + 9], "little")
        start = descriptor + 10 + _table_bytes(data[descriptor + 9])
        codes = b"".join(_blocks(data, start + 1))
        pixels = _pixels(codes, data[start], width * height)
    except IndexError:
        raise BadImageError("a truncated GIF (its first picture never ends)") from None
    if pixels < width * height:
        raise BadImageError(f"a truncated GIF (data for {pixels} of {width * height} pixels)")


def _table_bytes(flags: int) -> int:
    """Size of the colour table that a packed field announces."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _first_image(data: bytes) -> int:
    """Find the first image descriptor."""
    position = 13 + _table_bytes(data[10])
    while data[position] != _IMAGE:
        if data[position] == _EXTENSION:
            position += 2
            while length := data[position]:
                position += 1 + length
        position += 1
    return position


def _blocks(data: bytes, position: int) -> list[bytes]:
    blocks = []
    while length := data[position]:
        blocks.append(data[position + 1 : position + 1 + length])
        position += 1 + length
    return blocks


def _pixels(data: bytes, first_bits: int, enough: int) -> int:
    """Count the pixels that LZW codes stand for, up to ``enough``; no pixel is made.

    A code stands for as many pixels as the code before it in the table's making, and one more.
    """
    clear = 1 << first_bits
    table = [1] * clear + [0, 0]
    width, previous, pixels = first_bits + 1, 0, 0
    bits = available = 0
    for byte in data:
        bits |= byte << available
        available += 8
        while available >= width:
            code = bits & ((1 << width) - 1)
            bits >>= width
            available -= width
            if code == clear:
                table, width, previous = table[: clear + 2], first_bits + 1, 0
                continue
            if code == clear + 1:
                return pixels
            if previous and len(table) < _MOST_CODES:
                table.append(previous + 1)
                if len(table) == 1 << width and width < _MOST_BITS:
                    width += 1
            if code >= len(table):
                return pixels
            previous = table[code]
            pixels += previous
            if pixels >= enough:
                return enough
    return pixels
