"""`freqdetect`: ResNet-50 on the logarithm of the cosine spectrum (Frank et al., ICML 2020)."""

from __future__ import annotations

from torch import Tensor

from detectors.card import InputSpec
from detectors.publication.facts import PROGAN_20, Beside, Publication
from detectors.publication.method import Method
from detectors.published.resnet import ResNet50
from detectors.published.spectrum import LogSpectrum

SIDE = 224


class FreqDetect(ResNet50):
    """ResNet-50 whose image is a standardised spectrum.

    Source: Frank et al. 2020, arXiv:2003.08685; this network is that of the benchmark AIGCDetect.
    """

    def __init__(self, outputs: int = 1) -> None:
        super().__init__(outputs)
        self.spectrum = LogSpectrum(SIDE)

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, 224, 224) float32 in [0, 1] to (N, outputs)."""
        return super().forward(self.spectrum(batch))


DETECTORS: dict[str, Method] = {
    "freqdetect": Method(
        name="freqdetect",
        build=FreqDetect,
        input=InputSpec(
            size=SIDE,
            resize_to=256,
            interpolation="bilinear",
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
        ),
        reference="Frank et al. 2020, ICML, arXiv:2003.08685",
        summary="ResNet-50 on the logarithm of the cosine spectrum, 23.5 M parameters",
        fake_logit="z",
        publication=Publication(
            url="https://github.com/Ekko-zn/AIGCDetectBenchmark",
            file="DCTAnalysis.pth",
            beside=Beside("spectrum", {"mean": "dct_mean", "variance": "dct_var"}),
            training_data=PROGAN_20,
            notes=(
                "Mean and variance of the spectrum are files of their own, dct_mean and dct_var: put them "
                "beside the weights.",
                "These weights are the benchmark's, trained on ProGAN; the paper's own are of small networks "
                "on faces and bedrooms.",
                "Other benchmarks crop 224 px without the resize to 256.",
            ),
        ),
    ),
}
