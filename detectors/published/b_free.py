"""`b-free`: DINOv2 trained without a bias of content, five crops an image (Guillaro et al., CVPR 2025)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from detectors.card import InputSpec, TrainingData
from detectors.errors import DetectorError
from detectors.publication.facts import Publication
from detectors.publication.method import Method

SIDE, CROPS = 504, 5


class CropEmbedding(nn.Module):
    """Patches of an image of any size, embedded, and five crops of them: the centre and the corners.

    A map that is smaller than a crop, on either side, is tiled, and what is then larger is cut at its end:
    the five crops are the same one.

    Args:
        projection: Convolution that embeds the patches.
        grid: Height and width of a crop in patches.

    Source: Guillaro et al. 2025, arXiv:2412.17671, section 4.
    """

    def __init__(self, projection: nn.Conv2d, grid: tuple[int, int]) -> None:
        super().__init__()
        self.proj = projection
        self.grid = grid

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, h, w) to tokens (5 N, height x width of a crop, embedding), crop by crop.

        Raises:
            DetectorError: If an image is smaller than a patch.
        """
        if any(
            side < patch
            for side, patch in zip(batch.shape[-2:], self.proj.kernel_size, strict=True)
        ):
            raise DetectorError(
                f"b-free embeds patches of {self.proj.kernel_size[0]} px, and an image here is "
                f"{batch.shape[-1]} x {batch.shape[-2]} px: leave it out"
            )
        return torch.cat(self._crops(self.proj(batch))).flatten(2).transpose(1, 2)

    def _crops(self, maps: Tensor) -> list[Tensor]:
        height, width = self.grid
        if maps.shape[-2] < height or maps.shape[-1] < width:
            times = (math.ceil(height / maps.shape[-2]), math.ceil(width / maps.shape[-1]))
            maps = maps.repeat(1, 1, *times)[..., :height, :width]
        bottom, right = maps.shape[-2] - height, maps.shape[-1] - width
        corners = ((bottom // 2, right // 2), (0, 0), (bottom, 0), (bottom, right), (0, right))
        return [maps[..., top : top + height, left : left + width] for top, left in corners]


class CropHead(nn.Linear):
    """A linear layer whose scores are averaged over the crops of an image."""

    def forward(self, features: Tensor) -> Tensor:
        """Map (5 N, embedding), crop by crop, to (N, outputs)."""
        scores = super().forward(features)
        return scores.reshape(CROPS, -1, scores.shape[-1]).mean(dim=0)


def with_crops(transformer: Any) -> nn.Module:
    """Make a vision transformer of timm look at five crops of an image of any size; its keys stay.

    Args:
        transformer: The network, changed in place; its own image size is that of a crop.
    """
    embedding, head = transformer.patch_embed, transformer.head
    transformer.patch_embed = CropEmbedding(embedding.proj, embedding.grid_size)
    transformer.head = CropHead(head.in_features, head.out_features)
    # Five crops of 1,301 tokens an image: gradients that keep every block's values would take 4 GB an image.
    transformer.set_grad_checkpointing()
    network: nn.Module = transformer
    return network


def build(outputs: int = 1) -> nn.Module:
    """Make DINOv2's ViT-B/14 with four registers, for crops of 504 px."""
    import timm  # noqa: PLC0415  (5 s to import: only when one is built)

    return with_crops(
        timm.create_model(
            "vit_base_patch14_reg4_dinov2", pretrained=False, num_classes=outputs, img_size=SIDE
        )
    )


DETECTORS: dict[str, Method] = {
    "b-free": Method(
        name="b-free",
        build=build,
        input=InputSpec(size=None, fit="native"),
        reference="Guillaro et al. 2025, CVPR, arXiv:2412.17671",
        summary="DINOv2 ViT-B/14 on five crops of 504 px, trained without bias, 86.5 M parameters",
        fake_logit="z",
        publication=Publication(
            url="https://www.grip.unina.it/download/prog/B-Free/weights/BFREE_dino2reg4.zip",
            file="BFREE_dino2reg4/model_epoch_best.pth",
            licence="LicenseRef-GRIP-UNINA-nonprofit",
            sha256="5948ca78f4d94e820c250d24cdf155035b4a85960443800bfe6bb7f06bffe947",
            training_data=TrainingData(
                dataset="B-Free (MS-COCO and its inpaintings by Stable Diffusion 2.1)",
                generators=("stable_diffusion_2_1",),
                domains=("MSCOCO",),
                n_real=51_517,
                n_fake=309_102,
            ),
            notes=(
                "The weights may be used for information and without profit only.",
                "The logits of the four demo images beside the code are -5.9375, -4.4419, 4.4305 and 3.8500.",
            ),
        ),
    ),
}
