"""Transfer: the gradient of one detector, the verdict of another (Papernot et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from attacks.apgd import APGD
from attacks.base import Attack, LogitFn, Perturbed, ThreatModel
from attacks.checks import choice
from attacks.fgsm import FGSM
from attacks.mifgsm import DIFGSM, MIFGSM, TIFGSM
from attacks.pgd import PGD

METHODS: dict[str, type[Attack]] = {
    kind.name: kind for kind in (FGSM, PGD, MIFGSM, DIFGSM, TIFGSM, APGD)
}
EACH = "each"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Attack):
    """An attack on a surrogate in the L-inf norm, whose pictures the target then scores.

    Whoever calls it hands in the logit function of the *surrogate*; of the target, nothing but the
    canvas is used. Source: Papernot et al. 2016, "Transferability in Machine Learning: from Phenomena
    to Black-Box Attacks using Adversarial Samples".

    Attributes:
        surrogate: The detector whose gradient is taken; ``each`` stands for every detector of a run, one
            after the other, and ``others`` for the mean logit of all but the target.
        method: The attack on the surrogate.
        steps: Gradient steps, where the method takes several.
    """

    name: ClassVar[str] = "transfer"
    summary: ClassVar[str] = "an attack on a surrogate, scored by the target (L-inf)"
    concurrent: ClassVar[bool] = True

    surrogate: str = EACH
    method: str = "pgd"
    steps: int = 10

    def check(self) -> None:
        """Check the method and its parameters."""
        choice(f"{self.name} method", self.method, METHODS)
        if not isinstance(self.surrogate, str) or not self.surrogate:
            raise ValueError(f"{self.name} surrogate must name a detector, got {self.surrogate!r}")
        self.inner()

    def inner(self) -> Attack:
        """Build the attack on the surrogate."""
        options: dict[str, Any] = {"eps": self.eps, "goal": self.goal, "quantize": self.quantize}
        if METHODS[self.method].iterative:
            options["steps"] = self.steps
        return METHODS[self.method](**options)

    @property
    def gradients(self) -> int:
        """Gradients of the surrogate that the method takes."""
        return self.inner().gradients

    @property
    def queries(self) -> int:
        """Queries of the surrogate that the method makes."""
        return self.inner().queries

    @property
    def stops_early(self) -> bool:
        """Whether the method leaves a fooled image as it is."""
        return self.inner().stops_early

    @property
    def nests(self) -> bool:
        """Never: which budget's picture is worst, only the target could tell, and it is not asked."""
        return False

    @property
    def threat(self) -> ThreatModel:
        """Threat model of the method, by an attacker who knows the surrogate only."""
        inner = self.inner().threat
        return ThreatModel(
            inner.norm, inner.eps, inner.goal, inner.quantize, f"transfer from {self.surrogate}"
        )

    def perturb(
        self, logit_fn: LogitFn, canvas: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Perturbed:
        """Run the method on the surrogate."""
        return self.inner().perturb(logit_fn, canvas, labels, seeds)


ATTACKS = {"transfer": Transfer}
