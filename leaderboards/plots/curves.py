"""Curves with bands over panels: one panel a series of conditions, one line a detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from leaderboards.plots.figure import legend_below, line_look, name_label, one_or_range, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Axis(NamedTuple):
    """A column that is drawn along an axis, and what it is in words with its unit."""

    column: str
    title: str


def curve_table(
    parts: Sequence[pd.DataFrame], columns: Sequence[str], place: str, value: str
) -> pd.DataFrame:
    """Put the points of all curves in one table, without those that have no value.

    A family of which one place alone is left is no curve, and is left out.

    Args:
        parts: Points, a frame a place on the axis.
        columns: The table's columns, in order; ``family`` among them.
        place: The column that says how far along the axis a point lies.
        value: The column that must be defined.
    """
    table = pd.concat(parts) if parts else pd.DataFrame(columns=list(columns))
    table = table[table[value].notna()]
    table = table[table.groupby("family")[place].transform("nunique") > 1]
    return table.reindex(columns=list(columns)).reset_index(drop=True)


def draw_curves(
    rows: pd.DataFrame, width: float, *, panel: str, x: Axis, y: Axis, guess: float | None = 0.5
) -> Figure:
    """Draw lines with 95% bands.

    Args:
        rows: Columns ``detector``, ``n_real``, ``n_fake``, ``basis``, the panel's, x and y, the latter with
            ``_lo`` and ``_hi``.
        width: Width of the figure in mm.
        panel: Column that names the panels.
        x: What goes to the right.
        y: What goes up, in [0, 1].
        guess: Value of guessing, drawn as a thin line; None where there is none.
    """
    names = list(dict.fromkeys(rows[panel]))
    detectors = list(dict.fromkeys(rows["detector"]))
    figure, axes = panels(len(names), width, 46, legend=detectors)
    for i, (one, name) in enumerate(zip(axes, names, strict=True)):
        of_panel = rows[rows[panel] == name]
        for j, detector in enumerate(detectors):
            points = of_panel[of_panel["detector"] == detector].sort_values(x.column, kind="stable")
            if points.empty:
                continue
            across, up, lo, hi = (
                points[column].to_numpy(dtype=np.float64)
                for column in (x.column, y.column, f"{y.column}_lo", f"{y.column}_hi")
            )
            look = line_look(j)
            (line,) = one.plot(across, up, label=name_label(detector), **look)
            line.set_gid(f"series-{i}-{j}")
            band = one.fill_between(across, lo, hi, color=look["color"], alpha=0.13, linewidth=0)
            band.set_gid(f"band-{i}-{j}")
        if guess is not None:
            one.axhline(guess, color="#808080", linewidth=0.5, zorder=0)
        one.set_title(name_label(name, 30))
        one.set_xlabel(x.title)
        one.set_ylim(-0.03, 1.03)
    figure.supylabel(y.title, fontsize=7)
    legend_below(figure, width)
    figure.suptitle(sizes_line(rows), fontsize=6)
    return figure


def sizes_line(rows: pd.DataFrame) -> str:
    """Say what a figure's numbers rest on: images, slices, interval."""
    real, fake = (one_or_range(rows[name]) for name in ("n_real", "n_fake"))
    basis = ""
    if {"basis", "n_slices"} <= set(rows.columns):
        kinds = " or ".join(dict.fromkeys(rows["basis"]))
        basis = f"; mean over {one_or_range(rows['n_slices'])} {kinds} slices"
    if "n_independent" in rows.columns:
        basis += f", {one_or_range(rows['n_independent'])} independent units"
    return f"n = {real} real, {fake} fake{basis};\nbands: 95% intervals"
