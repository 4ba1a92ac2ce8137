"""What iterative attacks share: the objective, random starts by seed, and the worst image met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

KEEP = ("best", "last")
STOP = ("never", "success")
_STRIDE = 0x9E3779B97F4A7C15


def hurt(logits: Tensor, labels: Tensor) -> Tensor:
    """``(M,)`` how wrong the detector is, ``-(2y - 1) z``: the larger, the better for the attacker."""
    return torch.where(labels == 1, -logits, logits)


def fooled(logits: Tensor, labels: Tensor) -> Tensor:
    """``(M,)`` bool: the verdict is wrong, the threshold being zero."""
    return (logits > 0) != (labels == 1)


def reseed(seeds: Sequence[int], number: int) -> list[int]:
    """Other seeds for another restart; the first restart keeps the seeds as they are."""
    return [(seed + number * _STRIDE) % 2**63 for seed in seeds]


def generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One CPU generator an image: the global one would tie an image to its batch and device."""
    return [torch.Generator("cpu").manual_seed(seed) for seed in seeds]


def uniform_start(canvas: Tensor, seeds: Sequence[int], eps: float) -> Tensor:
    """``(N, 3, h, w)`` uniform in [-eps, eps], each image by its own seed."""
    starts = [torch.rand(canvas.shape[1:], generator=own) for own in generators(seeds)]
    return (torch.stack(starts) * (2 * eps) - eps).to(canvas.device)


def ball_start(canvas: Tensor, seeds: Sequence[int], eps: float) -> Tensor:
    """``(N, 3, h, w)`` of uniform direction and of length uniform in [0, eps], by the image's seed."""
    starts = []
    for own in generators(seeds):
        direction = torch.randn(canvas.shape[1:], generator=own)
        radius = torch.rand((), generator=own) * eps
        starts.append(direction * (radius / torch.linalg.vector_norm(direction)))
    return torch.stack(starts).to(canvas.device)


@dataclass(slots=True, eq=False)
class Worst:
    """The most harmful image offered so far, for each of M images.

    Attributes:
        images: ``(M, 3, h, w)``.
        harm: ``(M,)`` its :func:`hurt`; -inf before the first offer.
    """

    images: Tensor
    harm: Tensor

    @classmethod
    def none(cls, canvas: Tensor) -> Self:
        """Nothing offered yet; the canvas stands in."""
        return cls(canvas.clone(), canvas.new_full((len(canvas),), float("-inf")))

    def offer(self, rows: Tensor, images: Tensor, harm: Tensor) -> None:
        """Take those of the images of ``rows`` that do more harm; a tie keeps the earlier one."""
        better = harm > self.harm[rows]
        chosen = rows[better]
        self.images[chosen] = images.detach()[better]
        self.harm[chosen] = harm[better]
