"""``bench report``: one HTML file that tells a run's answer first and holds all that it rests on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.effect import refuse_without_effect
from bench.cli.examples import examples
from bench.cli.output import say
from bench.errors import EXIT_INCOMPLETE, BenchError

EXAMPLES = examples(
    "bench report runs/full -o report.html",
    "bench report runs/before runs/after -o both.html",
    "bench report runs/evidence -o report.html --no-images",
)

Runs = Annotated[list[Path], typer.Argument(help="The --out folders of runs.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="The HTML file to write.")]
NoImages = Annotated[
    bool,
    typer.Option("--no-images", help="Embed no picture of any image, where they may not leave."),
]
Adversarial = Annotated[
    list[Path],
    typer.Option(
        metavar="DIR",
        help="Folder that --save-adversarial has written, to be shown; RUN/adversarial is shown by itself.",
    ),
]


def command(
    context: typer.Context,
    *,
    runs: Runs,
    out: Out = Path("report.html"),
    no_images: NoImages = False,
    adversarial: Adversarial = [],
) -> None:
    """Write the report of runs: one file under 5 MB that opens offline, for screens, paper and phones."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise BenchError(f"-o {out}: give a file that ends in .html")
    refuse_without_effect(
        context, "--adversarial", when=no_images, why="beside --no-images: leave one of the two out"
    )
    from bench.results.html.page import report_page
    from bench.support.files import write_text

    page = report_page(runs, images=not no_images, adversarial=adversarial)
    write_text(out, page.text)
    say(f"written: {out} ({len(page.text.encode()) / 1e6:.1f} MB)")
    if page.incomplete:
        say(f"{page.incomplete} cells have no result")
        raise typer.Exit(EXIT_INCOMPLETE)
