"""An empty matplotlib figure, made without pyplot and its global state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure.

    Args:
        width: Inches.
        height: Inches.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415  (slow to import)

    arguments: dict[str, Any] = {"figsize": (width, height), "layout": "constrained"}
    return Figure(**arguments)
