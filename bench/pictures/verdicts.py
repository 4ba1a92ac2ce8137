"""Confusion matrices and galleries from scores: what a detector got right and wrong, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.datasets import FAKE, REAL, ImageRecord, load
from bench.support.figures import save_png, save_svg
from bench.support.objects.place import Place
from leaderboards.plots.figure import new_figure
from leaderboards.statistics.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of verdict.

    Attributes:
        title: What its images are, in words.
        label: Label of the images.
        verdict: What the detector says, 1 for AI-generated; ``None`` takes either.
        sure: Whether images far from the threshold are wanted, or those close to it.
    """

    title: str
    label: int
    verdict: int | None
    sure: bool


@dataclass(frozen=True, slots=True)
class Picked:
    """Images picked to show one kind of verdict.

    Attributes:
        title: What the images are, in words.
        rows: Positions of the images, the most telling one first.
    """

    title: str
    rows: tuple[int, ...]


KINDS = (
    Kind("AI-generated, surely found", FAKE, FAKE, sure=True),
    Kind("AI-generated, missed", FAKE, REAL, sure=True),
    Kind("AI-generated, close call", FAKE, None, sure=False),
    Kind("real, surely passed", REAL, REAL, sure=True),
    Kind("real, false alarm", REAL, FAKE, sure=True),
    Kind("real, close call", REAL, None, sure=False),
)
SURE = tuple(kind for kind in KINDS if kind.sure)


def pick(
    labels: NDArray[np.int64],
    logits: NDArray[np.float32],
    threshold: float,
    count: int,
    kinds: Sequence[Kind] = KINDS,
) -> list[Picked]:
    """Pick the most telling images of each kind of verdict.

    Sure ones are taken by their distance to the threshold, farthest first; close calls of either
    verdict nearest first. Ties keep their order.

    Args:
        labels: (N,) 1 for AI-generated.
        logits: (N,), nan where unscored.
        threshold: Above it the verdict is AI-generated.
        count: At most so many of a kind.
        kinds: Kinds to pick for, in this order.
    """
    margin = logits.astype(np.float64) - threshold
    verdict = (margin > 0).astype(np.int64)
    picked = []
    for kind in kinds:
        mask = (labels == kind.label) & np.isfinite(margin)
        if kind.verdict is not None:
            mask &= verdict == kind.verdict
        rows = np.flatnonzero(mask)
        distance = np.abs(margin[rows])
        order = np.argsort(-distance if kind.sure else distance, kind="stable")
        picked.append(Picked(kind.title, tuple(rows[order[:count]].tolist())))
    return picked


def draw_gallery(
    root: Place,
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
        records: All N images of the run.
        logits: (N,) in the records' order, nan where unscored.
        threshold: Logit above which the verdict is AI-generated.
        path: PNG to write.
        title: Text above the gallery.
        count: Pictures a row.

    Raises:
        OutputError: The place cannot be written.
    """
    labels = np.array([record.label for record in records], dtype=np.int64)
    picked = pick(labels, logits, threshold, count)
    figure = new_figure(1.4 * count, 1.7 * len(picked))
    grid = figure.subplots(len(picked), count, squeeze=False)
    for line, images in zip(grid, picked, strict=True):
        for axes in line:
            axes.set_axis_off()
        title_of_line = images.title if images.rows else f"{images.title}: none"
        line[0].set_title(title_of_line, loc="left", fontsize=8)
        for axes, row in zip(line, images.rows, strict=False):
            axes.imshow(load(root, records[row]))
            chance = 1 / (1 + np.exp(-np.float64(logits[row])))
            axes.text(0, -0.04, f"{chance:.3f}", transform=axes.transAxes, fontsize=7, va="top")
    figure.suptitle(title, fontsize=9, parse_math=False)
    save_png(figure, path)


def draw_confusion(metrics: Metrics, path: Path, *, title: str) -> None:
    """Draw the counts of right and wrong verdicts as a square, shaded by the share of each class.

    Raises:
        OutputError: The place cannot be written.
    """
    table = np.array([[metrics.tn, metrics.fp], [metrics.fn, metrics.tp]], dtype=float)
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
