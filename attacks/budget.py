"""Geometry of the budget: distance, projection, and the 8-bit grid inside the budget."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor


def distance(images: Tensor, canvas: Tensor, norm: Literal["linf", "l2"]) -> Tensor:
    """``(N,)`` float32: how far each image is from its canvas, in units of [0, 1]."""
    delta = (images - canvas).flatten(1)
    return delta.abs().amax(1) if norm == "linf" else torch.linalg.vector_norm(delta, dim=1)


def project(images: Tensor, canvas: Tensor, eps: float, norm: Literal["linf", "l2"]) -> Tensor:
    """The nearest images within ``eps`` of the canvas, clipped to [0, 1].

    Images that are inside come back with the same bits, so an attack that keeps its own budget
    is not disturbed: rounding is monotone, hence ``canvas + delta`` never passes ``canvas + eps``.
    """
    if norm == "linf":
        inside = torch.minimum(torch.maximum(images, canvas - eps), canvas + eps)
    else:
        length = distance(images, canvas, "l2")
        scale = (eps / length.clamp_min(1e-30)).reshape(-1, 1, 1, 1)
        inside = torch.where(scale < 1, canvas + (images - canvas) * scale, images)
    return inside.clamp(0, 1)


def on_grid(canvas: Tensor) -> bool:
    """Whether every value is k/255 for a whole k, up to float32 rounding."""
    levels = canvas * 255
    return bool(((levels - levels.round()).abs() < 1e-3).all())


def levels_within(eps: float) -> int:
    """The whole 8-bit levels in ``eps``; ``0.031372549``, typed for 8/255, is 8 and not 7."""
    return int(eps * 255 + 1e-4)


def to_grid(images: Tensor, canvas: Tensor, eps: float, norm: Literal["linf", "l2"]) -> Tensor:
    """Images moved to the 8-bit grid without leaving the budget around a canvas on the grid.

    L-inf rounds to the nearest level among those the budget reaches; L2 rounds each change towards
    zero, since rounding to the nearest can lengthen it. Values that do not move keep their bits.
    """
    base = (canvas * 255).round()
    if norm == "linf":
        reach = levels_within(eps)
        change = ((images * 255).round() - base).clamp(-reach, reach)
    else:
        change = (images * 255 - base).trunc()
    level = (base + change).clamp(0, 255)
    return torch.where(level == base, canvas, level / 255)
