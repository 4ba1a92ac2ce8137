"""`rine`: what every block of CLIP's image encoder knows, weighed (Koutlis and Papadopoulos, ECCV 2024)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from detectors.card import InputSpec, TrainingData
from detectors.publication.facts import (
    CLIP_MEAN,
    CLIP_STD,
    PROGAN_4,
    Backbone,
    PaperFigure,
    Publication,
    paper_figures,
)
from detectors.publication.method import Method

BACKBONE = Backbone("vit_large_patch14_clip_quickgelu_224.openai", "clip", unused=("head.",))


class RINE(nn.Module):
    """A weighted sum of the class tokens of all blocks, between two stacks of linear layers.

    Args:
        outputs: Number of outputs.
        projections: How many linear layers a stack has.
        width: How many numbers each of them gives.
        clip: The image encoder, a vision transformer as timm builds it; CLIP's ViT-L/14 by default.

    Source: Koutlis and Papadopoulos 2024, arXiv:2402.19091, section 3.
    """

    clip: Any

    def __init__(
        self, outputs: int = 1, *, projections: int = 2, width: int = 1024, clip: Any = None
    ) -> None:
        super().__init__()
        self.clip = _encoder() if clip is None else clip
        self.alpha = nn.Parameter(torch.randn(1, len(self.clip.blocks), width))
        self.proj1 = _stack(self.clip.embed_dim, width, projections)
        self.proj2 = _stack(width, width, projections)
        self.head = nn.Sequential(
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(width, outputs),
        )

    def class_tokens(self, batch: Tensor) -> Tensor:
        """Read the class token of every block, normalised as its second half sees it.

        Args:
            batch: (N, 3, h, w) normalised float32.

        Returns:
            (N, blocks, embedding).
        """
        clip = self.clip
        tokens = clip.patch_embed(batch)
        tokens = torch.cat([clip.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = clip.norm_pre(tokens + clip.pos_embed)
        read = []
        for block in clip.blocks:
            tokens = tokens + block.attn(block.norm1(tokens))
            normal = block.norm2(tokens)
            read.append(normal[:, 0])
            tokens = tokens + block.mlp(normal)
        return torch.stack(read, dim=1)

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, 224, 224) normalised float32 to (N, outputs)."""
        projected = self.proj1(self.class_tokens(batch))
        weighed = (torch.softmax(self.alpha, dim=1) * projected).sum(dim=1)
        scores: Tensor = self.head(self.proj2(weighed))
        return scores


def _encoder() -> nn.Module:
    import timm  # noqa: PLC0415  (5 s to import: only when one is built)

    encoder: nn.Module = timm.create_model(BACKBONE.model, pretrained=False, num_classes=0)
    return encoder


def _stack(inputs: int, width: int, count: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Dropout()]
    for layer in range(count):
        layers += [nn.Linear(width if layer else inputs, width), nn.ReLU(), nn.Dropout()]
    return nn.Sequential(*layers)


def _four_layers(outputs: int) -> nn.Module:
    return RINE(outputs, projections=4)


def _narrow(outputs: int) -> nn.Module:
    return RINE(outputs, projections=4, width=128)


_INPUT = InputSpec(size=224, fit="crop", padding="zero", mean=CLIP_MEAN, std=CLIP_STD)
_REFERENCE = "Koutlis and Papadopoulos 2024, ECCV, arXiv:2402.19091"
_URL = "https://github.com/mever-team/rine/tree/main/ckpt"


def _figures(accuracy: float, precision: float) -> tuple[PaperFigure, ...]:
    return paper_figures(
        "ForenSynths and UniversalFakeDetect, 20 generators",
        "Koutlis and Papadopoulos 2024, the mean of the result files published with the code",
        {"": (accuracy, precision)},
    )


def _progan(classes: str) -> TrainingData:
    return TrainingData(dataset=f"ForenSynths ({classes})", generators=("progan",))


DETECTORS: dict[str, Method] = {
    "rine": Method(
        name="rine",
        build=RINE,
        input=_INPUT,
        reference=_REFERENCE,
        summary="class tokens of all 24 blocks of CLIP ViT-L/14, weighed; trained on four classes",
        fake_logit="z",
        publication=Publication(
            url=_URL,
            file="model_4class_trainable.pth",
            licence="Apache-2.0",
            training_data=PROGAN_4,
            backbone=BACKBONE,
            figures=_figures(91.45, 98.85),
        ),
    ),
    "rine-1class": Method(
        name="rine-1class",
        build=_four_layers,
        input=_INPUT,
        reference=_REFERENCE,
        summary="class tokens of all 24 blocks of CLIP ViT-L/14, weighed; trained on one class",
        fake_logit="z",
        publication=Publication(
            url=_URL,
            file="model_1class_trainable.pth",
            licence="Apache-2.0",
            training_data=_progan("1 LSUN class: horse"),
            backbone=BACKBONE,
            figures=_figures(90.31, 98.61),
            notes=("The file of the latent diffusion training has the same keys and shapes.",),
        ),
    ),
    "rine-2class": Method(
        name="rine-2class",
        build=_narrow,
        input=_INPUT,
        reference=_REFERENCE,
        summary="class tokens of all 24 blocks of CLIP ViT-L/14, weighed; trained on two classes",
        fake_logit="z",
        publication=Publication(
            url=_URL,
            file="model_2class_trainable.pth",
            licence="Apache-2.0",
            sha256="680d301b6d191da85b9dabcebf42cd3df20c5c669fa8320c498f835d02bf5ccb",
            training_data=_progan("2 LSUN classes: chair, horse"),
            backbone=BACKBONE,
            figures=_figures(87.74, 98.69),
        ),
    ),
    "rine-ldm": Method(
        name="rine-ldm",
        build=_four_layers,
        input=InputSpec(
            size=None, fit="native", views="ten", view_size=224, mean=CLIP_MEAN, std=CLIP_STD
        ),
        reference=_REFERENCE,
        summary="class tokens of all 24 blocks of CLIP ViT-L/14, weighed; trained on latent diffusion",
        fake_logit="z",
        publication=Publication(
            url=_URL,
            file="model_ldm_trainable.pth",
            licence="Apache-2.0",
            training_data=TrainingData(
                dataset="latent diffusion (Corvi et al. 2023)", generators=("latent_diffusion",)
            ),
            backbone=BACKBONE,
            notes=(
                "The file of the training on one class has the same keys and shapes.",
                "Its authors score ten crops of an image and average their logits.",
            ),
        ),
    ),
}
