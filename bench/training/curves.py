"""Loss, accuracy and AUC by epoch, as one SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import new_figure, save_svg

if TYPE_CHECKING:
    from bench.training.module import Epoch


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
