"""``bench compare``: detectors side by side, paired image by image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.examples import examples
from bench.cli.output import put, say
from bench.cli.values import check_choice
from bench.errors import EXIT_INCOMPLETE

if TYPE_CHECKING:
    from bench.results.comparison import Comparison
    from leaderboards.render.compare import Row

EXAMPLES = examples(
    "bench compare runs/before runs/after",
    "bench compare runs/cross-generator --metric balanced_accuracy",
    "bench compare baseline runs/resnet50 runs/vit --metric auc --format csv",
)

Runs = Annotated[
    list[Path],
    typer.Argument(help="Run folders or baselines; the first detector is the reference."),
]
Metric = Annotated[str, typer.Option(help="Metric to compare.")]
Format = Annotated[str, typer.Option("--format", "-f", help="md or csv.")]


def command(*, runs: Runs, metric: Metric = "auc", form: Format = "md") -> None:
    """Compare detectors on the same images: differences, 95% intervals, adjusted p values."""
    check_choice("--format", form, ("md", "csv"))
    from bench.results.comparison import compare
    from leaderboards.render.compare import Row, compare_csv

    comparison = compare(runs, metric)
    rows = [Row(c.reference, c.test, c.holm, c.bh) for c in comparison.contrasts]
    for caution in comparison.cautions:
        say(caution.sentence)
    if form == "csv":
        put(compare_csv(rows, metric, comparison.policy))
    else:
        put(_markdown(comparison, rows))
    for name, reason in comparison.lacking:
        say(f"not compared: {' / '.join(part for part in name if part)}: {reason}")
    if comparison.lacking:
        raise typer.Exit(EXIT_INCOMPLETE)


def _markdown(comparison: Comparison, rows: list[Row]) -> str:
    from leaderboards.render.compare import compare_table
    from leaderboards.render.opening import caution_lines
    from leaderboards.render.text import escape

    oracle = " (ORACLE threshold)" if comparison.policy == "oracle" else ""
    lines = [
        f"# Comparison on {escape(comparison.dataset)}: {comparison.metric}{oracle}",
        "",
        *caution_lines(comparison.cautions),
        *compare_table(rows),
        "Difference: detector minus reference, on the same images (clustered by the groups that the data "
        "name, and by equal bytes). "
        "A star marks p < 0.05 after Holm's correction over all rows.",
        "",
        *(f"- {escape(note)}" for note in comparison.notes),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"
