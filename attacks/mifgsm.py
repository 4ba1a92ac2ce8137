"""Gradients that carry over: momentum (MI-FGSM), varied inputs (DI-FGSM), smoothed gradients (TI-FGSM)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from attacks.base import UNBOUNDED_DIVISOR, UNBOUNDED_STEPS, Attack, LogitFn, Perturbed
from attacks.budget import full_range
from attacks.checks import choice, real, whole
from attacks.gradient import LOSSES, InputGradient, input_gradient
from attacks.search import Search, generators

# Standard deviations of the Gaussian from the kernel's centre to its edge, as published.
_DEVIATIONS = 3.0


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


@dataclass(frozen=True, slots=True, kw_only=True)
class DIFGSM(MIFGSM):
    """Input diversity in the L-inf norm, with momentum: each gradient is taken at a varied picture.

    White-box, or against a surrogate. With probability ``diversity``, the picture is shrunk to a random
    size of at least ``shrink`` of its own and set at a random place on black before the detector sees
    it; the gradient is that of the picture all the same. Source: Xie et al. 2019, "Improving
    Transferability of Adversarial Examples with Input Diversity", algorithm 1 (M-DI2-FGSM).

    Attributes:
        diversity: Probability that a picture is varied, image by image and step by step.
        shrink: Least share of its side that it is shrunk to.
    """

    name: ClassVar[str] = "difgsm"
    summary: ClassVar[str] = "momentum steps at pictures resized and padded at random (L-inf)"

    diversity: float = 0.5
    shrink: float = 0.9

    def check(self) -> None:
        """Check diversity and shrink, and what momentum needs."""
        MIFGSM.check(self)
        object.__setattr__(
            self, "diversity", real(f"{self.name} diversity", self.diversity, 0.0, 1.0)
        )
        object.__setattr__(self, "shrink", real(f"{self.name} shrink", self.shrink, 0.1, 1.0))

    @property
    def draws(self) -> bool:
        """Sizes and places, unless nothing is varied."""
        return self.diversity > 0

    def gradients_of(
        self, logit_fn: LogitFn, labels: Tensor, seeds: Sequence[int]
    ) -> Callable[[Tensor], InputGradient]:
        """Take gradients at varied pictures, by each image's own generator."""
        rngs = generators(seeds)

        def varied(images: Tensor) -> Tensor:
            return logit_fn(
                torch.stack([self._vary(i, r) for i, r in zip(images, rngs, strict=True)])
            )

        def gradient(images: Tensor) -> InputGradient:
            return input_gradient(varied, images, labels, self.loss)

        return gradient

    def _vary(self, image: Tensor, rng: torch.Generator) -> Tensor:
        """Shrink and pad one ``(3, h, w)`` image, or leave it; draws in the published order."""
        height, width = image.shape[1:]
        least = int(width * self.shrink)
        if least >= width:
            return image
        new_width = int(torch.randint(least, width, (1,), generator=rng))
        new_height = max(round(new_width * height / width), 1)
        new_height = min(new_height, height - 1) if height > 1 else height
        top = int(torch.randint(0, max(height - new_height, 1), (1,), generator=rng))
        left = int(torch.randint(0, width - new_width, (1,), generator=rng))
        if float(torch.rand(1, generator=rng)) >= self.diversity:
            return image
        small = F.interpolate(
            image[None], size=[new_height, new_width], mode="bilinear", align_corners=False
        )
        right, bottom = width - new_width - left, height - new_height - top
        return F.pad(small, [left, right, top, bottom])[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class TIFGSM(DIFGSM):
    """Translation invariance in the L-inf norm, with momentum and input diversity.

    As :class:`DIFGSM`, with every gradient smoothed by a Gaussian of ``kernel`` pixels, which stands for
    the mean over shifted pictures. Source: Dong et al. 2019, "Evading Defenses to Transferable
    Adversarial Examples by Translation-Invariant Attacks", section 3.2.

    Attributes:
        kernel: Side of the kernel in pixels, odd.
    """

    name: ClassVar[str] = "tifgsm"
    summary: ClassVar[str] = (
        "momentum steps, varied pictures, gradients smoothed over shifts (L-inf)"
    )

    kernel: int = 15

    def check(self) -> None:
        """Check the kernel, and what input diversity needs."""
        DIFGSM.check(self)
        object.__setattr__(self, "kernel", whole(f"{self.name} kernel", self.kernel, 1, 101))
        if self.kernel % 2 == 0:
            raise ValueError(
                f"{self.name} kernel must be odd, got {self.kernel}: use {self.kernel + 1}"
            )

    def smooth(self, grad: Tensor) -> Tensor:
        """Smooth each channel of ``(M, 3, h, w)`` gradients by the Gaussian kernel."""
        place = torch.linspace(-_DEVIATIONS, _DEVIATIONS, self.kernel, dtype=torch.float64)
        line = torch.exp(-place.square() / 2)
        plane = torch.outer(line, line)
        weights = (plane / plane.sum()).to(grad).expand(3, 1, -1, -1)
        return F.conv2d(grad, weights, padding="same", groups=3)


ATTACKS = {"mifgsm": MIFGSM, "difgsm": DIFGSM, "tifgsm": TIFGSM}
