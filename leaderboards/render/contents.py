"""A table of contents whose links are the anchors that GitHub and its like give to headings."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence

_BACKSLASHED = re.compile(r"\\([!-/:-@\[-`{-~])")


def contents(lines: Sequence[str], before: Sequence[str]) -> list[str]:
    """List the second-level headings of a document with a link to each.

    Args:
        lines: The lines behind the list; what foreign names hold is escaped in them.
        before: The lines before it, whose headings take their anchors first.
    """
    title = "## Contents"
    used: dict[str, int] = {}
    entries = []
    for line in (*before, title, *lines):
        if not line.startswith("#"):
            continue
        level, _, heading = line.partition(" ")
        anchor = _anchor(heading, used)
        if level == "##" and line != title:
            # What stands in brackets links nowhere twice: the heading's own escapes hold here too.
            entries.append(f"- [{heading}](#{anchor})")
    return [title, "", *entries, ""] if entries else []


def _anchor(heading: str, used: dict[str, int]) -> str:
    """Name a heading's anchor: lower case, spaces as hyphens, no other punctuation; numbered if repeated."""
    text = html.unescape(_BACKSLASHED.sub(r"\1", heading)).lower()
    kept = "".join(
        char
        for char in text
        if char in "_- " or char.isalnum() or unicodedata.category(char).startswith("M")
    )
    slug = kept.replace(" ", "-")
    repeats = used.get(slug, 0)
    used[slug] = repeats + 1
    return f"{slug}-{repeats}" if repeats else slug
