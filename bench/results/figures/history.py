"""A metric over runs as a figure."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.errors import BenchError
from bench.results.figures.drawing import FORMATS, figure_bytes
from bench.support.files import write_atomic
from leaderboards.plots.figure import legend_below, line_look, name_label, panels, style


def draw_history(rows: pd.DataFrame, path: Path, width: float = 180) -> None:
    """Draw the mean of each detector over the runs; a ring marks a run that failed against the one before.

    Args:
        rows: From :func:`bench.results.trend.history.history`.
        path: A file that ends in .svg, .pdf or .png.
        width: Width in mm.

    Raises:
        BenchError: The suffix is of another format.
        OutputError: The place cannot be written.
    """
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMATS or form == "csv":
        raise BenchError(f"--plot {path}: give a file that ends in .svg, .pdf or .png")
    runs, detectors = (list(dict.fromkeys(rows[name])) for name in ("run", "detector"))
    with style():
        figure, (axes,) = panels(1, width, 62, legend=detectors)
        for i, detector in enumerate(detectors):
            own = rows[rows["detector"] == detector]
            x = [runs.index(run) for run in own["run"]]
            (line,) = axes.plot(x, own["value"], label=name_label(detector), **line_look(i))
            line.set_gid(f"series-{i}")
            fails = own[own["verdict"] == "FAIL"]
            axes.plot(
                [runs.index(run) for run in fails["run"]], fails["value"], linestyle="", marker="o",
                markersize=8, markerfacecolor="none", markeredgecolor="#d55e00",
            )  # fmt: skip
        axes.set_xticks(
            range(len(runs)), [name_label(run, 28) for run in runs],
            rotation=30, ha="right", rotation_mode="anchor",
        )  # fmt: skip
        metric, condition = rows.iloc[0][["metric", "condition"]]
        axes.set_ylabel(f"mean {metric}, {name_label(condition)}")
        axes.set_title("ring: FAIL against the run before", fontsize=6)
        legend_below(figure, width)
        content = figure_bytes(figure, form)
    write_atomic(path, lambda stream: stream.write(content))
