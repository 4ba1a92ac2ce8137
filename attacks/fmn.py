"""FMN: fast minimum-norm attack (Pintor et al. 2021, algorithm 1), L-inf and L2."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.base import Norm
from attacks.budget import SMALLEST_LENGTH
from attacks.checks import real
from attacks.minimal import Hunt, MinimalNorm, furthest, size_of, unit_length

LAST_GAMMA = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class FMN(MinimalNorm):
    """Fast minimum-norm attack in the L-inf norm, white-box: the distance of every image in one run.

    From the image, with the loss ``L`` and its gradient ``g``, the radius ``r`` of an image follows the
    border, and the change ``d`` the gradient inside it::

        r_{t+1} = min(r_t (1 - gamma_t), |d*|)   where d_t fools
                  r_t (1 + gamma_t)              where only an earlier one did
                  |d_t| + |L| / |g|_dual         before
        d_{t+1} = clip(x + P_r(d_t + step_t * g / |g|_2)) - x

    with ``d*`` the smallest change that fools so far, and step and gamma on a cosine schedule, from
    ``step`` to a hundredth of it and from ``gamma`` to 0.001. Source: Pintor et al. 2021, "Fast
    Minimum-norm Adversarial Attacks through Adaptive Norm Constraints", algorithm 1.

    Attributes:
        step: First step of the change, in units of [0, 1].
        gamma: First relative step of the radius.
    """

    name: ClassVar[str] = "fmn"
    summary: ClassVar[str] = "distance of every image by a radius that follows the border (L-inf)"
    concurrent: ClassVar[bool] = True

    step: float = 1.0
    gamma: float = 0.05

    def check_more(self) -> None:
        """Check step and gamma."""
        object.__setattr__(self, "step", real(f"{self.name} step", self.step, 1e-6, 1000.0))
        object.__setattr__(self, "gamma", real(f"{self.name} gamma", self.gamma, LAST_GAMMA, 0.9))

    def search(self, hunt: Hunt) -> None:
        """Move the change along the gradient, inside a radius that follows the border."""
        canvas, change = hunt.canvas, torch.zeros_like(hunt.canvas)
        limit = furthest(canvas, self.norm).clamp_max(self.eps)
        radius = torch.full_like(limit, float("inf"))
        for number in range(self.steps):
            progress = (1 + math.cos(math.pi * number / self.steps)) / 2
            step = self.step / 100 + (self.step - self.step / 100) * progress
            gamma = LAST_GAMMA + (self.gamma - LAST_GAMMA) * progress
            gradient, wrong = hunt.gradient(change)
            border = gradient.logits.abs() / self.dual(gradient.grad).clamp_min(SMALLEST_LENGTH)
            outside = torch.where(
                hunt.ever_fooled, radius * (1 + gamma), size_of(change, self.norm) + border
            )
            inside = torch.minimum(radius * (1 - gamma), hunt.length)
            radius = torch.minimum(torch.where(wrong, inside, outside), limit)
            change = self.project(change + step * unit_length(gradient.grad), radius)
            change = (canvas + change).clamp(0, 1) - canvas

    def dual(self, grad: Tensor) -> Tensor:
        """Measure ``(M, 3, h, w)`` gradients in the dual norm, L1: ``(M,)``."""
        return grad.flatten(1).abs().sum(1)

    def project(self, change: Tensor, radius: Tensor) -> Tensor:
        """Project changes onto the ball of each image's radius, ``(M,)``."""
        reach = radius.reshape(-1, 1, 1, 1)
        return torch.minimum(torch.maximum(change, -reach), reach)


@dataclass(frozen=True, slots=True, kw_only=True)
class FMNL2(FMN):
    """Fast minimum-norm attack in the L2 norm, white-box; as :class:`FMN`, with the L2 ball."""

    name: ClassVar[str] = "fmn-l2"
    summary: ClassVar[str] = "distance of every image by a radius that follows the border (L2)"
    norm: ClassVar[Norm] = "l2"

    eps: float = 100.0

    def dual(self, grad: Tensor) -> Tensor:
        """Measure ``(M, 3, h, w)`` gradients in the dual norm, L2: ``(M,)``."""
        return size_of(grad, "l2")

    def project(self, change: Tensor, radius: Tensor) -> Tensor:
        """Project changes onto the ball of each image's radius, ``(M,)``."""
        length = size_of(change, "l2").clamp_min(SMALLEST_LENGTH)
        return change * (radius / length).clamp_max(1).reshape(-1, 1, 1, 1)


ATTACKS = {"fmn": FMN, "fmn-l2": FMNL2}
