"""Confusion matrices and galleries from scores: what a detector got right and wrong, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.datasets import ImageRecord, load
from bench.support.figures import save_png, save_svg
from leaderboards.plots.figure import new_figure

KINDS = (
    ("AI-generated, surely found", 1, 1, "sure"),
    ("AI-generated, missed", 1, 0, "sure"),
    ("AI-generated, close call", 1, None, "close"),
    ("real, surely passed", 0, 0, "sure"),
    ("real, false alarm", 0, 1, "sure"),
    ("real, close call", 0, None, "close"),
)
SURE = tuple(kind for kind in KINDS if kind[-1] == "sure")


def pick(
    labels: NDArray[np.int64],
    logits: NDArray[np.float32],
    threshold: float,
    count: int,
    kinds: Sequence[tuple[str, int, int | None, str]] = KINDS,
) -> list[tuple[str, list[int]]]:
    """The most telling images of each kind.

    Args:
        labels: (N,) 1 for AI-generated.
        logits: (N,), nan where unscored.
        threshold: Above it the verdict is AI-generated.
        count: At most so many of a kind.
        kinds: Which kinds: title, label, verdict (``None`` for either), and how sure.

    Returns:
        (what they are, positions): sure ones by the distance to the threshold, farthest first; close calls of
        either verdict, nearest first. Ties keep their order.
    """
    margin = logits.astype(np.float64) - threshold
    verdict = (margin > 0).astype(np.int64)
    found = []
    for title, label, said, kind in kinds:
        mask = (labels == label) & np.isfinite(margin)
        if said is not None:
            mask &= verdict == said
        rows = np.flatnonzero(mask)
        distance = np.abs(margin[rows])
        order = np.argsort(-distance if kind == "sure" else distance, kind="stable")
        found.append((title, rows[order[:count]].tolist()))
    return found


def draw_gallery(
    root: Path,
    records: Sequence[ImageRecord],
    logits: NDArray[np.float32],
    threshold: float,
    path: Path,
    *,
    title: str,
    count: int = 6,
) -> None:
    """Draw a row for each kind of verdict, each picture with its probability of AI-generated.

    Args:
        root: Folder the records' locators are relative to.
        records: All images that were scored.
        logits: Aligned with them.
        threshold: The verdict's.
        path: PNG to write.
        title: Above it all.
        count: Pictures a row.

    Raises:
        OutputError: The place cannot be written.
    """
    labels = np.array([record.label for record in records], dtype=np.int64)
    rows = pick(labels, logits, threshold, count)
    figure = new_figure(1.4 * count, 1.7 * len(rows))
    grid = figure.subplots(len(rows), count, squeeze=False)
    for axes_row, (kind, chosen) in zip(grid, rows, strict=True):
        for axes in axes_row:
            axes.set_axis_off()
        axes_row[0].set_title(f"{kind}" + ("" if chosen else ": none"), loc="left", fontsize=8)
        for axes, at in zip(axes_row, chosen, strict=False):
            axes.imshow(load(root, records[at]))
            chance = 1 / (1 + np.exp(-np.float64(logits[at])))
            axes.text(0, -0.04, f"{chance:.3f}", transform=axes.transAxes, fontsize=7, va="top")
    figure.suptitle(title, fontsize=9, parse_math=False)
    save_png(figure, path)


def draw_confusion(counts: dict[str, int], path: Path, *, title: str) -> None:
    """Draw tp, fp, tn and fn as a square, shaded by the share of each class.

    Raises:
        OutputError: The place cannot be written.
    """
    table = np.array([[counts["tn"], counts["fp"]], [counts["fn"], counts["tp"]]], dtype=float)
    total = table.sum(axis=1, keepdims=True)
    shares = np.divide(table, total, out=np.zeros_like(table), where=total > 0)
    figure = new_figure(3.6, 3.2)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks([0, 1], ["real", "AI-generated"])
    axes.set_yticks([0, 1], ["real", "AI-generated"], rotation=90, va="center")
    axes.set_xlabel("verdict")
    axes.set_ylabel("truth")
    for (y, x), value in np.ndenumerate(table):
        colour = "white" if shares[y, x] > 0.5 else "black"
        axes.text(x, y, f"{value:.0f}\n{shares[y, x]:.1%}", ha="center", va="center", color=colour)
    axes.set_title(title, fontsize=9, parse_math=False)
    save_svg(figure, path)
