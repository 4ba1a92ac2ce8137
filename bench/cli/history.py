"""``bench history``: a metric over runs, oldest first, as a table and a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.examples import examples
from bench.cli.output import put, put_json, say
from bench.cli.values import check_choice

EXAMPLES = examples(
    "bench history runs/2026-09 runs/2026-10 runs/2026-11",
    "bench history baseline runs/candidate --condition 'jpeg(quality=75)' --plot trend.svg",
    "bench history runs/v1 runs/v2 runs/v3 --metric tpr_at_5_fpr --format csv > history.csv",
)

Runs = Annotated[list[Path], typer.Argument(help="Run folders or baselines, the oldest first.")]
Metric = Annotated[str, typer.Option(help="Metric to follow.")]
Condition = Annotated[str, typer.Option(help="Condition to follow, as the suite spells it.")]
Margin = Annotated[float, typer.Option(help="A drop up to this is no regression.")]
PlotFile = Annotated[
    Path | None, typer.Option("--plot", help="Draw it too: FILE.svg, .pdf or .png.")
]
Format = Annotated[str, typer.Option("--format", "-f", help="md, csv or json.")]


def command(
    *,
    runs: Runs,
    metric: Metric = "auc",
    condition: Condition = "clean",
    margin: Margin = 0.01,
    plot: PlotFile = None,
    form: Format = "md",
) -> None:
    """Follow a metric over runs: its mean, its paired change since the run before, the worst slice.

    Runs on other images or of another protocol stand in the table without a change, and the reason.
    """
    check_choice("--format", form, ("md", "csv", "json"))
    from bench.results.figures.history import draw_history
    from bench.results.trend.history import Asked, as_csv, as_json, as_markdown, history

    rows = history(runs, Asked(metric, condition, margin))
    if plot is not None:
        draw_history(rows, plot)
        say(f"written: {plot}")
    if form == "json":
        put_json(as_json(rows))
    else:
        put(as_csv(rows) if form == "csv" else as_markdown(rows))
