"""Random resizing and padding before the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from detectors.defences.base import RandomisedDefence
from detectors.defences.checks import number, whole


@dataclass(frozen=True, kw_only=True)
class Resizing(RandomisedDefence):
    """The canvas reduced to a random size and put at a random place of a black one of the old size.

    Source: Xie et al. 2018, "Mitigating Adversarial Effects Through Randomization"; there the network takes
    a larger canvas, here it keeps its own. Broken by the mean gradient over draws (Athalye, Carlini and
    Wagner 2018, section 5.3.2).

    Attributes:
        low: Smallest side, as a share of the canvas's.
        draws: Draws that the score of one picture is made of.
        eot: Draws that the gradient is the mean of.
    """

    name: ClassVar[str] = "resizing"
    summary: ClassVar[str] = "random size and place; gradients over draws (EOT)"

    low: float = 0.8
    draws: int = 1
    eot: int = 10

    def __post_init__(self) -> None:
        number("resizing low", self.low, 0.1, 1.0)
        whole("resizing draws", self.draws, 1, 10_000)
        whole("resizing eot", self.eot, 1, 10_000)

    def apply(self, batch: Tensor, seeds: Sequence[int]) -> Tensor:
        """Draw a size and a place for every image of a batch."""
        height, width = batch.shape[2:]
        moved = []
        for image, seed in zip(batch, seeds, strict=True):
            generator = torch.Generator("cpu").manual_seed(seed)
            share, down, right = torch.rand(3, generator=generator).tolist()
            scale = self.low + (1 - self.low) * share
            size = (max(1, round(height * scale)), max(1, round(width * scale)))
            small = F.interpolate(image[None], size, mode="bilinear", antialias=True)
            top, left = (
                int(place * (whole_side - side + 1))
                for place, whole_side, side in zip(
                    (down, right), (height, width), size, strict=True
                )
            )
            moved.append(F.pad(small, (left, width - size[1] - left, top, height - size[0] - top)))
        return torch.cat(moved).clamp(0, 1)


DEFENCES = {"resizing": Resizing}
