"""``bench baseline``: the committed scores that the gate holds candidates against."""

from __future__ import annotations

from pathlib import Path

import typer

from bench.cli.output import say

app = typer.Typer(
    help="Keep the baseline of the gate.", no_args_is_help=True, rich_markup_mode=None
)
EXAMPLE = (
    "Example: bench baseline update runs/smoke --to baseline --reason 'retrained on SD 3.5 as well'"
)


@app.callback()
def group() -> None:
    """Keep the baseline of the gate."""


@app.command("update", epilog=EXAMPLE)
def update_command(
    run: Path = typer.Argument(..., help="The --out folder of a whole run."),
    to: Path = typer.Option(
        Path("baseline"), "--to", help="Folder for baseline.json and its scores; commit both."
    ),
    reason: str = typer.Option(..., "--reason", help="Why the bar moves; stands in the file."),
) -> None:
    """Make a run the baseline; refused in CI, and for limited or unfinished runs."""
    from bench.results.baseline import update

    say(f"written: {update(run, to, reason)} and its scores: commit both")
