"""Geometry of the budget: distance, projection, and the 8-bit grid inside the budget."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

# Added to a length before dividing by it, or its least value: far below any length that matters, so
# that it changes no quotient, and a float32 still, so that a change or gradient of zero gives zero.
SMALLEST_LENGTH = 1e-30


def distance(images: Tensor, canvas: Tensor, norm: Literal["linf", "l2"]) -> Tensor:
    """Measure how far each image is from its canvas: ``(N,)`` float32, in units of [0, 1]."""
    delta = (images - canvas).flatten(1)
    return delta.abs().amax(1) if norm == "linf" else torch.linalg.vector_norm(delta, dim=1)


def project(images: Tensor, canvas: Tensor, eps: float, norm: Literal["linf", "l2"]) -> Tensor:
    """Move images to the nearest ones within ``eps`` of the canvas, and clip them to [0, 1].

    Images that are inside come back with the same bits, so an attack that keeps its own budget
    is not disturbed: rounding is monotone, hence ``canvas + delta`` never passes ``canvas + eps``.
    """
    if norm == "linf":
        inside = torch.minimum(torch.maximum(images, canvas - eps), canvas + eps)
    else:
        length = distance(images, canvas, "l2")
        scale = (eps / length.clamp_min(SMALLEST_LENGTH)).reshape(-1, 1, 1, 1)
        inside = torch.where(scale < 1, canvas + (images - canvas) * scale, images)
    return inside.clamp(0, 1)


def full_range(norm: Literal["linf", "l2"], size: int) -> float:
    """Return the budget that holds all of [0, 1]: the largest distance of two images.

    Args:
        norm: How the size of a change is measured.
        size: Values an image has, 3 * h * w.
    """
    return 1.0 if norm == "linf" else math.sqrt(size)


def levels_within(eps: float) -> int:
    """Count the whole 8-bit levels in ``eps``; ``0.031372549``, typed for 8/255, is 8 and not 7."""
    # A ten-thousandth of a level: what a fraction typed with seven digits may lack.
    return int(eps * 255 + 1e-4)


def to_grid(images: Tensor, canvas: Tensor, eps: float, norm: Literal["linf", "l2"]) -> Tensor:
    """Move images to the 8-bit grid without leaving the budget around a canvas on the grid.

    L-inf rounds to the nearest level among those the budget reaches. In L2 most changes are smaller
    than half a level and would all round to none, so the change is stretched before it is rounded,
    as far as its rounded length stays within its own. Values that do not move keep their bits.
    """
    base = (canvas * 255).round()
    if norm == "linf":
        reach = levels_within(eps)
        change = ((images * 255).round() - base).clamp(-reach, reach)
    else:
        change = _round_l2(images * 255 - base)
    level = (base + change).clamp(0, 255)
    return torch.where(level == base, canvas, of_levels(level))


def of_levels(levels: Tensor) -> Tensor:
    """Turn whole 8-bit levels, float of any shape, into values in [0, 1]; the same bits on every device."""
    # By a tensor, not by a number: on CUDA that would be a product with its rounded reciprocal.
    return levels / levels.new_tensor(255.0)


def _round_l2(change: Tensor) -> Tensor:
    """Find whole levels along each ``(N, ...)`` change, the most that are not longer than it.

    Rounding ``s * change`` takes, one level at a time, the levels that gain most along the change
    for the squared length they cost: the greedy solution, with ``s`` found by bisection.
    """
    flat = change.flatten(1)
    length = torch.linalg.vector_norm(flat, dim=1)
    # At 1 / the largest entry, that entry alone is a whole level; at half of it nothing is.
    low = 0.4 / flat.abs().amax(1).clamp_min(SMALLEST_LENGTH)
    high = torch.maximum(low * 4, torch.full_like(low, 2.0))
    for _ in range(24):  # halvings until float32 has no further digit
        middle = (low + high) / 2
        rounded = torch.linalg.vector_norm((flat * middle[:, None]).round(), dim=1)
        fits = rounded <= length
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    return (flat * low[:, None]).round().reshape_as(change)
