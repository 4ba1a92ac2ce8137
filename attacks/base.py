"""The protocol of an attack, and the guarantees that make its numbers believable.

An attack sees a *logit function*, never a detector. It returns a moved image; this module brings
that image into the budget, onto the 8-bit grid, and checks it. What cannot be attacked says so with
:class:`NotAttackableError`: an attack that found no gradient has shown nothing about robustness.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attacks.budget import distance, full_range, levels_within, project, to_grid
from attacks.checks import choice, flag, real
from attacks.inputs import check_inputs, named_by, shifted

LogitFn = Callable[[Tensor], Tensor]
"""``(N, 3, h, w)`` float32 in [0, 1] -> ``(N,)`` float32; > 0 means AI-generated."""

Norm = Literal["linf", "l2"]
Goal = Literal["evade", "frame", "both"]
GOALS: tuple[Goal, ...] = ("evade", "frame", "both")
# Float32 rounding that a projected image may exceed its budget by.
TOLERANCE = 1e-6
FORWARDS_PER_GRADIENT = 3
"""What a gradient costs in forward passes: one forwards, and about two of them backwards."""

# An attack without a budget walks in steps of a fiftieth of the range: fine enough to follow the
# gradient, as 2/255 is for the usual budgets. 25 of them take any value past the middle of the range.
UNBOUNDED_DIVISOR = 50
UNBOUNDED_STEPS = 25


class NotAttackableError(ValueError):
    """The gradient is missing, zero or not finite, so nothing can be said about robustness."""


@dataclass(frozen=True, slots=True)
class ThreatModel:
    """What the attacker may do, knows, and wants.

    Attributes:
        norm: How the size of a change is measured.
        eps: The largest change, in units of [0, 1] (``8/255``, not ``8``).
        goal: ``evade`` (fakes pass as real), ``frame`` (reals pass as fake) or ``both``.
        quantize: Whether the result must be a picture that an 8-bit file can hold.
        knowledge: What the attacker knows of the detector.
    """

    norm: Norm
    eps: float
    goal: Goal
    quantize: bool
    knowledge: str = "white-box"


@dataclass(frozen=True, slots=True, eq=False)
class AttackResult:
    """The outcome for a batch of N images, in the order given.

    Attributes:
        adversarial: ``(N, 3, h, w)`` float32 in [0, 1], on the canvas's device.
        attacked: ``(N,)`` bool; false where the goal leaves the image alone.
        linf: ``(N,)`` float32, largest change of a value, in units of [0, 1].
        l2: ``(N,)`` float32, Euclidean length of the change, in units of [0, 1].
        steps: ``(N,)`` int32, gradients taken for the image.
        grad_zero: Share in [0, 1] of exactly zero entries in the first input gradient, over the
            attacked images; nan where no gradient was taken (no attacked image, or eps 0).
    """

    adversarial: Tensor
    attacked: Tensor
    linf: Tensor
    l2: Tensor
    steps: Tensor
    grad_zero: float


@dataclass(frozen=True, slots=True, eq=False)
class Perturbed:
    """What :meth:`Attack.perturb` hands back for the M images it was given.

    Attributes:
        images: ``(M, 3, h, w)``; may lie outside the budget and [0, 1], the base mends that.
        steps: ``(M,)`` integer, gradients (or queries) spent on each image.
        grad_zero: As in :class:`AttackResult`; nan for an attack without gradients.
    """

    images: Tensor
    steps: Tensor
    grad_zero: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack(ABC):
    """A search for a small change that turns the detector's verdict.

    A concrete one is a ``@dataclass(frozen=True, slots=True, kw_only=True)`` that adds its own
    parameters, checks them in :meth:`check`, and searches in :meth:`perturb`. What others need to know
    of it, it says itself: what it costs in :attr:`gradients` and :attr:`queries`, whether it is
    :attr:`iterative`, whether it :attr:`stops_early`, and what it is :meth:`unbounded`.

    Attributes:
        eps: Budget in units of [0, 1].
        goal: ``evade`` attacks fakes only, ``frame`` reals only, ``both`` all images.
        quantize: Round the result to the 8-bit grid, inside the budget.
        nested: In a series over eps, keep the worst picture of the smaller budgets, each of which lies
            inside this one; ``false`` is the published form, every budget by itself.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    norm: ClassVar[Norm] = "linf"
    knowledge: ClassVar[str] = "white-box"
    needs_gradient: ClassVar[bool] = True
    iterative: ClassVar[bool] = True
    """It searches step by step, so that without a budget it ought to fool any detector."""
    shares_gradient: ClassVar[bool] = False
    """Its one gradient is taken at the image itself, so attacks that differ in eps can share it."""
    finds_distance: ClassVar[bool] = False
    """It looks for the smallest change that fools, whatever the budget: see :mod:`attacks.minimal`."""
    concurrent: ClassVar[bool] = False
    """It uses nothing but its arguments, no global generator either, so several threads may run it."""

    eps: float = 8 / 255
    goal: str = "both"
    quantize: bool = True
    nested: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "eps", real(f"{self.name} eps", self.eps, 0.0, float("inf")))
        choice(f"{self.name} goal", self.goal, GOALS)
        flag(f"{self.name} quantize", self.quantize)
        flag(f"{self.name} nested", self.nested)
        if self.norm == "linf" and self.eps > 1:
            raise ValueError(
                f"{self.name} eps is in units of [0, 1], got {self.eps:g}: "
                f"write {self.eps:g}/255 for {self.eps:g} levels of 255"
            )
        if self.quantize and self.eps > 0 and levels_within(self.eps) == 0:
            raise ValueError(
                f"{self.name} eps={self.eps:g} is less than one level of an 8-bit image "
                f"(1/255 = {1 / 255:.4g}): use eps >= 1/255, or quantize=false"
            )
        self.check()

    def check(self) -> None:  # noqa: B027 - a hook that most need not fill
        """Check the parameters that a subclass adds.

        Raises:
            ValueError: One of them is not valid.
        """

    @property
    def nests(self) -> bool:
        """Whether the worst picture of the smaller budgets of a series is kept, as ``nested`` asks."""
        return self.nested

    @property
    def steps(self) -> int:
        """Gradient steps of one search; 0 for an attack whose length is not set by ``steps``."""
        return 0

    @property
    def gradients(self) -> int:
        """Gradients that one image costs at most, restarts and samples counted."""
        return 1 if self.needs_gradient else 0

    @property
    def queries(self) -> int:
        """Forward passes without a gradient that one image costs at most."""
        return 0

    @final
    @property
    def passes(self) -> int:
        """What one image costs in forward passes, a gradient counted as several."""
        return FORWARDS_PER_GRADIENT * self.gradients + self.queries

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers, so that another seed may give another image."""
        return True

    @property
    def stops_early(self) -> bool:
        """Whether a fooled image is left as it is, so that its logit says nothing of its rank."""
        return False

    def unbounded(self, size: int) -> Attack:
        """Return the same attack without a budget, in steps small enough to follow the gradient.

        Where an attack ought to succeed and does not, the attack has failed, and not the attacker.

        Args:
            size: Values an image has, 3 * h * w; they bound its distance from any other image in L2.
        """
        return dataclasses.replace(self, eps=full_range(self.norm, size))

    @property
    def threat(self) -> ThreatModel:
        """What the attacker may do, knows and wants, for the board."""
        return ThreatModel(
            norm=self.norm,
            eps=self.eps,
            goal=cast(Goal, self.goal),
            quantize=self.quantize,
            knowledge=self.knowledge,
        )

    @final
    def __call__(
        self,
        logit_fn: LogitFn,
        canvas: Tensor,
        labels: Tensor,
        seeds: Tensor | NDArray[np.int64] | Sequence[int],
        threshold: float = 0.0,
    ) -> AttackResult:
        """Attack a batch.

        To keep a batch's shape fixed, pad it by repeating an image and drop what comes back for it.

        Args:
            logit_fn: ``(N, 3, h, w)`` in [0, 1] -> ``(N,)``; an image is called fake where the
                logit is above the threshold. Called with the attacked images only.
            canvas: ``(N, 3, h, w)`` float32 in [0, 1]; on the 8-bit grid where ``quantize``.
            labels: ``(N,)`` int64, 1 = AI-generated, 0 = real.
            seeds: ``(N,)`` int64, one an image: the only randomness, so a result does not depend
                on batch size or order.
            threshold: Logit above which an image is called fake.

        Raises:
            NotAttackableError: No usable gradient.
            ValueError: The inputs are not as stated.
        """
        # A caller scoring under no_grad or inference_mode must not read as "no gradient".
        with torch.inference_mode(False), torch.enable_grad():
            canvas = canvas.detach().clone()
            labels = torch.as_tensor(labels).clone().to(canvas.device, torch.int64)
            seed_list = check_inputs(canvas, labels, seeds, self.quantize)
            named = named_by(self.goal, labels)
            adversarial = canvas.clone()
            steps = torch.zeros(len(canvas), dtype=torch.int32, device=canvas.device)
            grad_zero = float("nan")
            if self.eps > 0 and bool(named.any()):
                rows = named.nonzero().flatten()
                clean = canvas[rows]
                result = self.perturb(
                    shifted(logit_fn, threshold),
                    clean.clone(),  # the budget is measured from what nobody has written to
                    labels[rows],
                    [seed_list[i] for i in rows.tolist()],
                )
                adversarial[rows] = self.admit(result.images.detach(), clean)
                steps[rows] = result.steps.to(steps)
                grad_zero = result.grad_zero
            return AttackResult(
                adversarial=adversarial,
                attacked=named,
                linf=distance(adversarial, canvas, "linf"),
                l2=distance(adversarial, canvas, "l2"),
                steps=steps,
                grad_zero=grad_zero,
            )

    @abstractmethod
    def perturb(
        self, logit_fn: LogitFn, canvas: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Perturbed:
        """Search; called with the images that the goal names, at least one, and eps > 0.

        Args:
            logit_fn: ``(M, 3, h, w)`` in [0, 1] -> ``(M,)``, the threshold taken off: > 0 is fake.
            canvas: ``(M, 3, h, w)`` float32 in [0, 1].
            labels: ``(M,)`` int64.
            seeds: One an image, the only randomness.

        Raises:
            NotAttackableError: No usable gradient.
        """

    @final
    def admit(self, moved: Tensor, canvas: Tensor) -> Tensor:
        """Bring moved images into budget and range, onto the grid where ``quantize``, and check them.

        Args:
            moved: ``(M, 3, h, w)`` images from a search, anywhere.
            canvas: ``(M, 3, h, w)`` the same images before.

        Returns:
            ``(M, 3, h, w)`` in [0, 1], the pictures that may be handed in.

        Raises:
            NotAttackableError: A pixel is not finite.
            ValueError: The shape has changed.
        """
        if moved.shape != canvas.shape:
            raise ValueError(
                f"{self.name} turned a batch of shape {tuple(canvas.shape)} into "
                f"{tuple(moved.shape)}"
            )
        broken = ~torch.isfinite(moved).flatten(1).all(1)
        if bool(broken.any()):
            raise NotAttackableError(
                f"{self.name} gave nan or infinite pixels for {int(broken.sum())} of "
                f"{len(canvas)} images: nothing is known about the detector's robustness"
            )
        inside = project(moved.to(canvas.dtype), canvas, self.eps, self.norm)
        if self.quantize:
            inside = to_grid(inside, canvas, self.eps, self.norm)
        excess = float(distance(inside, canvas, self.norm).max()) - self.eps
        low, high = float(inside.min()), float(inside.max())
        slack = TOLERANCE * max(1.0, self.eps)
        if self.norm == "l2":  # every pixel is rounded to float32 once more
            slack += 2**-24 * math.sqrt(canvas[0].numel())
        if excess > slack or low < 0 or high > 1:
            raise RuntimeError(
                f"{self.name} left its budget by {excess:g} or the range [0, 1] "
                f"({low:g} to {high:g}); please report this"
            )
        return inside
