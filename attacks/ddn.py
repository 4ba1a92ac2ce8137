"""DDN: direction and norm apart (Rony et al. 2019, algorithm 1), L2."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from attacks.base import Norm
from attacks.budget import SMALLEST_LENGTH
from attacks.checks import real
from attacks.minimal import Hunt, MinimalNorm, furthest, size_of, unit_length


@dataclass(frozen=True, slots=True, kw_only=True)
class DDN(MinimalNorm):
    """Decoupled direction and norm in the L2 norm, white-box: the distance of every image in one run.

    The change ``d`` follows the gradient ``g``, and is then put at a length ``r`` that shrinks where it
    fools and grows where it does not::

        r_{t+1} = r_t (1 - gamma) where x + d_t fools, else r_t (1 + gamma)
        d_{t+1} = clip(x + r_{t+1} * u / |u|) - x,   u = d_t + step_t * g / |g|

    with the step on a cosine schedule from 1 to 0.01. The margin's gradient stands for that of the
    cross-entropy, whose direction it has for two classes, and does not vanish. Source: Rony et al. 2019,
    "Decoupling Direction and Norm for Efficient Gradient-Based L2 Adversarial Attacks and Defenses",
    algorithm 1.

    Attributes:
        eps: How far it looks: the largest distance, in units of [0, 1].
        start: First length, in units of [0, 1].
        gamma: Relative step of the length.
    """

    name: ClassVar[str] = "ddn"
    summary: ClassVar[str] = "distance of every image, direction and length searched apart (L2)"
    concurrent: ClassVar[bool] = True
    norm: ClassVar[Norm] = "l2"

    eps: float = 100.0
    start: float = 1.0
    gamma: float = 0.05

    def check_more(self) -> None:
        """Check the first length and gamma."""
        object.__setattr__(self, "start", real(f"{self.name} start", self.start, 1e-6, 1000.0))
        object.__setattr__(self, "gamma", real(f"{self.name} gamma", self.gamma, 1e-6, 0.9))

    def search(self, hunt: Hunt) -> None:
        """Turn the change along the gradient, and set its length by whether it fools."""
        canvas, change = hunt.canvas, torch.zeros_like(hunt.canvas)
        limit = furthest(canvas, "l2").clamp_max(self.eps)
        radius = torch.full_like(limit, self.start)
        for number in range(self.steps):
            step = 0.01 + 0.99 * (1 + math.cos(math.pi * number / self.steps)) / 2
            gradient, wrong = hunt.gradient(change)
            change = change + step * unit_length(gradient.grad)
            radius = radius * torch.where(wrong, 1 - self.gamma, 1 + self.gamma)
            radius = torch.minimum(radius, limit)
            length = size_of(change, "l2").clamp_min(SMALLEST_LENGTH)
            change = change * (radius / length).reshape(-1, 1, 1, 1)
            change = (canvas + change).clamp(0, 1) - canvas


ATTACKS = {"ddn": DDN}
