"""The worst case of several attacks, image by image (Croce and Hein 2020, made for two classes)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from attacks.apgd import APGD
from attacks.base import Attack, LogitFn, Perturbed
from attacks.budget import full_range
from attacks.checks import choice
from attacks.fgsm import FGSM
from attacks.gradient import LOSSES
from attacks.mifgsm import MIFGSM
from attacks.pgd import PGD
from attacks.search import Worst, reseed
from attacks.square import Square

MEMBERS: dict[str, type[Attack]] = {kind.name: kind for kind in (FGSM, PGD, MIFGSM, APGD, Square)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble(Attack):
    """Several attacks of one budget in the L-inf norm; each image's most harmful picture counts.

    The picture is the one handed in, rounding included, and the margin loss says which is worst. Source:
    the idea of AutoAttack (Croce and Hein 2020). AutoAttack itself does not fit a detector of
    two classes: its DLR loss and its targeted members need more.

    Attributes:
        members: Names joined by ``+``, a loss after a colon: ``apgd:margin+apgd:ce+square``.
    """

    name: ClassVar[str] = "ensemble"
    summary: ClassVar[str] = "the worst of several attacks for each image (L-inf)"
    concurrent: ClassVar[bool] = True

    members: str = "apgd:margin+apgd:ce+square"

    def check(self) -> None:
        """Check the name and the loss of every member."""
        if not isinstance(self.members, str):
            raise ValueError(f"{self.name} members must be names joined by +")
        parts = [part.strip() for part in self.members.split("+")]
        if len(set(parts)) < len(parts):
            raise ValueError(f"{self.name} members={self.members} names one twice: name each once")
        object.__setattr__(self, "members", "+".join(parts))
        self.attacks()

    def attacks(self) -> list[Attack]:
        """Build the members, with the budget of this attack.

        Raises:
            ValueError: An unknown name or loss.
        """
        members = []
        for part in self.members.split("+"):
            name, colon, loss = part.partition(":")
            choice(f"{self.name} members", name, MEMBERS)
            options: dict[str, Any] = {
                "eps": self.eps,
                "goal": self.goal,
                "quantize": self.quantize,
            }
            if colon:
                parameters = {field.name for field in dataclasses.fields(MEMBERS[name])}
                choice(f"{self.name} members: loss of {name}", loss, LOSSES)
                if "loss" not in parameters:
                    raise ValueError(f"{self.name} members: {name} has no loss to choose")
                options["loss"] = loss
            members.append(MEMBERS[name](**options))
        return members

    @property
    def gradients(self) -> int:
        """Gradients of all members together."""
        return sum(attack.gradients for attack in self.attacks())

    @property
    def queries(self) -> int:
        """Queries of all members together, and one look at the picture of each."""
        return sum(attack.queries + 1 for attack in self.attacks())

    def unbounded(self, size: int) -> Attack:
        """Return an ensemble of the members, each without a budget in its own way."""
        return _UnboundedEnsemble(
            eps=full_range(self.norm, size),
            goal=self.goal,
            quantize=self.quantize,
            members=self.members,
        )

    def perturb(
        self, logit_fn: LogitFn, canvas: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Perturbed:
        """Run every member on every image."""
        worst = Worst.start(canvas, labels)
        rows = torch.arange(len(canvas), device=canvas.device)
        spent = torch.zeros_like(labels)
        zero_shares = []
        for number, attack in enumerate(self.attacks()):
            result = attack.perturb(logit_fn, canvas, labels, reseed(seeds, number))
            images = self.admit(result.images.detach(), canvas)
            with torch.no_grad():
                worst.offer(rows, images, logit_fn(images))
            spent += result.steps.to(spent)
            if attack.needs_gradient:
                zero_shares.append(result.grad_zero)
        return Perturbed(worst.images, spent, zero_shares[0] if zero_shares else float("nan"))


class _UnboundedEnsemble(Ensemble):
    __slots__ = ()

    def attacks(self) -> list[Attack]:
        """Build the members without a budget, which an L-inf norm needs no size of images for."""
        return [attack.unbounded(0) for attack in super().attacks()]


ATTACKS = {"ensemble": Ensemble}
