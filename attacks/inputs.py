"""What an attack is given, held to its contract before anything is searched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor


def shifted(logit_fn: Callable[[Tensor], Tensor], threshold: float) -> Callable[[Tensor], Tensor]:
    """Move the threshold of a logit function to zero, and check the shape of its output.

    Raises:
        ValueError: The threshold is not finite, or the function does not give one logit an image.
    """
    if not np.isfinite(threshold):
        raise ValueError(f"the threshold must be a finite number, got {threshold!r}")

    def moved(images: Tensor) -> Tensor:
        logits = logit_fn(images)
        if logits.shape != (len(images),):
            raise ValueError(
                f"the logit function must give one logit an image, shape ({len(images)},), "
                f"got {tuple(logits.shape)}"
            )
        return logits if threshold == 0 else logits - threshold

    return moved


def named_by(goal: str, labels: Tensor) -> Tensor:
    """Find the images that the goal names; ``(N,)`` bool."""
    if goal == "both":
        return torch.ones_like(labels, dtype=torch.bool)
    return labels == (1 if goal == "evade" else 0)


def check_inputs(canvas: Tensor, labels: Tensor, seeds: Any, quantize: bool) -> list[int]:
    """Read the seeds as integers, and hold every input to what :class:`attacks.base.Attack` states.

    Raises:
        ValueError: An input is not as stated.
    """
    count = len(canvas) if canvas.ndim else 0
    if canvas.ndim != 4 or canvas.shape[1] != 3 or canvas.dtype != torch.float32:
        raise ValueError(
            f"the canvas must be float32 of shape (N, 3, h, w), got {canvas.dtype} "
            f"of shape {tuple(canvas.shape)}"
        )
    # Written so that nan fails it too.
    if not bool(((canvas >= 0) & (canvas <= 1)).all()):
        raise ValueError(
            "the canvas must be finite and in [0, 1] (normalisation belongs inside the logit "
            f"function), got {float(canvas.min()):g} to {float(canvas.max()):g}"
        )
    if quantize and not on_grid(canvas):
        raise ValueError(
            "the canvas is not on the 8-bit grid (k/255), so no 8-bit file holds it: "
            "round it first, or attack with quantize=false"
        )
    if labels.shape != (count,) or not bool(((labels == 0) | (labels == 1)).all()):
        raise ValueError(f"labels must be {count} values of 0 (real) or 1 (AI-generated)")
    numbers = [int(seed) for seed in (seeds.tolist() if hasattr(seeds, "tolist") else seeds)]
    if len(numbers) != count:
        raise ValueError(f"there must be one seed an image: {len(numbers)} for {count} images")
    return numbers


def on_grid(canvas: Tensor) -> bool:
    """Tell whether every value is k/255 for a whole k, up to float32 rounding."""
    levels = canvas * 255
    # Rounding k/255 and its product with 255 leaves less than 1e-4 of a level.
    return bool(((levels - levels.round()).abs() < 1e-3).all())
