"""``bench scores``: scores that were made elsewhere become a run, and those of a run a table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bench.cli import options, run_options
from bench.cli.effect import Command
from bench.cli.examples import examples
from bench.cli.output import Bar, put, say
from bench.cli.terminal import print_board
from bench.cli.values import check_choice
from bench.errors import EXIT_INCOMPLETE

if TYPE_CHECKING:
    from bench.runs.imported.importing import ImportResult
    from bench.store.run_spec import ScoreKind

app = typer.Typer(help="Bring scores in and out.", no_args_is_help=True, rich_markup_mode=None)
IMPORT_EXAMPLES = examples(
    "bench scores import hive.csv --detector hive --data photos/",
    "bench scores import submission.csv -d ours --data /data/challenge --split val --allow-missing",
    "bench scores import results.csv --scores logit --suite social --data /data/GenImage --out runs/theirs",
)
EXPORT_EXAMPLES = examples(
    "bench scores export runs/cross-generator > scores.csv",
    "bench scores export runs/corruptions --out scores.csv",
    "bench scores export runs/full --out full.csv && bench scores import full.csv --suite full",
)
KINDS = ("logit", "probability", "verdict")

File = Annotated[Path, typer.Argument(help="CSV, JSONL or Parquet table of scores.")]
Detector = Annotated[
    str | None,
    typer.Option("--detector", "-d", help="Whose scores they are, where the table does not say."),
]
Scores = Annotated[
    str | None,
    typer.Option(
        help="What the scores are, where the table does not say: logit, probability (of AI-generated; "
        "becomes log-odds) or verdict (real or fake).",
    ),
]
AllowMissing = Annotated[
    bool,
    typer.Option(
        "--allow-missing",
        help="Leave images without a score out, for every detector; counted above the board.",
    ),
]
Limit = Annotated[int | None, typer.Option(help="Images of the limited run that the table is of.")]
Seed = Annotated[int, typer.Option(help="Seed of that run: it decides which images a limit keeps.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder of the results; default runs/<name of the table>."),
]
OutFile = Annotated[
    Path | None, typer.Option("--out", "-o", help="File to write, instead of stdout.")
]


@app.callback()
def group() -> None:
    """Bring scores in and out."""


@app.command("import", cls=Command, epilog=IMPORT_EXAMPLES)
def import_command(
    *,
    file: File,
    detector: Detector = None,
    scores: Scores = None,
    suite: run_options.SuiteName = "cross-generator",
    data: run_options.Data = None,
    layout: options.Layout = "auto",
    split: run_options.Split = None,
    out: Out = None,
    force: run_options.Force = False,
    allow_missing: AllowMissing = False,
    threshold: run_options.Threshold = None,
    equalise: run_options.Equalise = None,
    pairing: run_options.Pairing = None,
    limit: Limit = None,
    seed: Seed = 0,
    cache: options.Cache = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make a run of scores that were made elsewhere; its board says so above all numbers.

    Columns: path (or sample_id, image_name, filename), logit or probability, detector, condition; clean
    where there is none. Every image must have one score; what does not fit is listed and refused.
    """
    if scores is not None:
        check_choice("--scores", scores, KINDS)
    from bench.protocol.suite import load_suite
    from bench.runs.imported.importing import import_scores
    from bench.runs.imported.request import ImportRequest

    request = ImportRequest(
        file=file,
        suite=load_suite(suite).asked(threshold=threshold, equalise=equalise, pairing=pairing),
        data=data,
        layout=layout,
        split="" if split == "all" else split,
        out=out,
        detector=detector,
        scores=cast("ScoreKind | None", scores),
        allow_missing=allow_missing,
        limit=limit,
        seed=seed,
        cache=cache,
        force=force,
        command=("bench", *sys.argv[1:]),
    )
    with Bar(quiet=quiet) as bar:
        result = import_scores(request, bar)
    _print(result, as_json=as_json, quiet=quiet)


@app.command("export", cls=Command, epilog=EXPORT_EXAMPLES)
def export_command(*, run: options.RunFolder, out: OutFile = None) -> None:
    """Write the scores of a run as CSV, a row an image, detector and condition; every logit is exact."""
    from bench.runs.imported.exporting import export_scores
    from bench.support.files import write_text

    exported = export_scores(run)
    if out is None:
        put(exported.text)
    else:
        write_text(out, exported.text)
        say(f"written: {out}")
    if exported.n_missing:
        say(f"{exported.n_missing} units of {run} are not scored yet: their rows are not there")
        raise typer.Exit(EXIT_INCOMPLETE)


def _print(result: ImportResult, *, as_json: bool, quiet: bool) -> None:
    report = result.report
    if as_json:
        for remark in report.remarks:
            say(remark)
        put(report.board.to_json())
    else:
        print_board(report, result.folder)
    if not quiet:
        folder = result.folder
        say(f"written: {folder / 'leaderboard.md'}, {folder / 'leaderboard.csv'}")
    if report.incomplete:
        say(f"{report.incomplete} cells have no result: see the board's footnotes")
    if report.incomplete or report.lost_class:
        raise typer.Exit(EXIT_INCOMPLETE)
