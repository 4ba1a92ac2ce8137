"""`ladeda` and `tiny-ladeda`: scores of 9 x 9 px patches, averaged (Cavia et al., 2024)."""

from __future__ import annotations

from torch import Tensor, nn

from detectors.card import InputSpec, TrainingData
from detectors.publication.facts import Publication
from detectors.publication.method import Method
from detectors.publication.tables import aigibench
from detectors.published.residuals import diagonal_gradient, resampling_residual
from detectors.published.resnet import BLOCKS, EXPANSION, WIDTHS, Bottleneck

REFERENCE = "Cavia et al. 2024, arXiv:2406.09398"
URL = "https://github.com/barcavia/RealTime-DeepfakeDetection-in-the-RealWorld"
LICENCE = "LicenseRef-Yissum-Software-Research"
INPUT = InputSpec(size=256, fit="resize", interpolation="bilinear")
WILDRF = TrainingData(dataset="WildRF (Reddit)", generators=("unknown",), domains=("reddit",))
TWO_FILES = (
    "The same network is published twice, trained on WildRF and on ForenSynths (progan): the card is of "
    "the first, so nothing counts as unseen."
)


class LaDeDa(nn.Module):
    """A ResNet-50 whose features see 9 x 9 px each, on 2/3 of the resampling residual.

    Of the four stages the first two begin with one 3x3 convolution; all others are 1x1.

    Source: Cavia et al. 2024, arXiv:2406.09398, section 3.
    """

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 1, bias=False)
        self.conv2 = nn.Conv2d(64, 64, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        inputs = 64
        stages = zip(WIDTHS, BLOCKS, (3, 3, 1, 1), (2, 2, 2, 1), strict=True)
        for number, (width, blocks, kernel, stride) in enumerate(stages, start=1):
            layers = [Bottleneck(inputs, width, stride, kernel=kernel, padding=0)]
            inputs = width * EXPANSION
            layers += [Bottleneck(inputs, width, kernel=1, padding=0) for _ in range(blocks - 1)]
            self.add_module(f"layer{number}", nn.Sequential(*layers))
        self.fc = nn.Linear(inputs, outputs)

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, h, w) normalised float32, h and w even, to (N, outputs)."""
        maps = self.conv2(self.conv1(resampling_residual(batch) * (2 / 3)))
        maps = self.relu(self.bn1(maps))
        for stage in range(1, 5):
            maps = self.get_submodule(f"layer{stage}")(maps)
        # The mean of the patches' logits is the logit of their mean features: the head is linear.
        scores: Tensor = self.fc(maps.mean(dim=(2, 3)))
        return scores


class TinyBlock(nn.Module):
    """Two convolutions without padding, 1x1 and 3x3 with stride 2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=2, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """Map (N, width, h, w) to (N, width, about h / 2, about w / 2)."""
        maps = self.relu(self.bn1(self.conv1(maps)))
        out: Tensor = self.relu(self.bn2(self.conv2(maps)))
        return out


class TinyLaDeDa(nn.Module):
    """Four convolutions of eight channels on the diagonal gradient, distilled from LaDeDa.

    Source: Cavia et al. 2024, arXiv:2406.09398, section 3.2.
    """

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 1, bias=False)
        self.conv2 = nn.Conv2d(8, 8, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.layer1 = nn.Sequential(TinyBlock(8))
        self.fc = nn.Linear(8, outputs)

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, h, w) normalised float32 to (N, outputs)."""
        maps = self.relu(self.bn1(self.conv2(self.conv1(diagonal_gradient(batch)))))
        scores: Tensor = self.fc(self.layer1(maps).mean(dim=(2, 3)))
        return scores


DETECTORS: dict[str, Method] = {
    "ladeda": Method(
        name="ladeda",
        build=LaDeDa,
        input=INPUT,
        reference=REFERENCE,
        summary="LaDeDa: patches of 9 px of the resampling residual under a BagNet, 13.6 M parameters",
        fake_logit="z",
        publication=Publication(
            url=URL,
            file="WildRF_LaDeDa.pth",
            licence=LICENCE,
            training_data=WILDRF,
            figures=aigibench("LaDeDa"),
            notes=(
                TWO_FILES,
                "The residual is scaled by 2/3, as in the authors' latest code; their first did not.",
            ),
        ),
    ),
    "tiny-ladeda": Method(
        name="tiny-ladeda",
        build=TinyLaDeDa,
        input=INPUT,
        reference=REFERENCE,
        summary="Tiny-LaDeDa: four convolutions of eight channels on a diagonal gradient",
        fake_logit="z",
        publication=Publication(
            url=URL,
            file="WildRF_Tiny_LaDeDa.pth",
            licence=LICENCE,
            training_data=WILDRF,
            notes=(TWO_FILES,),
        ),
    ),
}
