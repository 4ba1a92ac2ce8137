"""FGSM: one step along the sign of the gradient (Goodfellow et al. 2015, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.base import Attack, LogitFn, Perturbed
from attacks.checks import choice
from attacks.gradient import LOSSES, ascend, usable


@dataclass(frozen=True, slots=True, kw_only=True)
class FGSM(Attack):
    """Fast gradient sign method, L-inf.

    Attributes:
        loss: ``margin`` (never saturates) or ``ce`` (cross-entropy, as in the paper).
    """

    name: ClassVar[str] = "fgsm"
    summary: ClassVar[str] = "one gradient-sign step of size eps (L-inf)"
    concurrent: ClassVar[bool] = True
    shares_gradient: ClassVar[bool] = True

    loss: str = "margin"

    def check(self) -> None:
        """Checks the loss's name."""
        choice(f"{self.name} loss", self.loss, LOSSES)

    def perturb(
        self,
        logit_fn: LogitFn,
        canvas: Tensor,
        labels: Tensor,
        seeds: Sequence[int],  # noqa: ARG002 - nothing is drawn
    ) -> Perturbed:
        """Takes the step."""
        first = ascend(logit_fn, canvas, labels, self.loss)
        zero = usable(first)
        moved = canvas + self.eps * first.grad.sign()
        return Perturbed(moved, torch.ones_like(labels), zero)


ATTACKS = {"fgsm": FGSM}
