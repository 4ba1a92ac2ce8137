"""`shoes-cnn` and `cifake-cnn`: one network at two sizes, from a study of shoes and CIFAKE (INFO-H518)."""

from __future__ import annotations

import functools
from itertools import pairwise

from torch import Tensor, nn

from detectors.card import InputSpec
from detectors.network import Architecture

FILTERS = (32, 64, 128)
SMALLEST = 36  # px: below it the third pool has nothing left
SHOES_SIDE, CIFAKE_SIDE = 240, 256
REFERENCE = "Shoes and CIFAKE study, INFO-H518, Indiana University Indianapolis"


class CifakeCNN(nn.Module):
    """Three blocks of two convolutions without padding, and two hidden layers.

    Source: the study's text: 3 x [conv 3x3, ReLU, batch norm, conv 3x3, ReLU, batch norm, max-pool 2] with
    32, 64 and 128 filters, no padding; FC 512, dropout 0.25, FC 256, one sigmoid. It counts 59 M parameters
    at 256 px; without any padding the map before the first hidden layer is 28 x 28 and the count 51.8 M.
    59.4 M is what comes out where the first convolution of each block is padded (30 x 30). The text's
    layers are what is built here.
    """

    def __init__(self, outputs: int = 1, side: int = CIFAKE_SIDE) -> None:
        super().__init__()
        if side < SMALLEST:
            raise ValueError(
                f"cifake-cnn needs a canvas of {SMALLEST} px at least, got {side}: its convolutions "
                "have no padding"
            )
        layers: list[nn.Module] = []
        for into, out in pairwise((3, *FILTERS)):
            layers += [nn.Conv2d(into, out, 3), nn.ReLU(), nn.BatchNorm2d(out)]
            layers += [nn.Conv2d(out, out, 3), nn.ReLU(), nn.BatchNorm2d(out), nn.MaxPool2d(2)]
            side = (side - 4) // 2
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(FILTERS[-1] * side * side, 512),
            nn.ReLU(),
            nn.Dropout(0.25),
            nn.Linear(512, 256),
            nn.ReLU(),
            nn.Linear(256, outputs),
        )

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, side, side) float32 to (N, outputs)."""
        scores: Tensor = self.classifier(self.features(batch))
        return scores


def _architecture(name: str, side: int, *, summary: str) -> Architecture:
    return Architecture(
        name=name,
        build=functools.partial(CifakeCNN, side=side),
        build_for=CifakeCNN,
        input=InputSpec(
            size=side,
            fit="resize",
            interpolation="bilinear",
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
        ),
        reference=REFERENCE,
        paper_size="59 M at 256 px, which fits its layers only with padding in half of them",
        summary=summary,
    )


DETECTORS: dict[str, Architecture] = {
    "shoes-cnn": _architecture(
        "shoes-cnn",
        SHOES_SIDE,
        summary="six convolutions without padding at 240 px, 44.7 M parameters",
    ),
    "cifake-cnn": _architecture(
        "cifake-cnn",
        CIFAKE_SIDE,
        summary="six convolutions without padding at 256 px, 51.8 M parameters",
    ),
}
