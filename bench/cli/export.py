"""``bench export``: a run's results for papers, tables, programs and model cards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import completion, options
from bench.cli.effect import refuse_without_effect
from bench.cli.examples import examples
from bench.cli.output import Bar, put, say
from bench.cli.values import check_choice
from bench.results.formats import choices, format_names

EXAMPLES = examples(
    "bench export runs/cross-generator --format latex > table.tex",
    "bench export runs/corruptions --format csv > corruptions.csv",
    "bench export runs/smoke --format hf --detector resnet50 --dataset-id lab/photos --out card",
)
METRIC_FORMATS = format_names("METRIC_FORMATS")
CARD_FORMATS = format_names("MODEL_CARD_FORMATS")
SCORES = "scores"
FORMATS = (*format_names("FORMATS", "METRIC_FORMATS", "MODEL_CARD_FORMATS"), SCORES)

Format = Annotated[
    str,
    typer.Option("--format", "-f", help=f"{choices(FORMATS)}.", autocompletion=completion.formats),
]
Metric = Annotated[str, typer.Option(help="Metric of the LaTeX table.")]
Detector = Annotated[
    str | None,
    typer.Option(
        "--detector",
        "-d",
        help="Detector whose model card it is (hf), where there are several.",
    ),
]
DatasetId = Annotated[
    str | None,
    typer.Option(help="The data set's id on the Hugging Face Hub (hf); its name by default."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="For hf: folder for .eval_results/ and model-index.yml; for scores: FILE.csv or FILE.parquet.",
    ),
]


def command(
    context: typer.Context,
    *,
    run: options.RunFolder,
    form: Format,
    metric: Metric = "auc",
    detector: Detector = None,
    dataset_id: DatasetId = None,
    out: Out = None,
) -> None:
    """Export a run; no image and no detector is touched.

    scores: a row an image, detector and condition, each parameter of the conditions a column.
    """
    check_choice("--format", form, FORMATS)
    refuse_without_effect(
        context,
        "--metric",
        when=form not in METRIC_FORMATS,
        why=f"on --format {form}, which holds every metric: it chooses the one of --format "
        f"{choices(METRIC_FORMATS)}",
    )
    refuse_without_effect(
        context,
        "--out",
        when=form not in (*CARD_FORMATS, SCORES),
        why=f"on --format {form}, which is a board on stdout: it belongs to --format "
        f"{choices((*CARD_FORMATS, SCORES))}",
    )
    refuse_without_effect(
        context,
        "--detector",
        "--dataset-id",
        when=form not in CARD_FORMATS,
        why=f"on --format {form}: it belongs to --format {choices(CARD_FORMATS)}",
    )
    if form == SCORES:
        _scores(run, out)
        return
    incomplete = (
        _model_card(run, form, detector, dataset_id, out)
        if form in CARD_FORMATS
        else _board(run, form, metric)
    )
    if incomplete:
        say(f"{incomplete} cells have no result")


def _scores(run: Path, out: Path | None) -> None:
    """Print every score as CSV, or write it as CSV or Parquet; piece by piece, whatever the size."""
    from bench.results.by_image.image_scores import score_parts
    from bench.results.by_image.score_files import csv_lines, write_scores

    if out is None:
        for text in csv_lines(score_parts(run)):
            put(text)
    else:
        write_scores(score_parts(run), out)
        say(f"written: {out}")


def _board(run: Path, form: str, metric: str) -> int:
    """Print the board; return the number of cells without a result."""
    from bench.results.export import export

    with Bar() as bar:
        exported = export(run, form, metric, bar)
    put(exported.texts[form])
    return exported.incomplete


def _model_card(
    run: Path, form: str, detector: str | None, dataset_id: str | None, out: Path | None
) -> int:
    """Print or write the files of a model's repository; return the number of cells without a result."""
    from bench.results.export import model_card, write

    with Bar() as bar:
        files = model_card(run, form, detector, dataset_id, bar)
    if out is None:
        for name, text in files.texts.items():
            put(f"# {name}\n{text}")
    else:
        for path in write(files.texts, out):
            say(f"written: {path}")
    return files.incomplete
