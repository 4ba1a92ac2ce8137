"""``bench board``: the leaderboard of a run, from its stored scores only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import options
from bench.cli.effect import choose_format, refuse_without_effect
from bench.cli.examples import examples
from bench.cli.output import put, put_json, say
from bench.cli.values import check_choice
from bench.errors import EXIT_INCOMPLETE, BenchError
from bench.results.formats import DEFAULT, choices, format_names, renderers

FORMATS = format_names("FORMATS")
EXAMPLES = examples(
    "bench board runs/cross-generator",
    "bench board runs/corruptions --format csv --write",
    "bench board trainings --table training",
)

Folder = Annotated[
    Path,
    typer.Argument(help="The --out folder of a run; with --table training, of trainings."),
]
Format = Annotated[str, typer.Option("--format", "-f", help=f"{choices(FORMATS)}.")]
Write = Annotated[
    bool,
    typer.Option(
        "--write",
        help="Also write leaderboard.md and leaderboard.csv into the run's folder.",
    ),
]
Table = Annotated[
    str | None,
    typer.Option(
        "--table",
        help="training: parameters, losses and milliseconds a step of the trainings in a folder.",
    ),
]


def command(
    context: typer.Context,
    *,
    run: Folder,
    form: Format = DEFAULT,
    as_json: options.FormatJson = False,
    write: Write = False,
    which: Table = None,
) -> None:
    """Rebuild and print a run's leaderboard; no image and no detector is touched."""
    form = choose_format(context, form, as_json=as_json)
    check_choice("--format", form, FORMATS)
    refuse_without_effect(
        context,
        "--write",
        when=which is not None,
        why="beside --table, which prints a table of trainings: leave one of the two out",
    )
    if which is None:
        _leaderboard(run, form, write=write)
    else:
        _training_table(run, which, form)


def _leaderboard(run: Path, form: str, *, write: bool) -> None:
    from bench.results.board import report
    from bench.support.files import writable

    result = report(run)
    board = result.board
    for remark in result.remarks:
        say(remark)
    put(renderers("FORMATS")[form](board.rows, board.notes, board.extras))
    if write:
        with writable(run):
            paths = board.write(run)
        for path in paths:
            say(f"written: {path}")
    if result.incomplete:
        say(f"{result.incomplete} cells have no result")
    if result.incomplete or result.lost_class:
        raise typer.Exit(EXIT_INCOMPLETE)


def _training_table(folder: Path, which: str, form: str) -> None:
    if which != "training":
        raise BenchError(f"--table {which}: choose training, or leave it out for the leaderboard")
    if form == "csv":
        raise BenchError("--table training is printed as md or json")
    from bench.training.report import markdown, read_records

    records = read_records([folder])
    if form == "json":
        put_json(records)
    else:
        put(markdown(records))
