"""A detector without learned weights: smooth images are called AI-generated."""

from __future__ import annotations

from torch import Tensor

from detectors import Detector, DetectorCard, InputSpec, TrainingData


class Smoothness(Detector):
    """Logit = 10 - 200 * mean absolute difference of neighbouring pixels."""

    card = DetectorCard(
        name="smoothness",
        arch="smoothness",
        licence="Apache-2.0",
        input=InputSpec(size=64, fit="crop"),
        training_data=TrainingData(),
    )

    def logits(self, batch: Tensor) -> Tensor:
        """Score (N, 3, 64, 64) in [0, 1]; returns (N,)."""
        return 10 - 200 * (batch[..., 1:] - batch[..., :-1]).abs().mean(dim=(1, 2, 3))


DETECTORS = {"smoothness": Smoothness}
