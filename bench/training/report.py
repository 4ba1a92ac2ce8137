"""Trainings side by side: the table of parameters, losses, accuracies and milliseconds a step."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, NothingSelectedError
from bench.support.figures import save_svg
from bench.support.user_file import read_text, why
from leaderboards.plots.figure import new_figure
from leaderboards.render.text import escape, table

if TYPE_CHECKING:
    from bench.training.module import Epoch


RECORD = "training.json"


def read_records(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """Read the records of trainings that lie in the folders, or one or two levels below.

    Raises:
        BenchError: A record cannot be read.
        NothingSelectedError: There is none.
    """
    records: dict[Path, dict[str, Any]] = {}
    for folder in folders:
        paths = {folder / RECORD, *folder.glob(f"*/{RECORD}"), *folder.glob(f"*/*/{RECORD}")}
        for path in sorted(path for path in paths if path.is_file()):
            records[path.resolve()] = _read_record(path)
    if not records:
        raise NothingSelectedError(
            f"no training in {', '.join(map(str, folders))}: `bench train` writes {RECORD} into its folder"
        )
    return list(records.values())


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise BenchError(f"{path} is no record of a training ({why(error)})") from error
    return record


def rows(records: Iterable[dict[str, Any]]) -> list[dict[str, str]]:
    """Sum each training up in one row; losses are binary cross-entropies on validation images."""
    return [_row(record) for record in records]


def _row(record: dict[str, Any]) -> dict[str, str]:
    history = record["history"]
    return {
        "detector": record["name"],
        "parameters (M)": f"{record['parameters'] / 1e6:.2f}",
        "learning (M)": f"{record['parameters_learning'] / 1e6:.2f}",
        "training images": str(record["data"]["train"]),
        "epochs": str(len(history)),
        "min loss": f"{min(e['val_loss'] for e in history):.4f}",
        "max accuracy": f"{max(e['val_accuracy'] for e in history):.4f}",
        "max AUC": f"{max(e['val_auc'] for e in history):.5f}",
        "ms/step": f"{sorted(e['ms_step'] for e in history)[len(history) // 2]:.0f}",
        "images/step": str(record["settings"]["batch"]),
        "started from": record["started_from"],
    }


def markdown(records: list[dict[str, Any]], *, curves: bool = True) -> str:
    """Write the table of trainings, and below it every training's epochs."""
    lines = [
        "# Trainings",
        "",
        *_table(rows(records)),
        "",
        "Loss (binary cross-entropy), accuracy at logit 0 and AUC are of the validation images, best of all "
        "epochs; ms/step is the median over epochs of an epoch's mean, without loading the data.",
    ]
    if curves:
        for record in records:
            lines += ["", f"## {escape(record['name'])}", "", *_table(_epochs(record))]
    return "\n".join(lines) + "\n"


def _epochs(record: dict[str, Any]) -> list[dict[str, str]]:
    best = record["best_epoch"]
    return [
        {
            "epoch": f"{e['epoch']} (kept)" if e["epoch"] == best else str(e["epoch"]),
            "training loss": f"{e['train_loss']:.4f}",
            "validation loss": f"{e['val_loss']:.4f}",
            "training accuracy": f"{e['train_accuracy']:.4f}",
            "validation accuracy": f"{e['val_accuracy']:.4f}",
            "validation AUC": f"{e['val_auc']:.5f}",
            "ms/step": f"{e['ms_step']:.0f}",
        }
        for e in record["history"]
    ]


def _table(cells: list[dict[str, str]]) -> list[str]:
    """Lines of a Markdown table, without the empty one at its end."""
    head = list(cells[0])
    return table(head, [[escape(row[key]) for key in head] for row in cells])[:-1]


def draw_curves(history: Sequence[Epoch], name: str, path: Path) -> None:
    """Draw two panels: losses on the left, accuracies and validation AUC on the right.

    Raises:
        OutputError: The place cannot be written.
    """
    epochs = [epoch.epoch for epoch in history]
    figure = new_figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [e.train_loss for e in history], marker=".", label="training")
    left.plot(epochs, [e.val_loss for e in history], marker=".", label="validation")
    left.set_ylabel("binary cross-entropy")
    right.plot(epochs, [e.train_accuracy for e in history], marker=".", label="training accuracy")
    right.plot(epochs, [e.val_accuracy for e in history], marker=".", label="validation accuracy")
    right.plot(epochs, [e.val_auc for e in history], marker=".", label="validation AUC")
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    figure.suptitle(name, parse_math=False)
    save_svg(figure, path)
