"""A defence before any detector."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from detectors.defences.base import Defence, straight_through


@dataclass(frozen=True, kw_only=True)
class Quantise(Defence):
    """Keep fewer levels of every value; the gradient passes as if nothing had been done."""

    name: ClassVar[str] = "quantise"
    summary: ClassVar[str] = "fewer levels a channel"
    levels: int = 16

    def __post_init__(self) -> None:
        if not 2 <= self.levels <= 256:
            raise ValueError(f"quantise(levels=...) must lie in [2, 256], got {self.levels!r}")

    def apply(
        self, batch: Tensor, seeds: Sequence[int]
    ) -> Tensor:  # (N, 3, h, w) in [0, 1] to the same
        steps = self.levels - 1
        return straight_through((batch * steps).round() / steps, batch)


DEFENCES = {"quantise": Quantise}
