"""MI-FGSM: gradient-sign steps with momentum (Dong et al. 2018, algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.base import Attack, LogitFn, Perturbed
from attacks.checks import choice, real, whole
from attacks.gradient import LOSSES, ascend, broken, require_finite, usable


@dataclass(frozen=True, slots=True, kw_only=True)
class MIFGSM(Attack):
    """Momentum iterative FGSM, L-inf: no stronger than PGD here, but it carries over better.

    Attributes:
        steps: Gradient steps.
        step: Size of a step in units of [0, 1]; none means a quarter of eps.
        decay: Weight of the gradients before.
        loss: ``margin`` (never saturates) or ``ce`` (cross-entropy, as published).
    """

    name: ClassVar[str] = "mifgsm"
    summary: ClassVar[str] = "gradient-sign steps with momentum, made to carry over (L-inf)"
    concurrent: ClassVar[bool] = True

    steps: int = 10
    step: float | None = None
    decay: float = 1.0
    loss: str = "margin"

    def check(self) -> None:
        """Checks steps, step size, decay and loss."""
        object.__setattr__(self, "steps", whole(f"{self.name} steps", self.steps, 1, 100_000))
        object.__setattr__(self, "decay", real(f"{self.name} decay", self.decay, 0.0, 10.0))
        choice(f"{self.name} loss", self.loss, LOSSES)
        if self.step is None:
            return
        object.__setattr__(
            self, "step", real(f"{self.name} step", self.step, 0.0, max(2 * self.eps, 1.0))
        )
        if self.step == 0:
            raise ValueError(f"{self.name} step=0 never moves: leave it out for eps/4")

    def perturb(
        self,
        logit_fn: LogitFn,
        canvas: Tensor,
        labels: Tensor,
        seeds: Sequence[int],  # noqa: ARG002 - nothing is drawn
    ) -> Perturbed:
        """Steps along the sign of the gathered gradients; the last iterate counts, as published."""
        step = self.eps / 4 if self.step is None else self.step
        images, momentum = canvas, torch.zeros_like(canvas)
        bad = torch.zeros_like(labels, dtype=torch.bool)
        zero = float("nan")
        for number in range(self.steps):
            ascent = ascend(logit_fn, images, labels, self.loss)
            if number == 0:
                zero = usable(ascent)
            bad |= broken(ascent.grad)
            size = ascent.grad.abs().mean(dim=(1, 2, 3), keepdim=True).clamp_min(1e-38)
            momentum = ascent.grad / size + momentum * self.decay
            moved = images.detach() + step * momentum.sign()
            delta = (moved - canvas).clamp(-self.eps, self.eps)
            images = (canvas + delta).clamp(0, 1)
        require_finite(bad)
        return Perturbed(images, torch.full_like(labels, self.steps), zero)


ATTACKS = {"mifgsm": MIFGSM}
