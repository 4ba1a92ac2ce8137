"""The worst picture so far of every image, along series over eps."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from bench.scoring.attack_job import Attacked

if TYPE_CHECKING:
    from bench.datasets import ImageRecord
    from bench.protocol.condition import Condition


class Pictures(NamedTuple):
    """What an attack made of n images, with (n,) float32 logits of it; nan where there is no image."""

    attacked: Attacked
    logits: NDArray[np.float32]


@dataclass(slots=True, eq=False)
class Series:
    """The worst pictures so far of the series of one detector and chunk.

    The logits compared are those that the board is made of, so no rounding stands between the choice
    and the curve: over eps, every image's logit moves one way only.

    Attributes:
        fake: (n,) bool, true for fakes.
        names: By condition, the series it belongs to: its smallest budget.
        worst: By series, the worst pictures so far, or why one of its budgets failed.
    """

    fake: NDArray[np.bool_]
    names: dict[str, str]
    worst: dict[str, Pictures | Exception] = field(default_factory=dict)

    @classmethod
    def of(cls, rounds: Sequence[Sequence[Condition]], records: Sequence[ImageRecord]) -> Self:
        """Begin with what is attacked, and with the images of the chunk."""
        names: dict[str, str] = {}
        for condition in (condition for part in rounds for condition in part):
            if condition.smaller:
                names |= {
                    str(c): str(condition.smaller[0]) for c in (*condition.smaller, condition)
                }
        return cls(np.array([record.label == 1 for record in records]), names)

    def nests(self, condition: Condition) -> bool:
        """Say whether a condition belongs to a series."""
        return str(condition) in self.names

    def fail(self, condition: Condition, error: Exception) -> None:
        """Note that a budget failed: no larger one is the worst of all."""
        if self.nests(condition):
            self.worst[self.names[str(condition)]] = error

    def keep_worst(self, condition: Condition, own: Pictures) -> Pictures:
        """Compare the pictures of a budget with the worst of the smaller ones, image by image.

        An image keeps the smaller budget's picture where its own is no worse. Gradients and queries
        add up, since every budget was paid for; a gradient that the budgets share counts once. Probes
        stay those of its own search: they may be made elsewhere, where no other budget is known.

        Args:
            condition: The next larger budget of its series.
            own: What the attack found at this budget.

        Raises:
            Exception: A smaller budget failed, for the reason it gives.
        """
        name = self.names[str(condition)]
        before = self.worst.get(name)
        if isinstance(before, Exception):
            raise before
        if before is not None:
            shared = condition.attack is not None and condition.attack.shares_gradient
            own = self._merged(before, own, shared=shared)
        self.worst[name] = own
        return own

    def _merged(self, before: Pictures, own: Pictures, *, shared: bool) -> Pictures:
        harm = np.where(self.fake, -1, 1)
        with np.errstate(invalid="ignore"):  # nan where there is no image
            stays = (before.logits * harm >= own.logits * harm) & ~np.isnan(own.attacked.linf)
        steps = own.attacked.steps + (0 if shared else before.attacked.steps)
        chosen = {
            name: np.where(stays, getattr(before.attacked, name), getattr(own.attacked, name))
            for name in ("linf", "l2")
        }
        images = [
            smaller if kept else larger
            for kept, smaller, larger in zip(
                stays, before.attacked.images, own.attacked.images, strict=True
            )
        ]
        attacked = dataclasses.replace(own.attacked, images=images, steps=steps, **chosen)
        return Pictures(attacked, np.where(stays, before.logits, own.logits))
