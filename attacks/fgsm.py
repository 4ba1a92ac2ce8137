"""FGSM: one step along the sign of the gradient (Goodfellow et al. 2015, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.base import Attack, LogitFn, Perturbed
from attacks.checks import choice
from attacks.gradient import LOSSES, input_gradient, require_usable


@dataclass(frozen=True, slots=True, kw_only=True)
class FGSM(Attack):
    """Fast gradient sign method in the L-inf norm, white-box: one step of the size of the budget.

    ``x' = x + eps * sign(grad L(x))``. Source: Goodfellow et al. 2015, "Explaining and Harnessing
    Adversarial Examples", section 4.

    Attributes:
        loss: ``margin`` (never saturates) or ``ce`` (cross-entropy, as in the paper).
    """

    name: ClassVar[str] = "fgsm"
    summary: ClassVar[str] = "one gradient-sign step of size eps (L-inf)"
    concurrent: ClassVar[bool] = True
    iterative: ClassVar[bool] = False
    shares_gradient: ClassVar[bool] = True

    loss: str = "margin"

    def check(self) -> None:
        """Check the name of the loss."""
        choice(f"{self.name} loss", self.loss, LOSSES)

    @property
    def draws(self) -> bool:
        """Nothing: the same image gives the same result."""
        return False

    def perturb(
        self,
        logit_fn: LogitFn,
        canvas: Tensor,
        labels: Tensor,
        seeds: Sequence[int],  # noqa: ARG002 - nothing is drawn
    ) -> Perturbed:
        """Take the step along the sign of the gradient."""
        gradient = input_gradient(logit_fn, canvas, labels, self.loss)
        zero_share = require_usable(gradient)
        moved = canvas + self.eps * gradient.grad.sign()
        return Perturbed(moved, torch.ones_like(labels), zero_share)


ATTACKS = {"fgsm": FGSM}
