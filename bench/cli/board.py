"""``bench board``: the leaderboard of a run, from its stored scores only."""

from __future__ import annotations

from pathlib import Path

import typer

from bench.cli.output import put, say
from bench.errors import EXIT_INCOMPLETE, BenchError
from bench.results.formats import DEFAULT, choices, format_names, renderers

FORMATS = format_names("FORMATS")
EXAMPLE = "Example: bench board runs/cross-generator --format csv"


def command(
    run: Path = typer.Argument(
        ..., help="The --out folder of a run; with --table training, of trainings."
    ),
    form: str = typer.Option(DEFAULT, "--format", "-f", help=f"{choices(FORMATS)}."),
    as_json: bool = typer.Option(False, "--json", help="The same as --format json."),
    write: bool = typer.Option(
        False,
        "--write",
        help="Also write leaderboard.md and leaderboard.csv into the run's folder.",
    ),
    which: str | None = typer.Option(
        None,
        "--table",
        help="training: parameters, losses and milliseconds a step of the trainings in a folder.",
    ),
) -> None:
    """Rebuild and print a run's leaderboard; no image and no detector is touched."""
    form = "json" if as_json else form
    if form not in FORMATS:
        raise BenchError(f"--format {form}: choose {choices(FORMATS)}")
    if which is not None:
        _training_table(run, which, form)
        return
    from bench.results.board import report

    done = report(run)
    board = done.board
    put(renderers("FORMATS")[form](board.rows, board.notes, board.extras))
    if write:
        from bench.support.files import writable

        with writable(run):
            paths = done.board.write(run)
        for path in paths:
            say(f"written: {path}")
    if done.incomplete:
        say(f"{done.incomplete} cells have no result")
        raise typer.Exit(EXIT_INCOMPLETE)


def _training_table(folder: Path, which: str, form: str) -> None:
    if which != "training":
        raise BenchError(f"--table {which}: choose training, or leave it out for the leaderboard")
    if form == "csv":
        raise BenchError("--table training is printed as md or json")
    from bench.training.report import markdown, read_records

    records = read_records([folder])
    if form == "json":
        from bench.cli.output import put_json

        put_json(records)
    else:
        put(markdown(records))
