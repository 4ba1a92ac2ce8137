"""APGD: PGD that chooses its own step sizes (Croce and Hein 2020, algorithm 1), L-inf and L2."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from attacks.base import UNBOUNDED_STEPS, Attack, LogitFn, Norm, Perturbed
from attacks.budget import SMALLEST_LENGTH, distance, full_range, project
from attacks.checks import choice, real, whole
from attacks.gradient import LOSSES, input_gradient, margin_loss
from attacks.search import Search, generators

# Weight of the new step beside the direction of the step before it (alpha of algorithm 1).
MOMENTUM = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class APGD(Attack):
    """Auto-PGD in the L-inf norm, white-box; the most harmful iterate counts.

    With ``P`` the projection onto the budget and [0, 1], and ``a = 0.75``::

        z_{t+1} = P(x_t + step * sign(grad L(x_t)))
        x_{t+1} = P(x_t + a * (z_{t+1} - x_t) + (1 - a) * (x_t - x_{t-1}))

    The step is 2 * eps at first. At checkpoints it is halved for each image whose loss grew in too few
    steps, or not at all, and the search goes on from the best iterate. Source: Croce and Hein 2020,
    "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks",
    section 3 and algorithm 1.

    Attributes:
        steps: Gradient steps of a restart.
        loss: ``margin`` or ``ce``. The DLR loss divides by the third largest logit, which two
            classes do not have; for two classes the margin is what DLR was made for: unsaturated.
        restarts: Random starts; the most harmful image of all counts.
        rho: Share of steps that must have gained, or the step is halved.
    """

    name: ClassVar[str] = "apgd"
    summary: ClassVar[str] = "PGD that chooses its own step sizes, best iterate kept (L-inf)"
    concurrent: ClassVar[bool] = True

    steps: int = 20
    loss: str = "margin"
    restarts: int = 1
    rho: float = 0.75

    def check(self) -> None:
        """Check steps, loss, restarts and rho."""
        object.__setattr__(self, "steps", whole(f"{self.name} steps", self.steps, 1, 100_000))
        whole(f"{self.name} restarts", self.restarts, 1, 1000)
        object.__setattr__(self, "rho", real(f"{self.name} rho", self.rho, 0.0, 1.0))
        if isinstance(self.loss, str) and self.loss.lower() == "dlr":
            raise ValueError(
                f"{self.name} loss must be one of margin, ce, got {self.loss!r}: DLR divides by the "
                "third largest logit, which a detector of two classes does not have; use loss=margin"
            )
        choice(f"{self.name} loss", self.loss, LOSSES)

    def perturb(
        self, logit_fn: LogitFn, canvas: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Perturbed:
        """Step with momentum, from each start; at checkpoints, halve steps and go back to the best."""
        search = Search.start(logit_fn, canvas, labels, seeds)
        periods = _periods(self.steps)
        for start_seeds in search.restarts(self.restarts):
            start = project(self.initial_point(canvas, start_seeds), canvas, self.eps, self.norm)
            best = point = self._evaluate(start, search)
            before = point.images
            pace = _Pace.start(point.margins, 2 * self.eps)
            for number in range(1, self.steps + 1):
                # Nothing lies before the start, so the first step is the gradient's alone.
                weight = MOMENTUM if number > 1 else 1.0
                moved = self._momentum_step(point, before, canvas, pace.step, weight)
                before, point = point.images, self._evaluate(moved, search)
                pace.record(point.margins)
                best = point.where(point.margins > best.margins, best)
                if number in periods:
                    halved = pace.halve(periods[number], best.margins, self.rho)
                    point = best.where(halved, point)
            search.require_finite()
        return search.result()

    def initial_point(self, canvas: Tensor, seeds: Sequence[int]) -> Tensor:
        """Draw a point of the budget uniformly, then stretch it until it touches the budget's border."""
        starts = []
        for rng in generators(seeds):
            noise = 2 * torch.rand(canvas.shape[1:], generator=rng) - 1
            starts.append(noise / noise.abs().max())
        return canvas + self.eps * torch.stack(starts).to(canvas.device)

    def gradient_step(self, images: Tensor, grad: Tensor, step: Tensor) -> Tensor:
        """Step in the direction of steepest ascent of the norm: the sign of the gradient."""
        return images + step * grad.sign()

    def _momentum_step(
        self, point: _Point, before: Tensor, canvas: Tensor, step: Tensor, weight: float
    ) -> Tensor:
        """Mix the projected gradient step with the direction from the iterate before."""
        images = point.images
        moved = self.gradient_step(images, point.grad, step.reshape(-1, 1, 1, 1))
        moved = project(moved, canvas, self.eps, self.norm)
        mixed = images + weight * (moved - images) + (1 - weight) * (images - before)
        return project(mixed, canvas, self.eps, self.norm)

    def _evaluate(self, images: Tensor, search: Search) -> _Point:
        gradient = input_gradient(search.logit_fn, images, search.labels, self.loss)
        search.record(images, gradient)
        return _Point(images, gradient.grad, margin_loss(gradient.logits, search.labels))

    @property
    def gradients(self) -> int:
        """Gradients of all restarts, each of which takes one more than it takes steps."""
        return self.restarts * (self.steps + 1)

    def unbounded(self, size: int) -> Self:
        """Return the attack over the whole range, in one search long enough to settle on its step.

        Its first step leaps across the range, as published; an image that gains nothing by it has it
        halved at every checkpoint, and 25 steps have 15 of them.
        """
        return dataclasses.replace(
            self,
            eps=full_range(self.norm, size),
            steps=max(UNBOUNDED_STEPS, self.steps),
            restarts=1,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    """An iterate of M images.

    Attributes:
        images: ``(M, 3, h, w)`` iterate.
        grad: ``(M, 3, h, w)`` gradient of the loss there.
        margins: ``(M,)`` margin loss there.
    """

    images: Tensor
    grad: Tensor
    margins: Tensor

    def where(self, rows: Tensor, other: _Point) -> _Point:
        """Take this point in the images that ``rows``, ``(M,)`` bool, names, and the other elsewhere."""
        wide = rows.reshape(-1, 1, 1, 1)
        return _Point(
            torch.where(wide, self.images, other.images),
            torch.where(wide, self.grad, other.grad),
            torch.where(rows, self.margins, other.margins),
        )


@dataclass(slots=True, eq=False)
class _Pace:
    """The step sizes of M images, and how the search went since the last checkpoint.

    Attributes:
        step: ``(M,)`` step size.
        last: ``(M,)`` margin loss after the last step.
        gains: ``(M,)`` steps since the last checkpoint that gained on the step before.
        best: ``(M,)`` best margin loss at the last checkpoint.
        halved: ``(M,)`` bool, whether the step was halved there.
    """

    step: Tensor
    last: Tensor
    gains: Tensor
    best: Tensor
    halved: Tensor

    @classmethod
    def start(cls, margins: Tensor, step: float) -> Self:
        """Begin at a start with these margin losses."""
        return cls(
            step=torch.full_like(margins, step),
            # The first step has no step before it to gain on, and the published code does not judge
            # the first period by its best value.
            last=torch.full_like(margins, float("inf")),
            gains=torch.zeros_like(margins),
            best=margins,
            halved=torch.ones_like(margins, dtype=torch.bool),
        )

    def record(self, margins: Tensor) -> None:
        """Count the images that gained by a step."""
        self.gains += margins > self.last
        self.last = margins

    def halve(self, period: int, best: Tensor, rho: float) -> Tensor:
        """Halve the steps of the images that gained too rarely or stand still (conditions 1 and 2).

        Args:
            period: Steps since the last checkpoint.
            best: ``(M,)`` best margin losses of this restart.
            rho: Share of the steps that must have gained.

        Returns:
            ``(M,)`` bool: the images whose step was halved.
        """
        rare = self.gains <= period * rho
        still = ~self.halved & (best <= self.best)
        self.halved = rare | still
        self.step = torch.where(self.halved, self.step / 2, self.step)
        self.best = best
        self.gains = torch.zeros_like(self.gains)
        return self.halved


def _periods(steps: int) -> dict[int, int]:
    """Lay out the checkpoints: by the number of the step before each, the steps since the last one.

    The first is 22% of all steps, each further one shorter by 3% of them, down to 6% (section 3).
    """
    first, shorter, shortest = (max(int(share * steps), 1) for share in (0.22, 0.03, 0.06))
    periods, checkpoint, period = {}, first, first
    while checkpoint <= steps:
        periods[checkpoint] = period
        period = max(period - shorter, shortest)
        checkpoint += period
    return periods


@dataclass(frozen=True, slots=True, kw_only=True)
class APGDL2(APGD):
    """Auto-PGD in the L2 norm, white-box.

    As :class:`APGD`, with the gradient ``g`` at unit length, ``g / |g|``, for its sign, and a start at
    distance eps in a direction drawn uniformly. Source: Croce and Hein 2020, section 3.
    """

    name: ClassVar[str] = "apgd-l2"
    summary: ClassVar[str] = "PGD that chooses its own step sizes, best iterate kept (L2)"
    norm: ClassVar[Norm] = "l2"

    eps: float = 1.0

    def initial_point(self, canvas: Tensor, seeds: Sequence[int]) -> Tensor:
        """Draw a point of the sphere uniformly."""
        noise = [torch.randn(canvas.shape[1:], generator=rng) for rng in generators(seeds)]
        delta = torch.stack(noise).to(canvas.device)
        length = distance(delta, torch.zeros_like(delta), "l2").reshape(-1, 1, 1, 1)
        return canvas + self.eps * delta / length

    def gradient_step(self, images: Tensor, grad: Tensor, step: Tensor) -> Tensor:
        """Step in the direction of steepest ascent of the norm: the gradient at unit length."""
        length: Tensor = torch.linalg.vector_norm(grad.flatten(1), dim=1).reshape(-1, 1, 1, 1)
        return images + step * grad / (length + SMALLEST_LENGTH)


ATTACKS = {"apgd": APGD, "apgd-l2": APGDL2}
