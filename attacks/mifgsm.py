"""MI-FGSM: gradient-sign steps with momentum (Dong et al. 2018, algorithm 1)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from attacks.base import UNBOUNDED_DIVISOR, UNBOUNDED_STEPS, Attack, LogitFn, Perturbed
from attacks.budget import full_range
from attacks.checks import choice, real, whole
from attacks.gradient import LOSSES, InputGradient, input_gradient
from attacks.search import Search


@dataclass(frozen=True, slots=True, kw_only=True)
class MIFGSM(Attack):
    """Momentum iterative FGSM in the L-inf norm: no stronger than PGD, but it carries over better.

    White-box, or against a surrogate. From ``g_0 = 0`` and the image ``x_0 = x``::

        g_{t+1} = decay * g_t + grad L(x_t) / mean |grad L(x_t)|
        x_{t+1} = clip(x + clip(x_t + step * sign(g_{t+1}) - x, -eps, eps), 0, 1)

    Source: Dong et al. 2018, "Boosting Adversarial Attacks with Momentum", algorithm 1, with the mean
    for the L1 length as in the published code; it differs by a factor that the sign does not see.

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
        """Check steps, step size, decay and loss."""
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

    @property
    def draws(self) -> bool:
        """Nothing: the same image gives the same result."""
        return False

    def perturb(
        self,
        logit_fn: LogitFn,
        canvas: Tensor,
        labels: Tensor,
        seeds: Sequence[int],
    ) -> Perturbed:
        """Step along the sign of the gathered gradients; the last iterate counts, as published."""
        search = Search.start(logit_fn, canvas, labels, seeds, keep="last")
        images, momentum = canvas, torch.zeros_like(canvas)
        gradient_at = self.gradients_of(logit_fn, labels, seeds)
        for _ in range(self.steps):
            gradient = gradient_at(images)
            grad = self.smooth(gradient.grad)
            # About the smallest normal float32: a gradient of zero adds nothing, instead of nan.
            size = grad.abs().mean(dim=(1, 2, 3), keepdim=True).clamp_min(1e-38)
            momentum = grad / size + momentum * self.decay
            moved = images.detach() + self.step_size * momentum.sign()
            delta = (moved - canvas).clamp(-self.eps, self.eps)
            images = search.advance(images, gradient, (canvas + delta).clamp(0, 1))
        search.finish_restart(images, compare=False)
        return search.result()

    def gradients_of(
        self, logit_fn: LogitFn, labels: Tensor, seeds: Sequence[int]
    ) -> Callable[[Tensor], InputGradient]:
        """Make the function that gives the gradient of the loss at ``(M, 3, h, w)`` iterates."""
        del seeds
        return lambda images: input_gradient(logit_fn, images, labels, self.loss)

    def smooth(self, grad: Tensor) -> Tensor:
        """Smooth the ``(M, 3, h, w)`` gradients before they are gathered; not here."""
        return grad

    @property
    def step_size(self) -> float:
        """Size of a step in units of [0, 1], with the default filled in."""
        return self.eps / 4 if self.step is None else self.step

    @property
    def gradients(self) -> int:
        """Gradients of one image, one a step."""
        return self.steps

    def unbounded(self, size: int) -> Self:
        """Return the attack over the whole range, in fine steps."""
        eps = full_range(self.norm, size)
        steps = max(UNBOUNDED_STEPS, self.steps)
        return dataclasses.replace(self, eps=eps, step=eps / UNBOUNDED_DIVISOR, steps=steps)


ATTACKS = {"mifgsm": MIFGSM}
