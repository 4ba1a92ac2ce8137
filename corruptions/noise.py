"""Additive Gaussian noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from corruptions.base import Corruption, Image
from corruptions.checks import real


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise(Corruption):
    """White Gaussian noise, independent for every pixel and channel, clipped and rounded.

    A value v of 0 to 255 becomes ``v + normal(0, 255 sigma)``.

    Attributes:
        sigma: Standard deviation before clipping, 0 to 1 in units of [0, 1] (``0.05`` is 12.75
            levels).
    """

    name: ClassVar[str] = "noise"
    summary: ClassVar[str] = "white Gaussian noise of a stated standard deviation"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"sigma": 0.01},
        {"sigma": 0.025},
        {"sigma": 0.05},
        {"sigma": 0.1},
        {"sigma": 0.2},
    )

    sigma: float = 0.05

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", real("noise sigma", self.sigma, 0.0, 1.0))

    @property
    def may_be_identity(self) -> bool:
        """True where rounding swallows nearly all of the noise (a quarter of a level)."""
        return self.sigma < 0.001

    def apply(self, image: Image, rng: np.random.Generator, /) -> Image:
        """Draw one value a pixel and channel, in memory order."""
        values = rng.standard_normal(image.shape, dtype=np.float32)
        values *= np.float32(self.sigma * 255)
        values += image
        np.clip(values, 0, 255, out=values)
        return np.rint(values, out=values).astype(np.uint8)


CORRUPTIONS = {"noise": Noise}
