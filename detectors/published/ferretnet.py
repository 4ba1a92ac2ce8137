"""`ferretnet-s`, `ferretnet-b`: local pixel dependencies, a small network (Liang et al., NeurIPS 2025)."""

from __future__ import annotations

import functools

from torch import Tensor, nn

from detectors.card import InputSpec
from detectors.publication.facts import (
    CLIP_MEAN,
    CLIP_STD,
    FORENSYNTHS,
    PROGAN_4,
    PaperFigure,
    Publication,
    paper_figures,
)
from detectors.publication.method import Method
from detectors.publication.tables import aigibench
from detectors.published.residuals import median_residual

REFERENCE = "Liang et al. 2025, NeurIPS, arXiv:2509.20890"
URL = "https://github.com/xigua7105/FerretNet"
INPUT = InputSpec(size=256, fit="crop", padding="zero", mean=CLIP_MEAN, std=CLIP_STD)


class DilatedPair(nn.Module):
    """Two grouped convolutions with a reach of 3 and of 5 px, summed, and a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _grouped(inputs, outputs, stride=stride, dilation=1)
        self.conv2 = _grouped(inputs, outputs, stride=stride, dilation=2)
        self.conv3 = nn.Conv2d(outputs, outputs, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, h / stride, w / stride)."""
        out: Tensor = self.conv3(self.conv1(maps) + self.conv2(maps))
        return out


class Separable(nn.Module):
    """A 3x3 convolution in each channel alone, and a 1x1 convolution across channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depth_wise = _grouped(width, width, stride=1, dilation=1)
        self.point_wise = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (N, width, h, w) to the same shape."""
        out: Tensor = self.point_wise(self.depth_wise(maps))
        return out


class FerretBlock(nn.Module):
    """A dilated pair and a separable convolution beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            DilatedPair(inputs, outputs, stride),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            Separable(outputs),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride), nn.BatchNorm2d(outputs)
            )
        self.relu = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """Map (N, inputs, h, w) to (N, outputs, h / stride, w / stride)."""
        out: Tensor = self.relu(self.layers(maps) + self.shortcut(maps))
        return out


class FerretNet(nn.Module):
    """Four blocks on the median residual of a normalised image.

    Args:
        outputs: Number of outputs.
        width: Channels before the first block; every second block doubles them.

    Source: Liang et al. 2025, arXiv:2509.20890, section 3.3.
    """

    def __init__(self, outputs: int = 1, *, width: int) -> None:
        super().__init__()
        self.cbr1 = _entry(3, width // 2, stride=1)
        self.cbr2 = _entry(width // 2, width, stride=2)
        stages: list[nn.Module] = []
        for inputs in (width, 2 * width):
            stages.append(
                nn.Sequential(
                    FerretBlock(inputs, 2 * inputs, 2), FerretBlock(2 * inputs, 2 * inputs, 1)
                )
            )
        self.feature = nn.Sequential(*stages, nn.Conv2d(4 * width, 4 * width, 1, bias=False))
        self.logit = nn.Sequential(nn.Dropout(0.2), nn.Linear(4 * width, outputs))

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, h, w) normalised float32 to (N, outputs)."""
        maps = self.feature(self.cbr2(self.cbr1(median_residual(batch))))
        scores: Tensor = self.logit(maps.mean(dim=(2, 3)))
        return scores


def _grouped(inputs: int, outputs: int, *, stride: int, dilation: int) -> nn.Conv2d:
    return nn.Conv2d(
        inputs,
        outputs,
        3,
        stride=stride,
        padding=dilation,
        dilation=dilation,
        groups=inputs,
        bias=False,
    )


def _entry(inputs: int, outputs: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def _publication(file: str, figures: tuple[PaperFigure, ...], sha256: str = "") -> Publication:
    return Publication(
        url=URL,
        file=file,
        licence="Apache-2.0",
        sha256=sha256,
        training_data=PROGAN_4,
        figures=figures,
    )


# The authors' own log of the test set; the averages of their paper are of the same run.
_FORENSYNTHS_B = paper_figures(
    FORENSYNTHS,
    "Liang et al. 2025, docs/results/ForenSynths.txt",
    {
        "progan": (99.9, 100.0, 99.95, 99.78),
        "stylegan": (98.0, 100.0, 99.95, 96.14),
        "stylegan2": (98.5, 100.0, 99.97, 97.10),
        "biggan": (92.6, 98.5, 86.00, 99.15),
        "cyclegan": (98.8, 99.9, 98.11, 99.55),
        "stargan": (99.1, 100.0, 99.55, 98.60),
        "gaugan": (91.4, 99.8, 82.82, 99.98),
        "deepfake": (89.2, 96.7, 97.71, 80.69),
        "": (95.9, 99.3, 95.51, 96.37),
    },
    metrics=("accuracy", "average precision", "real accuracy", "fake accuracy"),
)

DETECTORS: dict[str, Method] = {
    "ferretnet-s": Method(
        name="ferretnet-s",
        build=functools.partial(FerretNet, width=32),
        input=INPUT,
        reference=REFERENCE,
        summary="FerretNet-S: median residual under four small blocks, 0.13 M parameters",
        fake_logit="z",
        publication=_publication(
            "ferretnet-s-median-3.pth",
            (),
            "5604ab1ade78dc615181b7d014242bf26f7bc5e2bc82351e6e8d42ce5f28f485",
        ),
    ),
    "ferretnet-b": Method(
        name="ferretnet-b",
        build=functools.partial(FerretNet, width=96),
        input=INPUT,
        reference=REFERENCE,
        summary="FerretNet-B: median residual under four small blocks, 1.1 M parameters",
        fake_logit="z",
        paper_size="1.06 M",
        publication=_publication(
            "ferretnet-b-median-3.pth", _FORENSYNTHS_B + aigibench("FerretNet")
        ),
    ),
}
