"""A detector behind defences: what it scores, and what an adaptive attack climbs."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detectors.base import Detector
from detectors.defences.base import Defence, RandomisedDefence, image_seeds
from detectors.errors import DetectorError
from detectors.identity.source_code import file_code
from detectors.identity.values import Identity

_CODE = ("base.py", "defended.py")


def drawing_of(defences: Sequence[Defence]) -> RandomisedDefence | None:
    """Find the defence of a chain that draws; None where none does.

    Raises:
        DetectorError: Several draw.
    """
    drawing = [each for each in defences if isinstance(each, RandomisedDefence)]
    if len(drawing) > 1:
        names = " and ".join(each.name for each in drawing)
        raise DetectorError(
            f"{names} both draw: put one around the other, as in "
            f"defended(defended(NAME,{drawing[0].name}),{drawing[1].name})"
        )
    return drawing[0] if drawing else None


class Defended(Detector):
    """A detector behind a chain of defences, on the canvas: the geometry comes first, as without them.

    An attack goes through the chain. Where a defence draws, its draws for a score are a function of the
    picture alone, so that a picture has one score; the gradient is the mean over draws of its own, and the
    value that comes with it is the score's. Whoever attacks thus knows the very draws that will be scored:
    the strongest attacker, and a lower bound of what the defence is worth.

    Attributes:
        inside: The detector that the changed canvas is handed to.
        defences: The chain, in the order in which an image goes through it; at most one of them draws.
    """

    def __init__(self, inside: Detector, defences: Sequence[Defence], label: str) -> None:
        self.inside = inside
        self.defences = tuple(defences)
        self.drawing = drawing_of(self.defences)
        self.card = inside.card.model_copy(update={"name": label})
        self.no_gradient = inside.no_gradient

    @property
    def fits_by_card(self) -> bool:
        """Whether the detector's geometry is the card's, so that canvases can be shared."""
        return self.inside.fits_by_card

    def fit(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Fit an image as the detector does."""
        return self.inside.fit(image)

    def modules(self) -> list[nn.Module]:
        """List the torch modules of the detector."""
        return self.inside.modules()

    def to(self, device: torch.device) -> Self:
        """Move the detector to a device."""
        self.inside = self.inside.to(device)
        return self

    def fold(self) -> bool:
        """Fold the detector, where it can be."""
        return self.inside.fold()

    def replica(self) -> Self | None:
        """Give a twin around a twin of the detector; ``None`` where one thread at a time may score."""
        twin = self.inside.replica()
        return None if twin is None else type(self)(twin, self.defences, self.card.name)

    def identify(self) -> Identity:
        """Digest the detector, and every parameter and the code of each defence."""
        inner = self.inside.identify()
        digest = hashlib.sha256(f"defended {inner.digest}\n".encode())
        for name in _CODE:
            digest.update(file_code(Path(__file__).parent / name))
        for defence in self.defences:
            parameters: Any = defence
            digest.update(f"{defence.name} {dataclasses.asdict(parameters)}\n".encode())
            digest.update(file_code(Path(inspect.getfile(type(defence)))))
        return Identity(digest.hexdigest(), inner.unknown)

    def logits(self, batch: Tensor) -> Tensor:
        """Score (N, 3, h, w) float32 in [0, 1]; returns (N,) float32 with a gradient through the defences."""
        drawing = self.drawing
        if drawing is None:
            return self._once(batch, [0] * len(batch))
        with torch.no_grad():
            drawn = [self._draw(batch, f"score {draw}") for draw in range(drawing.draws)]
            score = drawing.pool(torch.stack(drawn))
        if not (batch.requires_grad and torch.is_grad_enabled()):
            return score
        climbed = [self._draw(batch, f"gradient {draw}") for draw in range(drawing.eot)]
        soft = drawing.soft(torch.stack(climbed))
        # The value is the score; only the gradient is that of other draws.
        return score + (soft - soft.detach())

    def _draw(self, batch: Tensor, purpose: str) -> Tensor:
        return self._once(batch, image_seeds(batch, purpose))

    def _once(self, batch: Tensor, seeds: Sequence[int]) -> Tensor:
        for defence in self.defences:
            batch = defence.apply(batch, seeds)
        return self.inside.logits(batch)
