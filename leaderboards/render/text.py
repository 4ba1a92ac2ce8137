"""Markdown that foreign names cannot break: escaping, numbers and a table writer of our own."""

from __future__ import annotations

import math
import re
import textwrap
import unicodedata
from collections.abc import Callable, Sequence

UNDEFINED = "n/a"

_NAMED_CONTROLS = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_BLOCK_START = re.compile(r"^(\d*)([-+=#.)])")
_OPENS_BLOCK = re.compile(r"(\d{1,9}[.)]|[-+]|#{1,6})(\s|$)|(=+|-+)\s*$")
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
    return _escape_start(escape(text))


def rate(value: float) -> str:
    """Write a rate, or a difference of rates, with three decimals; nan as "n/a"."""
    if math.isnan(value):
        return UNDEFINED
    # Rounding first and adding zero keeps "-0.000" off the board; numpy's own rounding differs at ties.
    return f"{round(float(value), 3) + 0.0:.3f}"


def with_interval(value: float, lo: float, hi: float, show: Callable[[float], str] = rate) -> str:
    """Write a value with its 95% interval.

    Example:
        >>> with_interval(0.912, 0.88, 0.94)
        '0.912 [0.880, 0.940]'
    """
    if math.isnan(value) or math.isnan(lo):
        return show(value)
    return f"{show(value)} [{show(lo)}, {show(hi)}]"


def wrapped(text: str, indent: str = "", first: str | None = None, width: int = 100) -> list[str]:
    """Break an escaped paragraph into lines that Markdown joins again.

    Args:
        text: Escaped text on one line.
        indent: What every line but the first begins with.
        first: What the first line begins with; None takes the indent.
        width: Columns of a line, unless a single word is longer.
    """
    lines = textwrap.wrap(text, width - len(indent), break_long_words=False, break_on_hyphens=False)
    # A word that a break brings to the start of a line must not open a list, a heading or a rule there.
    rest = [_escape_start(line) if _OPENS_BLOCK.match(line) else line for line in lines[1:]]
    return [(indent if first is None else first) + "".join(lines[:1]), *(indent + r for r in rest)]


def _escape_start(line: str) -> str:
    return _BLOCK_START.sub(r"\1\\\2", line, count=1)


def defined_columns(
    header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1
) -> tuple[list[str], list[list[str]], list[str]]:
    """Leave out the columns of numbers in which nothing is defined.

    Args:
        header: Column titles.
        rows: Cells.
        left: How many leading columns are text, which always stay.

    Returns:
        The header and the rows that stay, and the titles left out.

    Example:
        >>> defined_columns(["Detector", "AUC", "EER"], [["a", "0.9", "n/a"], ["b", "n/a", "n/a"]])
        (['Detector', 'AUC'], [['a', '0.9'], ['b', 'n/a']], ['EER'])
    """
    empty = {
        i
        for i in range(left, len(header))
        if rows and all(row[i] in (UNDEFINED, "") for row in rows)
    }
    kept = [i for i in range(len(header)) if i not in empty]
    return (
        [header[i] for i in kept],
        [[row[i] for i in kept] for row in rows],
        [header[i] for i in sorted(empty)],
    )


def section(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: int = 1,
    note: Sequence[str] = (),
) -> list[str]:
    """Write a headed table without the columns in which nothing is defined; no lines where none is.

    Args:
        title: Heading, escaped.
        header: Column titles, escaped.
        rows: Cells, escaped.
        left: How many leading columns are text.
        note: Lines to stand under the table.
    """
    titles, cells, empty = defined_columns(header, rows, left)
    if not rows or len(titles) <= left:
        return []
    lines = [f"## {title}", "", *table(titles, cells, left)]
    if empty:
        lines += [f"Not shown, n/a for every line: {', '.join(empty)}.", ""]
    return [*lines, *note]


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
