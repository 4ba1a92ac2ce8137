"""``bench baseline``: the committed scores that the gate holds candidates against."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import options
from bench.cli.effect import Command
from bench.cli.examples import examples
from bench.cli.output import say

app = typer.Typer(
    help="Keep the baseline of the gate.", no_args_is_help=True, rich_markup_mode=None
)
EXAMPLES = examples(
    "bench baseline update runs/smoke --reason 'retrained on SD 3.5 as well'",
    "bench baseline update runs/main --to baselines/resnet50 --reason 'first baseline of ResNet-50'",
    "bench baseline update runs/full --to baseline --reason 'threshold calibrated on val'",
)

Folder = Annotated[
    Path, typer.Option("--to", help="Folder for baseline.json and its scores; commit both.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why the bar moves; stands in the file.")]


@app.callback()
def group() -> None:
    """Keep the baseline of the gate."""


@app.command("update", cls=Command, epilog=EXAMPLES)
def update_command(
    *, run: options.RunFolder, to: Folder = Path("baseline"), reason: Reason
) -> None:
    """Make a run the baseline; refused in CI, and for limited or unfinished runs."""
    from bench.results.baseline import update

    say(f"written: {update(run, to, reason)} and its scores: commit both")
