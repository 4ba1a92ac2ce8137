"""A laundering without a network."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from attacks.laundering.base import Image, Laundering


@dataclass(frozen=True, slots=True, kw_only=True)
class Coarse(Laundering):
    """Write a picture with fewer levels a channel."""

    name: ClassVar[str] = "coarse"
    summary: ClassVar[str] = "fewer levels a channel"
    severities: ClassVar = tuple({"levels": levels} for levels in (64, 32, 16, 8, 4))
    levels: int = 16

    @property
    def files(self) -> tuple[Path, ...]:  # the files of weights that decide the result
        return ()

    def apply(self, image: Image) -> Image:  # (H, W, 3) uint8 to the same
        step = 256 / self.levels
        return ((np.floor(image / step) + 0.5) * step).astype(np.uint8)


LAUNDERINGS = {"coarse": Coarse}
