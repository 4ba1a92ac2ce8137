"""``bench flips``: which images change their verdict, under what, and what is the weakest that is enough."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import options
from bench.cli.examples import examples
from bench.cli.output import put, say
from bench.errors import BenchError

EXAMPLES = examples(
    "bench flips runs/laundering > flips.csv",
    "bench flips runs/laundering --by-condition",
    "bench flips runs/full --detector resnet50 -o flips.csv",
)

Detector = Annotated[
    str | None, typer.Option("--detector", "-d", help="Detector of the run; all by default.")
]
ByCondition = Annotated[
    bool,
    typer.Option(
        "--by-condition", help="The conditions in their order of harshness, instead of the images."
    ),
]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="FILE.csv to write; stdout by default.")
]


def command(
    *,
    run: options.RunFolder,
    detector: Detector = None,
    by_condition: ByCondition = False,
    out: Out = None,
) -> None:
    """List the images whose verdict a condition changes, as CSV: the weakest condition first."""
    if out is not None and out.suffix.lower() != ".csv":
        raise BenchError(f"-o {out}: give a file that ends in .csv")
    from bench.results.figures.flips import flips_of
    from bench.support.files import write_text
    from leaderboards.render.csv import render_matrix

    made = flips_of(run, detector)
    rows = made.harshness if by_condition else made.images
    text = render_matrix(rows)
    if out is None:
        put(text.removesuffix("\n"))
    else:
        write_text(out, text)
        say(f"written: {out} ({len(rows)} rows)")
