"""A run's figures: its board and scores as evidence, and one kind of figure drawn from them."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pandas as pd

from bench.errors import BenchError
from bench.results.board import Report, build_report
from bench.results.figures.kinds import plot_kind
from bench.results.scores import ScoredRun, load_run
from bench.support.files import write_atomic
from leaderboards.plots.evidence import Evidence
from leaderboards.plots.figure import style
from leaderboards.tables.condition_means import condition_means

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS: Final = ("svg", "pdf", "png", "csv")
# What would make two files of one figure differ.
_METADATA: Final[dict[str, dict[str, Any]]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}
_DOTS_AN_INCH = 300


class Shown(NamedTuple):
    """A run with its board and what figures are drawn from."""

    run: ScoredRun
    report: Report
    evidence: Evidence


def load_evidence(folder: Path) -> Shown:
    """Read a run and make its board and the evidence for figures; no image is touched.

    Raises:
        BenchError: The folder is no run, or holds nothing to show.
    """
    run = load_run(folder)
    report = build_report(run)
    scores, board = run.scores, report.board
    slices = scores.slices()
    means = condition_means(scores.samples, slices, scores.columns, board.rows, scores.thresholds)
    evidence = Evidence(
        rows=board.rows,
        notes=board.notes,
        extras=board.extras,
        means=means,
        samples=scores.samples,
        slices=slices,
        columns=scores.columns,
        thresholds=scores.thresholds,
    )
    return Shown(run, report, evidence)


def draw_plot(folder: Path, kind: str, path: Path, width: float) -> pd.DataFrame:
    """Draw one kind of figure of a run into a file, whose suffix chooses the format.

    Args:
        folder: The run's folder.
        kind: A name of ``plot_names``.
        path: A file that ends in .svg, .pdf or .png; in .csv for the numbers that are drawn.
        width: Width in mm.

    Returns:
        The rows that are drawn.

    Raises:
        BenchError: The folder is no run, the suffix is of another format, or there is nothing to draw.
        OutputError: The place cannot be written.
    """
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise BenchError(f"-o {path}: give a file that ends in .svg, .pdf, .png or .csv")
    plot = plot_kind(kind)
    rows = plot.table(load_evidence(folder).evidence)
    if rows.empty:
        raise BenchError(f"{folder} gives no figure {kind!r}: {plot.lacking}")
    if form == "csv":
        text = rows.to_csv(index=False, lineterminator="\n")
        write_atomic(path, lambda stream: stream.write(text.encode()))
        return rows
    with style():
        content = figure_bytes(plot.draw(rows, width), form)
    write_atomic(path, lambda stream: stream.write(content))
    return rows


def figure_bytes(figure: Figure, form: str, *, transparent: bool = False) -> bytes:
    """Encode a figure, the same bytes each time; to be called within ``style``."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box; the name is whole in the tables.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(
            buffer,
            format=form,
            dpi=_DOTS_AN_INCH,
            metadata=_METADATA[form],
            transparent=transparent,
        )
    return buffer.getvalue()
