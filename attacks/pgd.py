"""PGD: projected gradient steps (Madry et al. 2018, section 2.1), L-inf and L2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.base import Attack, LogitFn, Norm, Perturbed
from attacks.budget import distance
from attacks.checks import choice, flag, real, whole
from attacks.gradient import LOSSES, Ascent, ascend, broken, require_finite, usable
from attacks.search import KEEP, STOP, Worst, ball_start, fooled, hurt, reseed, uniform_start


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """All M images of a search, and what was found and spent so far."""

    canvas: Tensor
    labels: Tensor
    worst: Worst
    spent: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class PGD(Attack):
    """Projected gradient descent, L-inf.

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
        """Checks steps, step size, loss and restarts."""
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
    def step_size(self) -> float:
        """The step in the norm's units, with the default filled in."""
        return self.eps / 4 if self.step is None else self.step

    @property
    def passes(self) -> int:
        """As in the base class, with restarts and the look at the last iterate."""
        return self.restarts * (3 * self.steps * self.samples + (self.keep == "best"))

    def perturb(
        self, logit_fn: LogitFn, canvas: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Perturbed:
        """Searches from each start; a gradient that dies after the first step moves nothing more."""
        worst = Worst.none(canvas)
        spent = torch.zeros_like(labels)
        zero = float("nan")
        rows = torch.arange(len(canvas), device=canvas.device)
        for restart in range(self.restarts):
            own = reseed([seeds[i] for i in rows.tolist()], restart)
            task = _Task(canvas, labels, worst, spent)
            rows, share = self._run(logit_fn, task, own, rows)
            zero = share if restart == 0 else zero
            if not len(rows):
                break
        return Perturbed(worst.images, spent, zero)

    def _run(
        self, logit_fn: LogitFn, task: _Task, seeds: Sequence[int], rows: Tensor
    ) -> tuple[Tensor, float]:
        """One restart over the images of ``rows``; those still to fool, and the share of zeros."""
        base, truth, worst = task.canvas[rows], task.labels[rows], task.worst
        images = self._begin(base, seeds) if self.random_start else base
        zero = float("nan")
        bad = torch.zeros_like(task.labels, dtype=torch.bool)
        for number in range(self.steps):
            ascent = self._climb(logit_fn, images, truth)
            if number == 0:
                zero = usable(ascent)
            bad[rows] |= broken(ascent.grad)
            task.spent[rows] += self.samples
            if self.keep == "best":
                worst.offer(rows, images, hurt(ascent.logits, truth))
            moved = self._move(images, base, ascent.grad)
            if self.stop == "success":
                done = self._done(logit_fn, images, base, truth, ascent.logits)
                worst.images[rows[done]] = images.detach()[done]
                worst.harm[rows[done]] = float("inf")
                left = ~done
                rows, base, truth, moved = rows[left], base[left], truth[left], moved[left]
                if not len(rows):
                    break
            images = moved
        if self.keep == "last" and self.restarts == 1:
            worst.images[rows] = images.detach()
        elif len(rows):
            with torch.no_grad():
                logits = logit_fn(images)
            worst.offer(rows, images, hurt(logits, truth))
        require_finite(bad)
        return rows, zero

    def _climb(self, logit_fn: LogitFn, images: Tensor, labels: Tensor) -> Ascent:
        """The gradient, or the mean of several drawn ones; the logits likewise."""
        drawn = [ascend(logit_fn, images, labels, self.loss) for _ in range(self.samples)]
        if len(drawn) == 1:
            return drawn[0]
        grad = torch.stack([one.grad for one in drawn]).mean(0)
        logits = torch.stack([one.logits for one in drawn]).mean(0)
        return Ascent(grad=grad, logits=logits, loss=self.loss)

    def _done(
        self, logit_fn: LogitFn, images: Tensor, base: Tensor, truth: Tensor, logits: Tensor
    ) -> Tensor:
        """``(m,)`` bool: fooled as a float picture, and still fooled as the picture handed back."""
        done = fooled(logits, truth)
        if self.quantize and bool(done.any()):
            with torch.no_grad():
                rounded = logit_fn(self.admit(images.detach()[done], base[done]))
            done[done.clone()] = fooled(rounded, truth[done])
        return done

    def _begin(self, canvas: Tensor, seeds: Sequence[int]) -> Tensor:
        return (canvas + uniform_start(canvas, seeds, self.eps)).clamp(0, 1)

    def _move(self, images: Tensor, canvas: Tensor, grad: Tensor) -> Tensor:
        # The published order of expressions: another one moves results by a last bit, and a
        # last bit turns the sign of small gradients.
        moved = images.detach() + self.step_size * grad.sign()
        delta = (moved - canvas).clamp(-self.eps, self.eps)
        return (canvas + delta).clamp(0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PGDL2(PGD):
    """Projected gradient descent in the Euclidean norm: steps along the gradient, not its sign."""

    name: ClassVar[str] = "pgd-l2"
    summary: ClassVar[str] = "projected gradient steps from a random start (L2)"
    norm: ClassVar[Norm] = "l2"

    eps: float = 1.0

    def _begin(self, canvas: Tensor, seeds: Sequence[int]) -> Tensor:
        return (canvas + ball_start(canvas, seeds, self.eps)).clamp(0, 1)

    def _move(self, images: Tensor, canvas: Tensor, grad: Tensor) -> Tensor:
        length: Tensor = torch.linalg.vector_norm(grad.flatten(1), dim=1).reshape(-1, 1, 1, 1)
        moved = images.detach() + self.step_size * (grad / (length + 1e-30))
        delta = moved - canvas
        factor = (self.eps / distance(moved, canvas, "l2").clamp_min(1e-30)).clamp_max(1)
        return (canvas + delta * factor.reshape(-1, 1, 1, 1)).clamp(0, 1)


ATTACKS = {"pgd": PGD, "pgd-l2": PGDL2}
