"""``bench compare``: detectors side by side, paired image by image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bench.cli.output import put, say
from bench.errors import EXIT_INCOMPLETE, BenchError

if TYPE_CHECKING:
    from bench.results.comparison import Comparison
    from leaderboards.render.compare import Row

EXAMPLE = "Example: bench compare runs/before runs/after --metric auc"


def command(
    runs: list[Path] = typer.Argument(
        ..., help="Run folders or baselines; the first detector is the reference."
    ),
    metric: str = typer.Option("auc", help="Metric to compare."),
    form: str = typer.Option("md", "--format", "-f", help="md or csv."),
) -> None:
    """Compare detectors on the same images: differences, 95% intervals, adjusted p values."""
    if form not in ("md", "csv"):
        raise BenchError(f"--format {form}: choose md or csv")
    from bench.results.comparison import compare
    from leaderboards.render.compare import Row, compare_csv

    found = compare(runs, metric)
    rows = [Row(c.reference, c.test, c.holm, c.bh) for c in found.contrasts]
    put(compare_csv(rows, metric, found.policy) if form == "csv" else _markdown(found, rows))
    for name, reason in found.lacking:
        say(f"not compared: {' / '.join(part for part in name if part)}: {reason}")
    if found.lacking:
        raise typer.Exit(EXIT_INCOMPLETE)


def _markdown(found: Comparison, rows: list[Row]) -> str:
    from leaderboards.render.compare import compare_table
    from leaderboards.render.text import escape

    oracle = " (ORACLE threshold)" if found.policy == "oracle" else ""
    lines = [
        f"# Comparison on {escape(found.dataset)}: {found.metric}{oracle}",
        "",
        *compare_table(rows),
        "Difference: detector minus reference, on the same images (clustered where the data name groups). "
        "A star marks p < 0.05 after Holm's correction over all rows.",
        "",
        *(f"- {escape(note)}" for note in found.notes),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"
