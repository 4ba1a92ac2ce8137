"""`vit`: a vision transformer small enough to train on a CPU, on small canvases."""

from __future__ import annotations

from torch import nn

from detectors.card import InputSpec
from detectors.network import Architecture

SIDE, PATCH, WIDTH, DEPTH, HEADS = 64, 8, 128, 6, 4


def build(outputs: int) -> nn.Module:
    """Make the transformer: 64 patches of 8 x 8 px, six layers of 128 numbers and four heads."""
    from timm.models.vision_transformer import VisionTransformer  # noqa: PLC0415  (slow to import)

    return VisionTransformer(
        img_size=SIDE,
        patch_size=PATCH,
        embed_dim=WIDTH,
        depth=DEPTH,
        num_heads=HEADS,
        num_classes=outputs,
        global_pool="avg",
    )


DETECTORS: dict[str, Architecture] = {
    "vit": Architecture(
        name="vit",
        build=build,
        input=InputSpec(size=SIDE, fit="shortest-crop", interpolation="bicubic"),
        reference="Dosovitskiy et al. 2021, arXiv:2010.11929; a small one",
        summary="small vision transformer, 8 px patches on 64 px, 1.2 M parameters",
    ),
}
