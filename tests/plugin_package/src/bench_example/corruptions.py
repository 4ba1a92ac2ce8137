"""A corruption of one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from corruptions.base import Corruption, Image


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSwap(Corruption):
    """Exchange red and blue."""

    name: ClassVar[str] = "channel-swap"
    summary: ClassVar[str] = "red and blue exchanged"
    severities: ClassVar = ({}, {}, {}, {}, {})
    one_strength: ClassVar[bool] = True
    draws: ClassVar[bool] = False

    def apply(self, image: Image, rng: np.random.Generator) -> Image:
        """(H, W, 3) uint8 RGB to BGR."""
        del rng
        return image[..., ::-1]


CORRUPTIONS = {"channel-swap": ChannelSwap}
