"""APGD: PGD that chooses its own step sizes (Croce and Hein 2020, algorithm 1), L-inf and L2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.base import Attack, LogitFn, Norm, Perturbed
from attacks.budget import distance, project
from attacks.checks import choice, real, whole
from attacks.gradient import LOSSES, Ascent, ascend, broken, require_finite, usable
from attacks.search import Worst, generators, hurt, reseed

MOMENTUM = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class APGD(Attack):
    """Auto-PGD, L-inf; the most harmful iterate counts.

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
        """Checks steps, loss, restarts and rho."""
        object.__setattr__(self, "steps", whole(f"{self.name} steps", self.steps, 1, 100_000))
        whole(f"{self.name} restarts", self.restarts, 1, 1000)
        object.__setattr__(self, "rho", real(f"{self.name} rho", self.rho, 0.0, 1.0))
        if isinstance(self.loss, str) and self.loss.lower() == "dlr":
            raise ValueError(
                f"{self.name} loss must be one of margin, ce, got {self.loss!r}: DLR divides by the "
                "third largest logit, which a detector of two classes does not have; use loss=margin"
            )
        choice(f"{self.name} loss", self.loss, LOSSES)

    @property
    def passes(self) -> int:
        """As in the base class; each restart takes one gradient more than it takes steps."""
        return 3 * self.restarts * (self.steps + 1)

    def perturb(
        self, logit_fn: LogitFn, canvas: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Perturbed:
        """Searches from each start."""
        worst = Worst.none(canvas)
        zero = float("nan")
        for restart in range(self.restarts):
            share = self._run(logit_fn, canvas, labels, reseed(seeds, restart), worst)
            zero = share if restart == 0 else zero
        spent = torch.full_like(labels, self.restarts * (self.steps + 1))
        return Perturbed(worst.images, spent, zero)

    def _run(
        self,
        logit_fn: LogitFn,
        canvas: Tensor,
        labels: Tensor,
        seeds: Sequence[int],
        worst: Worst,
    ) -> float:
        """One restart; returns the share of zeros in its first gradient."""
        rows = torch.arange(len(canvas), device=canvas.device)
        images = project(self._begin(canvas, seeds), canvas, self.eps, self.norm)
        ascent = ascend(logit_fn, images, labels, self.loss)
        zero = usable(ascent)
        worst.offer(rows, images, hurt(ascent.logits, labels))
        pace = _Pace.start(images, ascent, labels, 2 * self.eps, self.steps)
        grad, before = ascent.grad, images
        bad = torch.zeros_like(labels, dtype=torch.bool)
        for number in range(self.steps):
            ahead = self._toward(images, grad, pace.step.reshape(-1, 1, 1, 1))
            ahead = project(ahead, canvas, self.eps, self.norm)
            weight = MOMENTUM if number else 1.0
            mixed = images + weight * (ahead - images) + (1 - weight) * (images - before)
            before, images = images, project(mixed, canvas, self.eps, self.norm)
            ascent = ascend(logit_fn, images, labels, self.loss)
            bad |= broken(ascent.grad)
            harm = hurt(ascent.logits, labels)
            worst.offer(rows, images, harm)
            images, grad = pace.judge(number, images, ascent.grad, harm, self.rho)
        require_finite(bad)
        return zero

    def _begin(self, canvas: Tensor, seeds: Sequence[int]) -> Tensor:
        starts = []
        for own in generators(seeds):
            drawn = 2 * torch.rand(canvas.shape[1:], generator=own) - 1
            starts.append(drawn / drawn.abs().max())
        return canvas + self.eps * torch.stack(starts).to(canvas.device)

    def _toward(self, images: Tensor, grad: Tensor, step: Tensor) -> Tensor:
        return images + step * grad.sign()


@dataclass(slots=True, eq=False)
class _Pace:
    """Step sizes by image, halved where a run of steps gained too rarely; and where to go on from.

    Attributes:
        step: ``(M,)`` step size.
        images: The most harmful image of this restart; ``grad`` and ``harm`` belong to it.
        gains: ``(M,)`` steps of this period that gained on the step before.
        last: ``(M,)`` harm of the step before.
        at_check: ``(M,)`` best harm at the last check; ``halved`` says where it halved.
        period: Steps between checks, of which ``since`` have passed.
        shrink: How much shorter each period is than the one before, down to ``shortest``.
    """

    step: Tensor
    images: Tensor
    grad: Tensor
    harm: Tensor
    gains: Tensor
    last: Tensor
    at_check: Tensor
    halved: Tensor
    period: int
    since: int
    shrink: int
    shortest: int

    @classmethod
    def start(
        cls, images: Tensor, ascent: Ascent, labels: Tensor, step: float, steps: int
    ) -> _Pace:
        harm = hurt(ascent.logits, labels)
        return cls(
            step=torch.full_like(harm, step),
            images=images.detach().clone(),
            grad=ascent.grad.clone(),
            harm=harm.clone(),
            gains=torch.zeros_like(harm),
            last=harm,
            at_check=harm.clone(),
            # The published code does not judge the first period by its best value.
            halved=torch.ones_like(harm, dtype=torch.bool),
            period=max(int(0.22 * steps), 1),
            since=0,
            shrink=max(int(0.03 * steps), 1),
            shortest=max(int(0.06 * steps), 1),
        )

    def judge(
        self, number: int, images: Tensor, grad: Tensor, harm: Tensor, rho: float
    ) -> tuple[Tensor, Tensor]:
        """Notes a step; at the end of a period, halves steps and goes back to the best image."""
        if number:
            self.gains += harm > self.last
        self.last = harm
        better = harm > self.harm
        self.images[better], self.grad[better] = images.detach()[better], grad[better]
        self.harm = torch.where(better, harm, self.harm)
        self.since += 1
        if self.since < self.period:
            return images.detach(), grad
        rare = self.gains <= self.period * rho
        stuck = ~self.halved & (self.harm <= self.at_check)
        self.halved = rare | stuck
        self.at_check = self.harm.clone()
        self.step = torch.where(self.halved, self.step / 2, self.step)
        self.gains.zero_()
        self.since = 0
        self.period = max(self.period - self.shrink, self.shortest)
        back = self.halved.reshape(-1, 1, 1, 1)
        return torch.where(back, self.images, images.detach()), torch.where(back, self.grad, grad)


@dataclass(frozen=True, slots=True, kw_only=True)
class APGDL2(APGD):
    """Auto-PGD in the Euclidean norm."""

    name: ClassVar[str] = "apgd-l2"
    summary: ClassVar[str] = "PGD that chooses its own step sizes, best iterate kept (L2)"
    norm: ClassVar[Norm] = "l2"

    eps: float = 1.0

    def _begin(self, canvas: Tensor, seeds: Sequence[int]) -> Tensor:
        drawn = [torch.randn(canvas.shape[1:], generator=own) for own in generators(seeds)]
        delta = torch.stack(drawn).to(canvas.device)
        length = distance(delta, torch.zeros_like(delta), "l2").reshape(-1, 1, 1, 1)
        return canvas + self.eps * delta / length

    def _toward(self, images: Tensor, grad: Tensor, step: Tensor) -> Tensor:
        length: Tensor = torch.linalg.vector_norm(grad.flatten(1), dim=1).reshape(-1, 1, 1, 1)
        return images + step * grad / (length + 1e-30)


ATTACKS = {"apgd": APGD, "apgd-l2": APGDL2}
