"""``bench export``: a run's results for papers, tables, programs and model cards."""

from __future__ import annotations

from pathlib import Path

import typer

from bench.cli.output import put, say
from bench.errors import EXIT_INCOMPLETE, BenchError
from bench.results.formats import choices, format_names

EXAMPLE = "Example: bench export runs/cross-generator --format latex > table.tex"
FORMATS = format_names("FORMATS", "METRIC_FORMATS", "MODEL_CARD_FORMATS")


def command(
    run: Path = typer.Argument(..., help="The --out folder of a run."),
    form: str = typer.Option(..., "--format", "-f", help=f"{choices(FORMATS)}."),
    metric: str = typer.Option("auc", help="Metric of the LaTeX table."),
    detector: str | None = typer.Option(
        None,
        "--detector",
        "-d",
        help="Detector whose model card it is (hf), where there are several.",
    ),
    dataset_id: str | None = typer.Option(
        None, help="The data set's id on the Hugging Face Hub (hf); its name by default."
    ),
    out: Path | None = typer.Option(
        None, "--out", "-o", help="For hf: folder for .eval_results/ and model-index.yml."
    ),
) -> None:
    """Export a run; no image and no detector is touched."""
    if form not in FORMATS:
        raise BenchError(f"--format {form}: choose {', '.join(FORMATS)}")
    from bench.results import export as exporting

    if form in format_names("MODEL_CARD_FORMATS"):
        files = exporting.model_card(run, form, detector, dataset_id)
        if out is None:
            for name, text in files.texts.items():
                put(f"# {name}\n{text}")
        else:
            for path in exporting.write(files.texts, out):
                say(f"written: {path}")
        incomplete = files.incomplete
    else:
        done = exporting.export(run, form, metric)
        put(done.texts[form])
        incomplete = done.incomplete
    if incomplete:
        say(f"{incomplete} cells have no result")
        raise typer.Exit(EXIT_INCOMPLETE)
