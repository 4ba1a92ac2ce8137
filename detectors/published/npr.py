"""`npr`: neighbouring pixel relations under half a ResNet-50 (Tan et al., CVPR 2024)."""

from __future__ import annotations

from torch import Tensor

from detectors.card import InputSpec
from detectors.publication.facts import FORENSYNTHS, PROGAN_4, Publication, paper_figures
from detectors.publication.method import Method
from detectors.publication.tables import aigibench
from detectors.published.residuals import resampling_residual
from detectors.published.resnet import ResNet50


class NPR(ResNet50):
    """The first two stages of a ResNet-50, first convolution 3x3, on 2/3 of the resampling residual.

    Source: Tan et al. 2024, arXiv:2312.10461, section 3.3.
    """

    def __init__(self, outputs: int = 1) -> None:
        super().__init__(outputs, kernel=3, stages=2, head="fc1")

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, h, w) normalised float32, h and w even, to (N, outputs)."""
        return super().forward(resampling_residual(batch) * (2 / 3))


DETECTORS: dict[str, Method] = {
    "npr": Method(
        name="npr",
        build=NPR,
        input=InputSpec(size=256, fit="resize", interpolation="bilinear"),
        reference="Tan et al. 2024, CVPR, arXiv:2312.10461",
        summary="neighbouring pixel relations under half a ResNet-50, 1.4 M parameters",
        fake_logit="z",
        paper_size="1.44 M",
        publication=Publication(
            url="https://github.com/chuangchuangtan/NPR-DeepfakeDetection",
            file="NPR.pth",
            training_data=PROGAN_4,
            figures=paper_figures(
                FORENSYNTHS,
                "Tan et al. 2024, table 2",
                {
                    "progan": (99.8, 100.0),
                    "stylegan": (96.3, 99.8),
                    "stylegan2": (97.3, 100.0),
                    "biggan": (87.5, 94.5),
                    "cyclegan": (95.0, 99.5),
                    "stargan": (99.7, 100.0),
                    "gaugan": (86.6, 88.8),
                    "deepfake": (77.4, 86.2),
                    "": (92.5, 96.1),
                },
            )
            + aigibench("NPR"),
            notes=("Sides must be even: where the canvas is native, odd sizes are refused.",),
        ),
    ),
}
