"""DeepFool: steps to the border of the linearised detector (Moosavi-Dezfooli et al. 2016), L2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from attacks.base import Norm
from attacks.budget import SMALLEST_LENGTH
from attacks.checks import real
from attacks.minimal import Hunt, MinimalNorm, size_of

# Added to the logit, so that a step is not lost in rounding, as in published code.
NUDGE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepFool(MinimalNorm):
    """DeepFool in the L2 norm, white-box: quick, and further from the image than FMN or DDN.

    Every step goes to where the detector, were it linear, would be undecided, and the sum of all steps
    a little further::

        p_{t+1} = p_t + |z| g / |g|^2,    x_{t+1} = clip(x + (1 + overshoot) p_{t+1}, 0, 1)

    until the image fools. Source: Moosavi-Dezfooli et al. 2016, "DeepFool: a simple and accurate method
    to fool deep neural networks", algorithm 1, for two classes.

    Attributes:
        eps: How far it looks: the largest distance, in units of [0, 1].
        steps: Gradients of an image, at most.
        overshoot: How much further than the border of the linearised detector.
    """

    name: ClassVar[str] = "deepfool"
    summary: ClassVar[str] = "distance of every image by steps to the linearised border (L2)"
    concurrent: ClassVar[bool] = True
    norm: ClassVar[Norm] = "l2"

    eps: float = 100.0
    steps: int = 50
    overshoot: float = 0.02

    def check_more(self) -> None:
        """Check how far it overshoots."""
        object.__setattr__(
            self, "overshoot", real(f"{self.name} overshoot", self.overshoot, 0.0, 10.0)
        )

    def search(self, hunt: Hunt) -> None:
        """Step to the linearised border until every image fools."""
        canvas, change = hunt.canvas, torch.zeros_like(hunt.canvas)
        total = torch.zeros_like(canvas)
        walks = torch.ones_like(hunt.labels, dtype=torch.bool)
        for _ in range(self.steps):
            gradient, wrong = hunt.gradient(change, walks)
            walks = walks & ~wrong
            if not bool(walks.any()):
                return
            squared = size_of(gradient.grad, "l2").square().clamp_min(SMALLEST_LENGTH)
            reach = (gradient.logits.abs() + NUDGE) / squared
            total = total + reach.reshape(-1, 1, 1, 1) * gradient.grad
            moved = (canvas + (1 + self.overshoot) * total).clamp(0, 1) - canvas
            change = torch.where(walks.reshape(-1, 1, 1, 1), moved, change)


ATTACKS = {"deepfool": DeepFool}
