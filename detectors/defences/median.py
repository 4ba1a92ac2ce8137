"""A median filter before the network (feature squeezing), through which gradients go exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from detectors.defences.base import Defence
from detectors.defences.checks import whole


@dataclass(frozen=True, kw_only=True)
class Median(Defence):
    """The median over a square window, channel by channel, the border repeated.

    Backwards, the gradient of each output goes to the one value that was its median. Source: Xu, Evans and
    Qi 2018, "Feature Squeezing", section III.

    Attributes:
        size: Side of the window in px, odd.
    """

    name: ClassVar[str] = "median"
    summary: ClassVar[str] = "median filter; its own gradient"

    size: int = 3

    def __post_init__(self) -> None:
        whole("median size", self.size, 3, 15)
        if self.size % 2 == 0:
            raise ValueError(f"median size must be odd, got {self.size}")

    def apply(self, batch: Tensor, seeds: Sequence[int]) -> Tensor:
        """Filter every image of a batch."""
        del seeds
        reach = self.size // 2
        padded = F.pad(batch, (reach,) * 4, mode="replicate")
        windows = padded.unfold(2, self.size, 1).unfold(3, self.size, 1).flatten(4)
        return windows.median(dim=4).values


DEFENCES = {"median": Median}
