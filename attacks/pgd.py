"""PGD: projected gradient-sign steps (Madry et al. 2018, section 2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.base import Attack, LogitFn, Perturbed
from attacks.checks import choice, flag, real, whole
from attacks.gradient import LOSSES, ascend, broken, require_finite, usable


@dataclass(frozen=True, slots=True, kw_only=True)
class PGD(Attack):
    """Projected gradient descent, L-inf; the last iterate counts.

    Attributes:
        steps: Gradient steps.
        step: Size of a step in units of [0, 1]; none means a quarter of eps.
        random_start: Begin at a point drawn uniformly from the budget, by the image's own seed.
        loss: ``margin`` (never saturates) or ``ce`` (cross-entropy, as published).
    """

    name: ClassVar[str] = "pgd"
    summary: ClassVar[str] = "projected gradient-sign steps from a random start (L-inf)"

    steps: int = 10
    step: float | None = None
    random_start: bool = True
    loss: str = "margin"

    def check(self) -> None:
        """Checks steps, step size and loss."""
        object.__setattr__(self, "steps", whole(f"{self.name} steps", self.steps, 1, 100_000))
        flag(f"{self.name} random_start", self.random_start)
        choice(f"{self.name} loss", self.loss, LOSSES)
        if self.step is None:
            return
        step = real(f"{self.name} step", self.step, 0.0, float("inf"))
        object.__setattr__(self, "step", step)
        if step == 0:
            raise ValueError(f"{self.name} step=0 never moves: leave it out for eps/4")
        if 0 < 2 * self.eps < step:
            raise ValueError(
                f"{self.name} step={step:g} is wider than the whole budget (2*eps = "
                f"{2 * self.eps:g}): use step <= {2 * self.eps:g}, or leave it out for eps/4"
            )

    @property
    def step_size(self) -> float:
        """The step in units of [0, 1], with the default filled in."""
        return self.eps / 4 if self.step is None else self.step

    def perturb(
        self, logit_fn: LogitFn, canvas: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Perturbed:
        """Steps and projects; a gradient that dies after the first step leaves its image there."""
        images = canvas
        if self.random_start:
            images = (canvas + uniform_start(canvas, seeds, self.eps)).clamp(0, 1)
        zero = float("nan")
        bad = torch.zeros_like(labels, dtype=torch.bool)
        for number in range(self.steps):
            ascent = ascend(logit_fn, images, labels, self.loss)
            if number == 0:
                zero = usable(ascent)
            bad |= broken(ascent.grad)
            # The published order of expressions: another one moves results by a last bit, and a
            # last bit turns the sign of small gradients.
            moved = images.detach() + self.step_size * ascent.grad.sign()
            delta = (moved - canvas).clamp(-self.eps, self.eps)
            images = (canvas + delta).clamp(0, 1)
        require_finite(bad)
        return Perturbed(images, torch.full_like(labels, self.steps), zero)


def uniform_start(canvas: Tensor, seeds: Sequence[int], eps: float) -> Tensor:
    """``(N, 3, h, w)`` uniform in [-eps, eps], each image by its own seed.

    Drawn on the CPU, one generator an image: the global generator would tie an image's start to
    its batch, and a device's generator to the device.
    """
    starts = [
        torch.rand(canvas.shape[1:], generator=torch.Generator("cpu").manual_seed(seed))
        for seed in seeds
    ]
    return (torch.stack(starts) * (2 * eps) - eps).to(canvas.device)


ATTACKS = {"pgd": PGD}
