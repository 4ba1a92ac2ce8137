"""`community-forensics-224` and `-384`: a small vision transformer that saw thousands of generators."""

from __future__ import annotations

from torch import Tensor, nn

from detectors.card import InputSpec, TrainingData
from detectors.publication.facts import Publication
from detectors.publication.method import Method


class CommunityForensics(nn.Module):
    """ViT-S/16 of timm under a linear layer, all of it trained; its keys stand behind ``vit.``.

    Source: Park and Owens 2025, arXiv:2411.04125, section 4.1.
    """

    def __init__(self, outputs: int = 1, *, side: int = 384) -> None:
        super().__init__()
        import timm  # noqa: PLC0415  (5 s to import: only when one is built)

        self.vit: nn.Module = timm.create_model(
            f"vit_small_patch16_{side}", pretrained=False, num_classes=outputs
        )

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, side, side) normalised float32 to (N, outputs)."""
        scores: Tensor = self.vit(batch)
        return scores


def _at_224(outputs: int) -> nn.Module:
    return CommunityForensics(outputs, side=224)


def _at_384(outputs: int) -> nn.Module:
    return CommunityForensics(outputs, side=384)


_TRAINING = TrainingData(
    dataset="Community Forensics (4,782 generators, 4,766 of them latent diffusion models)",
    n_real=2_700_000,
    n_fake=2_700_000,
)
_NOTES = (
    "The generators of its training are not named here: they count as neither seen nor unseen.",
    "The files published at a second place hold the same weights under `model`, with the optimizer's state.",
)

DETECTORS: dict[str, Method] = {
    "community-forensics-224": Method(
        name="community-forensics-224",
        build=_at_224,
        input=InputSpec(size=224, resize_to=256, interpolation="bilinear"),
        reference="Park and Owens 2025, CVPR, arXiv:2411.04125",
        summary="ViT-S/16 that saw 4,782 generators, at 224 px, 21.7 M parameters",
        fake_logit="z",
        publication=Publication(
            url="https://huggingface.co/OwensLab/commfor-model-224",
            file="model.safetensors",
            licence="MIT",
            sha256="a6cc439d5a6d2dfadd60c77d27a2838ad55b34e601ecd30f46ad97266d6ac4e0",
            training_data=_TRAINING,
            notes=_NOTES,
        ),
    ),
    "community-forensics-384": Method(
        name="community-forensics-384",
        build=_at_384,
        input=InputSpec(size=384, resize_to=440, interpolation="bilinear"),
        reference="Park and Owens 2025, CVPR, arXiv:2411.04125",
        summary="ViT-S/16 that saw 4,782 generators, at 384 px, 21.8 M parameters",
        fake_logit="z",
        publication=Publication(
            url="https://huggingface.co/OwensLab/commfor-model-384",
            file="model.safetensors",
            licence="MIT",
            sha256="b89f36275f3bf5e2b040eee36597a8f19db051bff9a473a9cf7b2466284fb387",
            training_data=_TRAINING,
            notes=_NOTES,
        ),
    ),
}
