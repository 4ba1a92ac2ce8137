"""Markdown that foreign names cannot break: escaping, numbers and a table writer of our own."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence

UNDEFINED = "n/a"

_NAMED_CONTROLS = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_BLOCK_START = re.compile(r"^(\d*)([-+=#.)])")
# Entities rather than backslashes where renderers disagree: a table is split at "|" before
# backslashes are read, and not every renderer knows "\<".
_MARKUP = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    "|": "&#124;",
    **{char: "\\" + char for char in "\\`*[]~$"},
}


def visible(text: str) -> str:
    """Spell out every control, bidirectional mark and lone surrogate of a text.

    A name must not drive a terminal, reorder a line, or end one.
    """
    return "".join(_visible(char) for char in text)


def _visible(char: str) -> str:
    if unicodedata.category(char) not in _INVISIBLE:
        return char
    code = ord(char)
    if char in _NAMED_CONTROLS:
        return _NAMED_CONTROLS[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escape(text: str) -> str:
    """Escape text so that Markdown shows it as it is, on one line, in a table cell or a sentence."""
    text = visible(text)
    if not text:
        return "(empty)"
    parts = [_MARKUP.get(char, char) for char in text]
    for i, char in enumerate(text):
        # Between letters an underscore is literal: stable_diffusion_v_1_4 stays readable.
        inside = 0 < i < len(text) - 1 and text[i - 1].isalnum() and text[i + 1].isalnum()
        if char == "_" and not inside:
            parts[i] = "\\_"
    for end in (0, -1):
        if parts[end] == " ":
            parts[end] = "&#32;"
    return "".join(parts).replace("://", "&#58;//").replace("www.", "www&#46;")


def escape_line(text: str) -> str:
    """Escape text that opens a line, where "-", "#" or "1." would start a block."""
    return _BLOCK_START.sub(r"\1\\\2", escape(text), count=1)


def rate(value: float) -> str:
    """Write a rate, or a difference of rates, with three decimals; nan as "n/a"."""
    if math.isnan(value):
        return UNDEFINED
    # Rounding first and adding zero keeps "-0.000" off the board.
    return f"{round(value, 3) + 0.0:.3f}"


def with_interval(value: float, lo: float, hi: float, show: Callable[[float], str] = rate) -> str:
    """Write a value with its 95% interval.

    Example:
        >>> with_interval(0.912, 0.88, 0.94)
        '0.912 [0.880, 0.940]'
    """
    if math.isnan(value) or math.isnan(lo):
        return show(value)
    return f"{show(value)} [{show(lo)}, {show(hi)}]"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Lay out a pipe table, padded so that the raw text reads well too.

    Args:
        header: Column titles, escaped.
        rows: Cells, escaped.
        left: How many leading columns are text; the others are aligned right.

    Returns:
        Lines, with an empty one at the end.
    """
    widths = [max(3, *(len(line[i]) for line in (header, *rows))) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return [line(header), line(rule), *(line(cells) for cells in rows), ""]
