"""A matrix of shares as a shaded table: the number in every cell, its interval where there is room."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from leaderboards.plots.figure import MAP, MM, name_label, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Cell = tuple[float, float, float, str]  # value, ends of its interval, mark
_NO_NUMBER: Cell = (math.nan, math.nan, math.nan, "")
_ROOM = 11.0  # mm a cell needs for its interval


def draw_matrix(
    cells: Mapping[tuple[str, str], Cell],
    width: float,
    *,
    titles: tuple[str, str, str],
    names: Callable[[str], str] = str,
) -> Figure:
    """Draw one matrix of shares over the whole figure.

    Args:
        cells: Row and column to value in [0, 1], interval and mark; what is missing or nan is "n/a".
        width: Width of the figure in mm.
        titles: What the rows, the columns and the values are, with their units and n.
        names: How a row or a column is written.
    """
    rows, columns = (list(dict.fromkeys(key[i] for key in cells)) for i in (0, 1))
    longest = max((len(name_label(names(c), 24)) for c in columns), default=0)
    figure = new_figure(width * MM, (24 + 7.5 * len(rows) + 1.0 * longest) * MM)
    axes = figure.subplots()
    axes.patch.set_gid("frame-0")
    room = (width - 40) / max(1, len(columns))
    fill_matrix(axes, cells, (rows, columns), room=room)
    axes.set_xticks(range(len(columns)), [name_label(names(c), 24) for c in columns])
    axes.set_yticks(range(len(rows)), [name_label(names(r), 24) for r in rows])
    axes.tick_params(axis="x", rotation=0 if room > 1.2 * longest else 90)
    axes.set_ylabel(titles[0])
    axes.set_xlabel(titles[1])
    bar = figure.colorbar(axes.collections[0], ax=axes, fraction=0.05, pad=0.02)
    bar.set_label(titles[2])
    return figure


def fill_matrix(
    axes: Axes,
    cells: Mapping[tuple[str, str], Cell],
    order: tuple[Sequence[str], Sequence[str]],
    *,
    room: float,
) -> None:
    """Shade the cells of axes and write their numbers; a cell's text has the gid ``cell-<row>-<column>``."""
    from matplotlib import colormaps  # noqa: PLC0415  (slow to import)

    rows, columns = order
    values = np.array([[cells.get((r, c), _NO_NUMBER)[0] for c in columns] for r in rows])
    edges = (np.arange(len(columns) + 1) - 0.5, np.arange(len(rows) + 1) - 0.5)
    mesh = axes.pcolormesh(
        *edges,
        np.ma.masked_invalid(values),
        cmap=colormaps[MAP].resampled(33),
        vmin=0,
        vmax=1,
        edgecolors="white",
        linewidth=0.8,
    )
    mesh.set_gid(f"cells-of-{axes.patch.get_gid()}")
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            value, lo, hi, mark = cells.get((row, column), _NO_NUMBER)
            text = "n/a" if math.isnan(value) else f"{value:.2f}{mark}"
            if room >= _ROOM and not math.isnan(lo):
                text += f"\n{lo:.2f}–{hi:.2f}"
            # Not pure black: that is the ink, which follows the ground.
            colour = "#808080" if math.isnan(value) else "#111111" if value > 0.55 else "#ffffff"
            drawn = axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=5.5)
            drawn.set_gid(f"cell-{i}-{j}")
