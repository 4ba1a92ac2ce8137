"""`dalle2-art-cnn`: the network of a study of DALL-E 2 art against human art (University of Alberta)."""

from __future__ import annotations

from torch import Tensor, nn

from detectors.card import InputSpec
from detectors.network import Architecture

WIDTH, MAP = 64, 7


def _block(inputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (inputs, WIDTH):
        layers += [nn.Conv2d(width, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(2))


class Dalle2ArtCNN(nn.Module):
    """Five blocks of two convolutions, and two hidden layers.

    Source: the study's text: 5 x [conv 3x3-64, batch norm, ReLU] x 2 + max-pool 2; FC 128, FC 64 (ReLU),
    softmax over two classes; dropout, whose rate it does not state (here 0.5, before each hidden layer).
    Its input is 245 x 255, which leaves 7 x 7 numbers a filter. It counts 7.5 M parameters; the layers it
    lists come to 0.75 M, and no reading of them to 7.5 M. The layers are what is built here.

    Other inputs are averaged, or spread, to the same 7 x 7 (as torchvision's VGG does), so one set of
    layers serves any size from 32 px.
    """

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        blocks = [_block(3 if first else WIDTH) for first in (True, False, False, False, False)]
        self.features = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(MAP)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(WIDTH * MAP * MAP, 128),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(128, 64),
            nn.ReLU(),
            nn.Linear(64, outputs),
        )

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, h, w) float32, h and w at least 32, to (N, outputs)."""
        scores: Tensor = self.classifier(self.pool(self.features(batch)))
        return scores


DETECTORS: dict[str, Architecture] = {
    "dalle2-art-cnn": Architecture(
        name="dalle2-art-cnn",
        build=Dalle2ArtCNN,
        # No normalisation. Which of the two sides is the height is not said: arrays are written so.
        input=InputSpec(
            size=(245, 255),
            fit="resize",
            interpolation="bilinear",
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
        ),
        paper_size="7.5 M, which no reading of its layers comes to",
        reference="DALL-E 2 art study, STAT 541, University of Alberta",
        summary="five blocks of two convolutions, 0.75 M parameters",
    ),
}
