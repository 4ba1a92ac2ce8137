r"""How wide LaTeX sets a text, and how a wide table is cut so that every part fits ``\textwidth``.

Widths are estimates from above for Computer Modern; the narrowest page that counts is that of the class
``article`` at 10 pt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

TEXT_WIDTH: Final = 345.0  # pt
COLUMN_GAP: Final = 8.0  # pt: twice \tabcolsep
# Sizes of type, in parts of 10 pt.
SMALL: Final = 0.92
SCRIPT: Final = 0.72
# Lines that a page holds beside a caption of some length.
MOST_LINES: Final = 34
_SPELT_OUT = 36.0  # pt of "U+753B", which stands for a letter that pdfLaTeX lacks
_BREAK = re.compile(r"(?<=[\s_./,;:()=-])")


def text_width(text: str, size: float = SMALL) -> float:
    """Estimate the width of plain text in pt."""
    return size * sum(_char_width(char) for char in text)


def _char_width(char: str) -> float:
    if not char.isascii():
        return _SPELT_OUT if ord(char) > 0xFF or not char.isalpha() else 8.0
    if char.isdigit():
        return 5.1
    if char in "iljtfr.,:;'!|[]() ":
        return 4.0
    if char in "mwMW@%&":
        return 10.4
    return 7.9 if char.isupper() or char in "<>=+~^" else 5.7


def stacked(text: str, limit: float) -> list[str]:
    """Cut a name into lines that fit a width: after its marks where it can be, anywhere else otherwise.

    Args:
        text: Plain text.
        limit: Width in pt.

    Example:
        >>> stacked("genimage-cnn.realesrgan", 70)
        ['genimage-cnn.', 'realesrgan']
    """
    lines = [""]
    for part in _BREAK.split(text):
        if lines[-1] and text_width(lines[-1] + part) > limit:
            lines.append("")
        for char in part:
            if lines[-1] and text_width(lines[-1] + char) > limit:
                lines.append("")
            lines[-1] += char
    return lines


def pack(widths: Sequence[float], label: float) -> list[list[int]]:
    """Deal columns out to blocks that each fit the page beside the column of labels.

    Args:
        widths: Width of each column, in pt.
        label: Width of the column of labels.

    Returns:
        Positions of the columns by block, in order, as even as the fewest blocks allow.
    """
    room = TEXT_WIDTH - label - COLUMN_GAP
    blocks = _greedy(widths, room)
    # The least room that needs no more blocks spreads the columns evenly.
    for share in (0.5, 0.6, 0.7, 0.8, 0.9):
        even = _greedy(widths, room * share)
        if len(even) == len(blocks):
            return even
    return blocks


def _greedy(widths: Sequence[float], room: float) -> list[list[int]]:
    blocks: list[list[int]] = [[]]
    used = 0.0
    for i, width in enumerate(widths):
        if blocks[-1] and used + width + COLUMN_GAP > room:
            blocks.append([])
            used = 0.0
        blocks[-1].append(i)
        used += width + COLUMN_GAP
    return blocks


def split_lines(heights: Sequence[int]) -> list[list[int]]:
    """Deal rows out to parts that each fit a page.

    Args:
        heights: Lines that each row takes.

    Returns:
        Positions of the rows by part, in order.
    """
    parts: list[list[int]] = [[]]
    used = 0
    for i, lines in enumerate(heights):
        if parts[-1] and used + lines > MOST_LINES:
            parts.append([])
            used = 0
        parts[-1].append(i)
        used += lines
    return parts
