"""PGD: projected gradient steps (Madry et al. 2018, section 2.1), L-inf and L2."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from attacks.base import UNBOUNDED_DIVISOR, UNBOUNDED_STEPS, Attack, LogitFn, Norm, Perturbed
from attacks.budget import SMALLEST_LENGTH, distance, full_range
from attacks.checks import choice, flag, real, whole
from attacks.gradient import LOSSES, InputGradient, input_gradient
from attacks.search import KEEP, STOP, Search, ball_start, uniform_start


@dataclass(frozen=True, slots=True, kw_only=True)
class PGD(Attack):
    """Projected gradient descent in the L-inf norm, white-box.

    From ``x_0``, drawn uniformly from the budget around the image ``x``, it climbs the loss ``L``::

        x_{t+1} = clip(x + clip(x_t + step * sign(grad L(x_t)) - x, -eps, eps), 0, 1)

    and keeps the iterate with the largest margin loss. Source: Madry et al. 2018, "Towards Deep
    Learning Models Resistant to Adversarial Attacks", section 2.1.

    Attributes:
        steps: Gradient steps of a restart.
        step: Size of a step, in the norm's units; none means a quarter of eps.
        random_start: Begin at a point drawn from the budget, by the image's own seed.
        loss: ``margin`` (never saturates) or ``ce`` (cross-entropy, as published).
        restarts: Random starts; the most harmful image of all counts.
        keep: ``best`` keeps the most harmful iterate, ``last`` the last one, as published.
        stop: ``success`` lets an image rest once it is fooled, rounding included: right for success
            rates, wrong for ranks, since its logit stays near the threshold.
        samples: Gradients averaged for a step (expectation over transformation, Athalye et al. 2018),
            for logits that are drawn at random.
        aware: Whoever builds the logit function is to run it behind the corruptions that follow, so
            that the attack survives them.
    """

    name: ClassVar[str] = "pgd"
    summary: ClassVar[str] = "projected gradient-sign steps from a random start (L-inf)"
    concurrent: ClassVar[bool] = True

    steps: int = 10
    step: float | None = None
    random_start: bool = True
    loss: str = "margin"
    restarts: int = 1
    keep: str = "best"
    stop: str = "never"
    samples: int = 1
    aware: bool = False

    def check(self) -> None:
        """Check the parameters of the search.

        Raises:
            ValueError: One of them is not valid, or two of them contradict each other.
        """
        object.__setattr__(self, "steps", whole(f"{self.name} steps", self.steps, 1, 100_000))
        whole(f"{self.name} restarts", self.restarts, 1, 1000)
        flag(f"{self.name} random_start", self.random_start)
        choice(f"{self.name} loss", self.loss, LOSSES)
        choice(f"{self.name} keep", self.keep, KEEP)
        choice(f"{self.name} stop", self.stop, STOP)
        whole(f"{self.name} samples", self.samples, 1, 1000)
        if flag(f"{self.name} aware", self.aware) and self.stop == "success":
            raise ValueError(
                f"{self.name} aware=true goes by random draws, by which an image may be fooled by "
                "luck: use stop=never"
            )
        if self.restarts > 1 and not self.random_start:
            raise ValueError(
                f"{self.name} restarts={self.restarts} repeats one search without a random start: "
                "use restarts=1, or random_start=true"
            )
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
    def draws(self) -> bool:
        """Random starts, where there are any."""
        return self.random_start

    def perturb(
        self, logit_fn: LogitFn, canvas: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Perturbed:
        """Step along the gradient and project, from each start; where it is zero, stay."""
        rounding = self.admit if self.quantize else None
        search = Search.start(
            logit_fn, canvas, labels, seeds, keep=self.keep, stop=self.stop, rounding=rounding
        )
        for start_seeds in search.restarts(self.restarts):
            images = self.initial_point(search.canvas, start_seeds)
            for _ in search.steps(self.steps):
                gradient = self.gradient(logit_fn, images, search.labels)
                moved = self.project(self.gradient_step(images, gradient.grad), search.canvas)
                images = search.advance(images, gradient, moved)
            search.finish_restart(images, compare=self._compares_last)
        return search.result()

    def initial_point(self, canvas: Tensor, seeds: Sequence[int]) -> Tensor:
        """Draw a point uniformly from the budget; the image itself without a random start."""
        if not self.random_start:
            return canvas
        return (canvas + uniform_start(canvas, seeds, self.eps)).clamp(0, 1)

    def gradient(self, logit_fn: LogitFn, images: Tensor, labels: Tensor) -> InputGradient:
        """Take the gradient of the loss at an iterate; the mean over ``samples`` draws of it."""
        draws = [input_gradient(logit_fn, images, labels, self.loss) for _ in range(self.samples)]
        if len(draws) == 1:
            return draws[0]
        return InputGradient(
            grad=torch.stack([draw.grad for draw in draws]).mean(0),
            logits=torch.stack([draw.logits for draw in draws]).mean(0),
            loss=self.loss,
            samples=self.samples,
        )

    def gradient_step(self, images: Tensor, grad: Tensor) -> Tensor:
        """Step in the direction of steepest ascent of the norm: the sign of the gradient."""
        return images.detach() + self.step_size * grad.sign()

    def project(self, moved: Tensor, canvas: Tensor) -> Tensor:
        """Project onto the budget around the canvas, then onto [0, 1]."""
        # The published order of expressions: another one moves results by a last bit, and a
        # last bit turns the sign of small gradients.
        delta = (moved - canvas).clamp(-self.eps, self.eps)
        return (canvas + delta).clamp(0, 1)

    @property
    def step_size(self) -> float:
        """Size of a step in the norm's units, with the default filled in."""
        return self.eps / 4 if self.step is None else self.step

    @property
    def gradients(self) -> int:
        """Gradients of all restarts, every sample of a step counted; fewer with an early stop."""
        return self.restarts * self.steps * self.samples

    @property
    def queries(self) -> int:
        """A look at the last iterate of each restart; with an early stop, at rounded ones too."""
        rounded = self.steps if self.stops_early and self.quantize else 0
        return self.restarts * (rounded + self._compares_last)

    @property
    def nests(self) -> bool:
        """Not where it goes by random draws, by which the worst of several pictures is luck."""
        return self.nested and not self.aware

    @property
    def stops_early(self) -> bool:
        """Whether a fooled image is left as it is, as ``stop`` says."""
        return self.stop == "success"

    @property
    def _compares_last(self) -> bool:
        """Whether the last iterate of a restart is not the outcome as a matter of course."""
        return self.keep == "best" or self.restarts > 1

    def unbounded(self, size: int) -> Self:
        """Return the attack over the whole range: from the image itself, in a single fine search."""
        eps = full_range(self.norm, size)
        return dataclasses.replace(
            self,
            eps=eps,
            step=eps / UNBOUNDED_DIVISOR,
            steps=max(UNBOUNDED_STEPS, self.steps),
            random_start=False,
            restarts=1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PGDL2(PGD):
    """Projected gradient descent in the L2 norm, white-box.

    As :class:`PGD`, with the gradient ``g`` normalised and the projection onto a ball::

        y = x_t + step * g / |g|,    x_{t+1} = clip(x + (y - x) * min(1, eps / |y - x|), 0, 1)

    It starts in a direction drawn uniformly, at a length drawn uniformly from [0, eps]. Source: Madry
    et al. 2018, section 2.1; step and start are those of torchattacks' PGDL2.
    """

    name: ClassVar[str] = "pgd-l2"
    summary: ClassVar[str] = "projected gradient steps from a random start (L2)"
    norm: ClassVar[Norm] = "l2"

    eps: float = 1.0

    def initial_point(self, canvas: Tensor, seeds: Sequence[int]) -> Tensor:
        """Draw a point from the ball; the image itself without a random start."""
        if not self.random_start:
            return canvas
        return (canvas + ball_start(canvas, seeds, self.eps)).clamp(0, 1)

    def gradient_step(self, images: Tensor, grad: Tensor) -> Tensor:
        """Step in the direction of steepest ascent of the norm: the gradient at unit length."""
        length: Tensor = torch.linalg.vector_norm(grad.flatten(1), dim=1).reshape(-1, 1, 1, 1)
        return images.detach() + self.step_size * (grad / (length + SMALLEST_LENGTH))

    def project(self, moved: Tensor, canvas: Tensor) -> Tensor:
        """Project onto the ball around the canvas, then onto [0, 1]."""
        length = distance(moved, canvas, "l2").clamp_min(SMALLEST_LENGTH)
        factor = (self.eps / length).clamp_max(1).reshape(-1, 1, 1, 1)
        return (canvas + (moved - canvas) * factor).clamp(0, 1)


ATTACKS = {"pgd": PGD, "pgd-l2": PGDL2}
