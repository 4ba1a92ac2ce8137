"""JPEG before the network: what compression is said to wash away of an attack."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from detectors.defences.base import Defence, straight_through
from detectors.defences.checks import whole

SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")


@dataclass(frozen=True, kw_only=True)
class Jpeg(Defence):
    """The canvas rounded to 8 bits, encoded and decoded by Pillow's libjpeg.

    Backwards it is the identity (BPDA), which is how Athalye, Carlini and Wagner 2018 broke this defence
    (section 5.2.1).

    Attributes:
        quality: 1 to 100, on libjpeg's scale.
        subsampling: Chroma subsampling.
    """

    name: ClassVar[str] = "jpeg"
    summary: ClassVar[str] = "JPEG round trip; backwards the identity (BPDA)"

    quality: int = 75
    subsampling: str = "4:2:0"

    def __post_init__(self) -> None:
        whole("jpeg quality", self.quality, 1, 100)
        if self.subsampling not in SUBSAMPLINGS:
            raise ValueError(
                f"jpeg subsampling must be one of {', '.join(SUBSAMPLINGS)}, got {self.subsampling!r}"
            )

    def apply(self, batch: Tensor, seeds: Sequence[int]) -> Tensor:
        """Compress every image of a batch."""
        del seeds
        levels = (batch.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
        pictures = [self._compressed(picture) for picture in levels.permute(0, 2, 3, 1).numpy()]
        decoded = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).to(batch.device)
        # By a tensor, as canvases are made: every level has the same bits on every device.
        unit = decoded.to(batch.dtype) / torch.full((), 255.0, device=batch.device)
        return straight_through(unit, batch)

    def _compressed(self, picture: np.ndarray) -> np.ndarray:
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(picture)).save(
            buffer, format="JPEG", quality=self.quality, subsampling=self.subsampling
        )
        with Image.open(buffer, formats=("JPEG",)) as decoded:
            return np.array(decoded, dtype=np.uint8)


DEFENCES = {"jpeg": Jpeg}
