"""A function of a Python program as a detector: images in, logits out, with an input rule beside it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from detectors.base import Detector
from detectors.card import DetectorCard
from detectors.identity.values import Identity
from detectors.inputs.spec import InputSpec


class FunctionDetector(Detector):
    """A detector whose logits a function computes.

    What a function reaches, nobody can follow to its end: its scores are used in one run only.

    Args:
        function: Takes (N, 3, h, w) float32 in [0, 1], gives (N,) raw logits, > 0 = AI-generated.
        spec: How an image becomes the canvas that the function takes.
        name: What boards call it; the function's own name by default.
    """

    def __init__(
        self, function: Callable[[Tensor], Tensor], spec: InputSpec, name: str = ""
    ) -> None:
        named = name or getattr(function, "__name__", "").strip("<>") or "function"
        self.card = DetectorCard(name=named, arch="function", input=spec)
        self.function = function

    def logits(self, batch: Tensor) -> Tensor:
        """Score a batch by calling the function on it."""
        return self.function(batch)

    def identify(self) -> Identity:
        """Identify what can be seen of the function, and say that this is not all."""
        return Identity(super().identify().digest, (f"what the function {self.card.name} answers",))
