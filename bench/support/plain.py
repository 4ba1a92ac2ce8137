"""Text of anybody's spelt so that it steers neither a terminal nor a CI system that reads the log."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Controls, invisible marks that reorder a line, lone surrogates, line and paragraph separators.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# How a line of a log becomes a command to GitHub's runner: "::" at its start, "##[" anywhere.
_LONGEST = 120  # bytes of a name that any file system takes, with something added
_AT_START = re.compile(r"^(\s*):(?=:)")


def one_line(text: str) -> str:
    r"""Spell out every character that is invisible or ends a line, and what would be a workflow command.

    Examples:
        >>> one_line("a\n::error::b")
        'a\\n::error::b'
        >>> one_line("::stop-commands::x")
        '\\x3a:stop-commands::x'
    """
    return disarmed("".join(_visible(char) for char in text))


def lines(text: str) -> str:
    """Spell text of several lines of our own: their breaks stay, each line is as in :func:`one_line`."""
    return "\n".join(one_line(line) for line in text.split("\n"))


def disarmed(line: str) -> str:
    """Spell out the mark that would make a line a command to a CI system's log reader."""
    return _AT_START.sub(r"\1\\x3a", line).replace("##[", "#\\x23[")


def _visible(char: str) -> str:
    if unicodedata.category(char) not in _INVISIBLE:
        return char
    code = ord(char)
    if char in _NAMED:
        return _NAMED[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def path_name(name: str) -> str:
    r"""Make one component of a path of anybody's name: a name that is one already stays as it is.

    Of any other, what no path should hold is replaced, and a digest keeps two names apart.

    Examples:
        >>> path_name("cross-generator")
        'cross-generator'
        >>> path_name("../escaped")
        'escaped-75a9a6'
    """
    plain = name == one_line(name) and not set('/\\:*?"<>|') & set(name)
    if plain and name.strip(". ") and name[0] not in "-~ " and len(name.encode()) <= _LONGEST:
        return name
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:6]
    words = re.sub(r"[^A-Za-z0-9.=,()_-]+", "_", name).strip("._-")[:60]
    return f"{words}-{digest}" if words else digest
