"""`genimage-cnn`: the small network of a study of Tiny-GenImage (Babes-Bolyai University)."""

from __future__ import annotations

from torch import Tensor, nn

from detectors.card import InputSpec
from detectors.network import Architecture


class GenImageCNN(nn.Module):
    """Three conv-pool blocks and one hidden layer on a 32 px canvas.

    Source: a study of Tiny-GenImage (Babes-Bolyai University): input 32x32x3, 3 x [conv 3x3 same,
    ReLU, max-pool 2] with 32, 64, 128 filters, FC 128, dropout 0.5, softmax over two classes.
    """

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(64, 128, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(128 * 4 * 4, 128),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(128, outputs),
        )

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, 32, 32) normalised float32 to (N, outputs)."""
        scores: Tensor = self.classifier(self.features(batch))
        return scores


DETECTORS: dict[str, Architecture] = {
    "genimage-cnn": Architecture(
        name="genimage-cnn",
        build=GenImageCNN,
        input=InputSpec(
            size=32,
            fit="resize",
            interpolation="bilinear",
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
        ),
        reference="Tiny-GenImage study, Babes-Bolyai University",
        summary="three conv-pool blocks on 32 px, 0.36 M parameters",
    ),
}
