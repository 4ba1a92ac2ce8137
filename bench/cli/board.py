"""``bench board``: the leaderboard of a run, from its stored scores only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import options
from bench.cli.effect import choose_format, refuse_without_effect
from bench.cli.examples import examples
from bench.cli.output import Bar, put, put_json, say
from bench.cli.terminal import TABLE, print_board
from bench.cli.values import check_choice
from bench.errors import BenchError
from bench.results.formats import choices, format_names

FORMATS = (TABLE, *format_names("FORMATS"))
EXAMPLES = examples(
    "bench board runs/cross-generator",
    "bench board runs/corruptions --format csv --write",
    "bench board trainings --table training",
)

Folder = Annotated[
    Path,
    typer.Argument(help="The --out folder of a run; with --table training, of trainings."),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        help=f"{choices(FORMATS)}; by default the table on a terminal, and md where a program reads.",
    ),
]
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
    form: Format = None,
    as_json: options.FormatJson = False,
    write: Write = False,
    which: Table = None,
) -> None:
    """Rebuild and print a run's leaderboard; no image and no detector is touched.

    On a terminal: warnings, the headline with bars, what breaks each detector. Into a file or a pipe: all
    of leaderboard.md. It exits with 0 when it did its work, also where cells have no result.
    """
    form = choose_format(context, form or "", as_json=as_json)
    if form:
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

    with Bar() as bar:
        result = report(run, bar)
    print_board(result, run, form)
    if write:
        with writable(run):
            paths = result.board.write(run)
        for path in paths:
            say(f"written: {path}")
    if result.incomplete:
        say(f"{result.incomplete} cells have no result")


def _training_table(folder: Path, which: str, form: str) -> None:
    if which != "training":
        raise BenchError(f"--table {which}: choose training, or leave it out for the leaderboard")
    if form not in ("", "md", "json"):
        raise BenchError("--table training is printed as md or json")
    from bench.training.report import markdown, read_records

    records = read_records([folder])
    if form == "json":
        put_json(records)
    else:
        put(markdown(records))
