"""``bench plot``: one figure of a run, ready for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import completion, options
from bench.cli.examples import examples
from bench.cli.output import say
from bench.cli.values import check_choice
from bench.errors import BenchError
from bench.results.figures.kinds import plot_names
from bench.results.formats import choices

KINDS = plot_names()
EXAMPLES = examples(
    "bench plot runs/cross-generator heatmap -o heatmap.pdf",
    "bench plot runs/corruptions severity -o severity.svg --width 180",
    "bench plot runs/full roc -o roc.csv",
)
_LEAST, _MOST = 40.0, 400.0

Kind = Annotated[
    str, typer.Argument(metavar="KIND", help=f"{choices(KINDS)}.", autocompletion=completion.plots)
]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        help="FILE.svg, .pdf or .png, letters inside it; FILE.csv for the numbers that are drawn.",
    ),
]
Width = Annotated[
    float,
    typer.Option(help="Width in mm: 88 for one column of a journal, 180 for two."),
]


def command(*, run: options.RunFolder, kind: Kind, out: Out, width: Width = 88) -> None:
    """Draw one figure of a run, from its stored scores only; the same bytes each time."""
    check_choice("KIND", kind, KINDS)
    if not _LEAST <= width <= _MOST:
        raise BenchError(f"--width {width:g}: give millimetres from {_LEAST:g} to {_MOST:g}")
    from bench.results.figures.drawing import draw_plot

    rows = draw_plot(run, kind, out, width)
    say(f"written: {out} ({len(rows)} rows drawn)")
