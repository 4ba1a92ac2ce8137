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
from attacks.mifgsm import MIFGSM
from attacks.pgd import PGD

METHODS: dict[str, type[Attack]] = {kind.name: kind for kind in (FGSM, PGD, MIFGSM, APGD)}
EACH = "each"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Attack):
    """An attack on a surrogate, whose pictures the target then scores.

    Whoever calls it hands in the *surrogate's* logit function; nothing else of the target's is used
    but the canvas it sees.

    Attributes:
        surrogate: The detector whose gradient is taken; ``each`` stands for every detector of a run.
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
        """Checks the method and its parameters."""
        choice(f"{self.name} method", self.method, METHODS)
        if not isinstance(self.surrogate, str) or not self.surrogate:
            raise ValueError(f"{self.name} surrogate must name a detector, got {self.surrogate!r}")
        self.inner()

    def inner(self) -> Attack:
        """The attack on the surrogate."""
        options: dict[str, Any] = {"eps": self.eps, "goal": self.goal, "quantize": self.quantize}
        if self.method != "fgsm":
            options["steps"] = self.steps
        return METHODS[self.method](**options)

    @property
    def passes(self) -> int:
        """What the method costs."""
        return self.inner().passes

    @property
    def threat(self) -> ThreatModel:
        """The threat model; the attacker knows the surrogate only."""
        inner = self.inner().threat
        return ThreatModel(
            inner.norm, inner.eps, inner.goal, inner.quantize, f"transfer from {self.surrogate}"
        )

    def perturb(
        self, logit_fn: LogitFn, canvas: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Perturbed:
        """Runs the method on the surrogate."""
        return self.inner().perturb(logit_fn, canvas, labels, seeds)


ATTACKS = {"transfer": Transfer}
