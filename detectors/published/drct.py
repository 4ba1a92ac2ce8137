"""`drct-convb`: ConvNeXt-B trained against reconstructions of its own images (Chen et al., ICML 2024)."""

from __future__ import annotations

from torch import Tensor, nn

from detectors.card import InputSpec, TrainingData
from detectors.publication.facts import Publication, paper_figures
from detectors.publication.method import Method

EMBEDDING = 1024


class DRCT(nn.Module):
    """ConvNeXt-B of timm that gives an embedding of 1,024 numbers, under a linear layer.

    Source: Chen et al. 2024, PMLR 235:7621, section 3.3.
    """

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        import timm  # noqa: PLC0415  (5 s to import: only when one is built)

        self.model: nn.Module = timm.create_model(
            "convnext_base", pretrained=False, num_classes=EMBEDDING
        )
        self.fc = nn.Linear(EMBEDDING, outputs)

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, 224, 224) normalised float32 to (N, outputs)."""
        scores: Tensor = self.fc(self.model(batch))
        return scores


_INPUT = InputSpec(size=224, fit="crop", padding="zero", rounding="floor")
_REFERENCE = "Chen et al. 2024, ICML, PMLR 235:7621"
_URL = "https://modelscope.cn/datasets/BokingChen/DRCT-2M"
_NOTES = (
    "Reconstructions of real photographs count as fakes in its training.",
    "Three trainings are published under the same keys and shapes: which one a file is, nothing in it says.",
)

DETECTORS: dict[str, Method] = {
    "drct-convb": Method(
        name="drct-convb",
        build=DRCT,
        input=_INPUT,
        reference=_REFERENCE,
        summary="ConvNeXt-B trained on DRCT-2M, reconstructions by Stable Diffusion 1, 88.6 M parameters",
        fake_logit="z1-z0",
        publication=Publication(
            url=_URL,
            file="pretrained.zip: DRCT-2M/sdv14/convnext_base_in22k_224_drct_amp_crop/14_acc0.9996.pth",
            training_data=TrainingData(
                dataset="DRCT-2M",
                generators=("stable-diffusion-v1-4", "stable-diffusion-inpainting"),
                domains=("MSCOCO",),
            ),
            notes=_NOTES,
        ),
    ),
    "drct-convb-sdv2": Method(
        name="drct-convb-sdv2",
        build=DRCT,
        input=_INPUT,
        reference=_REFERENCE,
        summary="ConvNeXt-B trained on DRCT-2M, reconstructions by Stable Diffusion 2, 88.6 M parameters",
        fake_logit="z1-z0",
        publication=Publication(
            url=_URL,
            file="pretrained.zip: DRCT-2M/sdv2/convnext_base_in22k_224_drct_amp_crop/16_acc0.9993.pth",
            training_data=None,
            notes=(
                *_NOTES,
                "Which generators its fakes came from is not said where it is published.",
            ),
        ),
    ),
    "drct-convb-genimage": Method(
        name="drct-convb-genimage",
        build=DRCT,
        input=_INPUT,
        reference=_REFERENCE,
        summary="ConvNeXt-B trained on GenImage's Stable Diffusion 1.4, 88.6 M parameters",
        fake_logit="z1-z0",
        publication=Publication(
            url=_URL,
            file="pretrained.zip: GenImage/sdv14/convnext_base_in22k_224_drct_amp_crop/last_acc0.9991.pth",
            training_data=TrainingData(
                dataset="GenImage (Stable Diffusion 1.4)", generators=("stable_diffusion_v_1_4",)
            ),
            figures=paper_figures(
                "GenImage",
                "Chen et al. 2024, as corrected by its authors where the code is published",
                {"BigGAN": (59.81,)},
                metrics=("accuracy",),
            ),
            notes=_NOTES,
        ),
    ),
}
