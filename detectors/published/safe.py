"""`safe`: the diagonal wavelet details under half a ResNet-50 (Li et al., KDD 2025)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from detectors.card import InputSpec
from detectors.publication.facts import PROGAN_4, Publication, paper_figures
from detectors.publication.method import Method
from detectors.publication.tables import aigibench
from detectors.published.resnet import ResNet50
from detectors.published.wavelet import diagonal_details


class SAFE(ResNet50):
    """The first two stages of a ResNet-50, first convolution 3x3, on an image's diagonal details.

    The details have half the image's size and are resampled to it bilinearly.
    Source: Li et al. 2024, arXiv:2408.06741, section 4.3.
    """

    def __init__(self, outputs: int = 2) -> None:
        super().__init__(outputs, kernel=3, stages=2, head="fc1")

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, h, w) float32 in [0, 1] to (N, outputs)."""
        details = functional.interpolate(
            diagonal_details(batch), size=batch.shape[-2:], mode="bilinear"
        )
        return super().forward(details)


DETECTORS: dict[str, Method] = {
    "safe": Method(
        name="safe",
        build=SAFE,
        input=InputSpec(
            size=256, fit="crop", padding="zero", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
        ),
        reference="Li et al. 2025, KDD, arXiv:2408.06741",
        summary="diagonal wavelet details under half a ResNet-50, 1.4 M parameters",
        fake_logit="z1-z0",
        paper_size="1.44 M",
        publication=Publication(
            url="https://github.com/Ouxiang-Li/SAFE/blob/main/checkpoint/checkpoint-best.pth",
            file="checkpoint-best.pth",
            licence="Apache-2.0",
            training_data=PROGAN_4,
            figures=paper_figures(
                "GPT-ImgEval",
                "Li et al., where the code is published, April 2025",
                {"GenEval": (98.92,), "ReasoningEdit": (96.32,)},
                metrics=("fake accuracy",),
            )
            + aigibench("SAFE"),
            notes=(
                "Its training script saves the arguments it was called with beside the weights; where they "
                "keep the file from being read as plain weights, save its `model` again.",
            ),
        ),
    ),
}
