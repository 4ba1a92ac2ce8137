"""`gram-net`: ResNet-18 and the texture of six of its layers (Liu et al., CVPR 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detectors.card import InputSpec
from detectors.publication.facts import PROGAN_20, Publication
from detectors.publication.method import Method
from detectors.publication.tables import aigibench

WIDTHS = (64, 128, 256, 512)
CHANNELS, TEXTURE, HIDDEN = 32, 32, 512
# For every layer read, how the published weights call its convolution and the two behind its Gram matrix.
TEXTURES = (
    ("conv_interi_0", "gi_fc1", "gi_fc2"),
    ("conv_inter0_0", "g0_fc1", "g0_fc2"),
    ("conv_inter1_0", "g_fc1r", "g_fc2r"),
    ("conv_inter2_0", "g2_fc1", "g2_fc2"),
    ("conv_inter3_0", "g3_fc1", "g3_fc2"),
    ("conv_inter4_0", "g4_fc1", "g4_fc2"),
)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut.

    Source: He et al. 2016, arXiv:1512.03385, figure 5.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, h / stride, w / stride)."""
        branch = self.relu(self.bn1(self.conv1(maps)))
        branch = self.bn2(self.conv2(branch))
        shortcut = maps if self.downsample is None else self.downsample(maps)
        out: Tensor = self.relu(branch + shortcut)
        return out


class Scale(nn.Module):
    """One learned factor for the textures of all layers."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, values: Tensor) -> Tensor:
        """Multiply values of any shape."""
        return values * self.scale


def gram_matrix(maps: Tensor) -> Tensor:
    """Correlate the channels of feature maps over all places: what is there, wherever it is.

    Args:
        maps: (N, channels, h, w).

    Returns:
        (N, 1, channels, channels), divided by how many values an image's maps have.

    Source: Liu et al. 2020, arXiv:2002.00133, equation 1.
    """
    flat = maps.flatten(2)
    return (flat @ flat.transpose(1, 2) / maps[0].numel())[:, None]


class GramNet(nn.Module):
    """ResNet-18 whose features stand beside the Gram matrices of its input and of five layers.

    Source: Liu et al. 2020, arXiv:2002.00133, section 4.
    """

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = 64
        for stage, width in enumerate(WIDTHS, start=1):
            first = BasicBlock(inputs, width, stride=1 if stage == 1 else 2)
            self.add_module(f"layer{stage}", nn.Sequential(first, BasicBlock(width, width)))
            inputs = width
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.scale = Scale()
        self.fcnewr = nn.Sequential(
            nn.Linear(WIDTHS[-1] + len(TEXTURES) * TEXTURE, HIDDEN),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(HIDDEN, outputs),
        )
        for (before, middle, last), width in zip(TEXTURES, (3, 64, 64, 64, 128, 256), strict=True):
            self.add_module(before, _convolution(width, CHANNELS, stride=1))
            self.add_module(middle, _convolution(1, TEXTURE // 2, stride=2))
            self.add_module(last, _convolution(TEXTURE // 2, TEXTURE, stride=2))

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, h, w) normalised float32 to (N, outputs)."""
        stem = self.relu(self.bn1(self.conv1(batch)))
        layers = [batch, stem, self.maxpool(stem)]
        for stage in range(1, len(WIDTHS) + 1):
            layers.append(self.get_submodule(f"layer{stage}")(layers[-1]))
        features = self.avgpool(layers.pop()).flatten(1)
        textures = [
            self.scale(self._texture(maps, names))
            for maps, names in zip(layers, TEXTURES, strict=True)
        ]
        scores: Tensor = self.fcnewr(torch.cat([features, *textures], dim=1))
        return scores

    def _texture(self, maps: Tensor, names: tuple[str, str, str]) -> Tensor:
        before, middle, last = (self.get_submodule(name) for name in names)
        texture: Tensor = self.avgpool(last(middle(gram_matrix(before(maps))))).flatten(1)
        return texture


def _convolution(inputs: int, outputs: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


DETECTORS: dict[str, Method] = {
    "gram-net": Method(
        name="gram-net",
        build=GramNet,
        input=InputSpec(size=224, resize_to=256, interpolation="bilinear"),
        reference="Liu et al. 2020, CVPR, arXiv:2002.00133",
        summary="ResNet-18 beside the Gram matrices of six layers, 11.7 M parameters",
        fake_logit="z",
        publication=Publication(
            url="https://github.com/Ekko-zn/AIGCDetectBenchmark",
            file="Gram.pth",
            training_data=PROGAN_20,
            figures=aigibench("Gram-Net"),
            notes=(
                "These weights are the benchmark's, trained on ProGAN; the paper's own saw faces, and the "
                "first of their two outputs means fake (--fake-logit z0-z1).",
                "Other benchmarks crop 224 px without the resize to 256.",
            ),
        ),
    ),
}
