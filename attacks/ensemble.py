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
from attacks.checks import choice
from attacks.fgsm import FGSM
from attacks.gradient import LOSSES
from attacks.mifgsm import MIFGSM
from attacks.pgd import PGD
from attacks.search import Worst, hurt, reseed
from attacks.square import Square

MEMBERS: dict[str, type[Attack]] = {kind.name: kind for kind in (FGSM, PGD, MIFGSM, APGD, Square)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble(Attack):
    """Several attacks of one budget; each image's most harmful picture counts, rounding included.

    AutoAttack itself does not fit a detector of two classes: its DLR loss and its targeted members
    need more. This is what remains of its idea.

    Attributes:
        members: Names joined by ``+``, a loss after a colon: ``apgd:margin+apgd:ce+square``.
    """

    name: ClassVar[str] = "ensemble"
    summary: ClassVar[str] = "the worst of several attacks for each image (L-inf)"
    concurrent: ClassVar[bool] = True

    members: str = "apgd:margin+apgd:ce+square"

    def check(self) -> None:
        """Checks every member's name and loss."""
        if not isinstance(self.members, str):
            raise ValueError(f"{self.name} members must be names joined by +")
        parts = [part.strip() for part in self.members.split("+")]
        if len(set(parts)) < len(parts):
            raise ValueError(f"{self.name} members={self.members} names one twice: name each once")
        object.__setattr__(self, "members", "+".join(parts))
        self.attacks()

    def attacks(self) -> list[Attack]:
        """The members, with this attack's budget.

        Raises:
            ValueError: An unknown name or loss.
        """
        found = []
        for part in self.members.split("+"):
            name, colon, loss = part.partition(":")
            choice(f"{self.name} members", name, MEMBERS)
            options: dict[str, Any] = {
                "eps": self.eps,
                "goal": self.goal,
                "quantize": self.quantize,
            }
            if colon:
                known = {field.name for field in dataclasses.fields(MEMBERS[name])}
                choice(f"{self.name} members: loss of {name}", loss, LOSSES)
                if "loss" not in known:
                    raise ValueError(f"{self.name} members: {name} has no loss to choose")
                options["loss"] = loss
            found.append(MEMBERS[name](**options))
        return found

    @property
    def passes(self) -> int:
        """What the members cost together, and one look at what each found."""
        return sum(attack.passes + 1 for attack in self.attacks())

    def perturb(
        self, logit_fn: LogitFn, canvas: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Perturbed:
        """Runs every member on every image."""
        worst = Worst.none(canvas)
        rows = torch.arange(len(canvas), device=canvas.device)
        spent = torch.zeros_like(labels)
        zeros = []
        for number, attack in enumerate(self.attacks()):
            done = attack.perturb(logit_fn, canvas, labels, reseed(seeds, number))
            images = self.admit(done.images.detach(), canvas)
            with torch.no_grad():
                worst.offer(rows, images, hurt(logit_fn(images), labels))
            spent += done.steps.to(spent)
            if attack.needs_gradient:
                zeros.append(done.grad_zero)
        return Perturbed(worst.images, spent, zeros[0] if zeros else float("nan"))


ATTACKS = {"ensemble": Ensemble}
