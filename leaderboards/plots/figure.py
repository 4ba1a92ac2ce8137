"""What all figures share: size, style, palette, names that cannot break a file."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MM: Final = 1 / 25.4  # inches
COLUMN, PAGE = 88, 180  # widths of one and of two columns of a journal, in mm
# Okabe and Ito (2008), without its yellow, which white paper swallows, and ordered so that neighbours differ
# in gray too. Black stands for the ink, whatever the ground.
PALETTE: Final = ("#000000", "#0072b2", "#e69f00", "#009e73", "#56b4e9", "#d55e00", "#cc79a7")
MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
DASHES: Final = ("-", "--", "-.", ":")
# Fakes are dark and full, reals light and hatched: apart in gray and for the colour-blind.
FAKE_COLOUR, REAL_COLOUR = "#0072b2", "#e69f00"
# Even in lightness from dark to light, the same for every kind of colour vision.
MAP: Final = "cividis"
_STYLE: Final[Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.0,
    "axes.titlesize": 7.0,
    "axes.labelsize": 7.0,
    "xtick.labelsize": 6.0,
    "ytick.labelsize": 6.0,
    "legend.fontsize": 6.0,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.grid": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.2,
    "hatch.linewidth": 0.5,
    # Names are data: a dollar sign opens no formula.
    "text.parse_math": False,
    "text.usetex": False,
    # The same bytes each time, with the letters inside the file.
    "svg.hashsalt": "detector-bench",
    "pdf.fonttype": 42,
    "path.simplify": False,
}


@contextlib.contextmanager
def style(*, outlines: bool = True) -> Iterator[None]:
    """Draw and write in one style, whatever the settings of the machine.

    Args:
        outlines: Whether an SVG holds the outlines of its letters, or text in a font of the reader's.
    """
    import matplotlib as mpl  # noqa: PLC0415  (slow to import)

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        mpl.rcParams["svg.fonttype"] = "path" if outlines else "none"
        yield


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure.

    Args:
        width: Inches.
        height: Inches.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415  (slow to import)

    arguments: dict[str, Any] = {"figsize": (width, height), "layout": "constrained"}
    return Figure(**arguments)


def panels(
    n: int,
    width: float,
    height: float,
    *,
    least: float = 42,
    legend: Iterable[str] = (),
    stacked: bool = False,
) -> tuple[Figure, list[Axes]]:
    """Make a figure of small panels that share their scales.

    Args:
        n: Number of panels.
        width: Width of the figure in mm.
        height: Height of one row of panels in mm.
        least: Least width of a panel in mm.
        legend: Names that a legend below will hold, to leave room for.
        stacked: Whether each of them has a line of its own.

    Returns:
        The figure and n axes; a frame's ``gid`` is ``frame-<i>``.
    """
    across = max(1, min(n, int(width // least)))
    down = math.ceil(n / across)
    labels = dict.fromkeys(name_label(name) for name in legend)
    lines = math.ceil(len(labels) / (1 if stacked else _legend_columns(labels, width)))
    figure = new_figure(width * MM, (height * down + 4 * lines) * MM)
    grid = figure.subplots(down, across, squeeze=False, sharex=False, sharey=True)
    axes = list(grid.flat)
    for i, one in enumerate(axes):
        one.patch.set_gid(f"frame-{i}")
        one.set_visible(i < n)
    return figure, axes[:n]


def line_look(index: int) -> dict[str, Any]:
    """Give colour, marker and dashes of a series: no two of the first 28 are alike, in gray neither."""
    return {
        "color": PALETTE[index % len(PALETTE)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": DASHES[(index + index // len(PALETTE)) % len(DASHES)],
    }


def name_label(text: object, limit: int = 32) -> str:
    r"""Write a name so that it stands on one line: controls spelt out, the middle of a long one left out.

    Example:
        >>> name_label("a" * 40, 11)
        'aaaaa…aaaaa'
        >>> name_label("line" + chr(10) + "break")
        'line\\nbreak'
    """
    plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))
    if len(plain) <= limit:
        return plain
    half = (limit - 1) // 2
    return f"{plain[:half]}…{plain[-half:]}"


def _legend_columns(labels: Collection[str], width: float) -> int:
    longest = max(map(len, labels), default=1)
    return max(1, min(len(labels), int(width / (10 + 1.25 * longest))))


def legend_below(figure: Figure, width: float, *, stacked: bool = False) -> None:
    """Put one legend of all series under the panels, in as many columns as fit, or each on a line."""
    handles: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        figure.legend(
            list(handles.values()),
            list(handles),
            loc="outside lower center",
            ncols=1 if stacked else _legend_columns(handles, width),
            handlelength=3,
        )


def one_or_range(values: Any) -> str:
    """Write the one number that occurs, or the span of those that do.

    Example:
        >>> one_or_range([5, 5]), one_or_range([5, 12])
        ('5', '5 to 12')
    """
    numbers = sorted({int(value) for value in values})
    if not numbers:
        return "0"
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
