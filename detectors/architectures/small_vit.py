"""`vit`: a vision transformer small enough to train on a CPU, on small canvases."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from detectors.card import InputSpec
from detectors.network import Architecture

SIDE, PATCH, WIDTH, DEPTH, HEADS = 64, 8, 128, 6, 4


class ConvStem(nn.Module):
    """Four convolutions in the place of the patches: a token for every 8 x 8 px.

    Source: Xiao et al. 2021, arXiv:2106.14881, section 4; here the first one keeps the full size, where
    a generator's traces are. Cut into plain patches, a transformer this small does not learn from a
    thousand tiles.
    """

    def __init__(self, img_size: int, embed_dim: int, **_: Any) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for into, out, stride in ((3, 32, 1), (32, 32, 2), (32, 64, 2), (64, embed_dim, 2)):
            layers += [
                nn.Conv2d(into, out, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers)
        self.num_patches = (img_size // PATCH) ** 2

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, side, side) to tokens (N, (side / 8)^2, width)."""
        tokens: Tensor = self.layers(images).flatten(2).transpose(1, 2)
        return tokens


def build(outputs: int) -> nn.Module:
    """Make the transformer: 64 tokens, six layers of 128 numbers and four heads."""
    from timm.models.vision_transformer import VisionTransformer  # noqa: PLC0415  (slow to import)

    return VisionTransformer(
        img_size=SIDE,
        patch_size=PATCH,
        embed_dim=WIDTH,
        depth=DEPTH,
        num_heads=HEADS,
        num_classes=outputs,
        global_pool="avg",
        embed_layer=ConvStem,
    )


DETECTORS: dict[str, Architecture] = {
    "vit": Architecture(
        name="vit",
        build=build,
        input=InputSpec(size=SIDE, fit="shortest-crop", interpolation="bicubic"),
        reference="Dosovitskiy et al. 2021, arXiv:2010.11929, with the stem of arXiv:2106.14881",
        summary="small vision transformer, tokens of 8 px on 64 px, 1.3 M parameters",
    ),
}
