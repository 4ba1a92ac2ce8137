"""Figures inside a page: SVG without what would meet the page's own names, styles or ground."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Final

from bench.results.figures.drawing import figure_bytes
from leaderboards.plots.figure import style

if TYPE_CHECKING:
    import pandas as pd

    from leaderboards.plots.evidence import Plot

_INK: Final = "#000000"
_FONTS: Final = "'DejaVu Sans', Verdana, sans-serif"
_WIDTH: Final = 110.0  # mm: two figures beside each other on a screen


def inline_svg(plot: Plot, rows: pd.DataFrame, prefix: str, title: str) -> str:
    """Draw a figure as an ``<svg>`` element for a page.

    Args:
        plot: Kind of the figure.
        rows: What it draws.
        prefix: What ids begin with, so that no two figures share one.
        title: What the figure shows, for a screen reader.

    Returns:
        Markup with escaped text; black is the page's ink, the ground is the page's own.
    """
    # Letters as letters: they can be read aloud, searched and enlarged, and weigh little.
    with style(outlines=False):
        content = figure_bytes(plot.draw(rows, _WIDTH), "svg", transparent=True)
    # Made by matplotlib a moment ago, without entities of anyone else's.
    root = ET.fromstring(content)  # noqa: S314
    for parent in list(root.iter()):
        for child in list(parent):
            if _plain(child.tag) in ("metadata", "style"):
                parent.remove(child)
    for node in root.iter():
        node.tag = _plain(node.tag)
        node.attrib = {_plain(k): _value(_plain(k), v, prefix) for k, v in node.attrib.items()}
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.attrib |= {"role": "img", "aria-labelledby": f"{prefix}title"}
    head = ET.Element("title", {"id": f"{prefix}title"})
    head.text = title
    root.insert(0, head)
    return ET.tostring(root, encoding="unicode")


def _plain(name: str) -> str:
    return name.rpartition("}")[2]


def _value(name: str, value: str, prefix: str) -> str:
    """Give an attribute's value: ids with their prefix, black as the page's ink."""
    if name == "id":
        return prefix + value
    if name == "href" and value.startswith("#"):
        return f"#{prefix}{value[1:]}"
    value = value.replace("url(#", f"url(#{prefix}")
    if name == "style":
        value = value.replace(_INK, "currentColor").replace("'DejaVu Sans'", _FONTS)
    return value
