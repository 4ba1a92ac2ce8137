"""What the published weights files hold, by name and shape, written down from the papers' tables.

None of it is read from our networks. Where a file's publisher or its readers counted tensors and numbers,
the totals stand in ``COUNTED``.
"""

from __future__ import annotations

import torch

Shapes = dict[str, tuple[int, ...]]

# Tensors and numbers that others count in the published files.
COUNTED = {
    "b-free": (177, 86_526_721),
    "community-forensics-224": (152, 21_666_049),
    "community-forensics-384": (152, 21_811_969),
}


def linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def batch_norm(name: str, width: int) -> Shapes:
    statistics = {f"{name}.running_mean": (width,), f"{name}.running_var": (width,)}
    return norm(name, width) | statistics | {f"{name}.num_batches_tracked": ()}


def behind(prefix: str, shapes: Shapes) -> Shapes:
    return {f"{prefix}{name}": shape for name, shape in shapes.items()}


def resnet(blocks: tuple[int, ...], *, bottleneck: bool, kernel: int = 7) -> Shapes:
    """A ResNet's stages, without its head."""
    shapes = {"conv1.weight": (64, 3, kernel, kernel), **batch_norm("bn1", 64)}
    inputs = 64
    for stage, count in enumerate(blocks):
        width = 64 << stage
        outputs = 4 * width if bottleneck else width
        for block in range(count):
            at = f"layer{stage + 1}.{block}."
            kernels = (1, 3, 1) if bottleneck else (3, 3)
            channels = (inputs, *[width] * (len(kernels) - 1), outputs)
            for index, side in enumerate(kernels):
                shape = (channels[index + 1], channels[index], side, side)
                shapes[f"{at}conv{index + 1}.weight"] = shape
                shapes |= batch_norm(f"{at}bn{index + 1}", channels[index + 1])
            if block == 0 and (stage or inputs != outputs):
                shapes[f"{at}downsample.0.weight"] = (outputs, inputs, 1, 1)
                shapes |= batch_norm(f"{at}downsample.1", outputs)
            inputs = outputs
    return shapes


def vit(
    width: int, depth: int, patch: int, tokens: int, *, registers: int = 0, scaled: bool = False
) -> Shapes:
    """timm's vision transformer, without its head; with registers, positions leave out the class token."""
    shapes: Shapes = {"cls_token": (1, 1, width)}
    if registers:
        shapes["reg_token"] = (1, registers, width)
    shapes["pos_embed"] = (1, tokens + (not registers), width)
    shapes["patch_embed.proj.weight"] = (width, 3, patch, patch)
    shapes["patch_embed.proj.bias"] = (width,)
    for block in range(depth):
        at = f"blocks.{block}."
        shapes |= norm(f"{at}norm1", width) | norm(f"{at}norm2", width)
        shapes |= linear(f"{at}attn.qkv", width, 3 * width)
        shapes |= linear(f"{at}attn.proj", width, width)
        shapes |= linear(f"{at}mlp.fc1", width, 4 * width) | linear(
            f"{at}mlp.fc2", 4 * width, width
        )
        if scaled:
            shapes |= {f"{at}ls1.gamma": (width,), f"{at}ls2.gamma": (width,)}
    return shapes | norm("norm", width)


def convnext_base(outputs: int) -> Shapes:
    """timm's ConvNeXt-B."""
    widths = (128, 256, 512, 1024)
    shapes = {"stem.0.weight": (128, 3, 4, 4), "stem.0.bias": (128,), **norm("stem.1", 128)}
    for stage, (width, blocks) in enumerate(zip(widths, (3, 3, 27, 3), strict=True)):
        if stage:
            at = f"stages.{stage}.downsample"
            shapes |= norm(f"{at}.0", widths[stage - 1])
            shapes[f"{at}.1.weight"] = (width, widths[stage - 1], 2, 2)
            shapes[f"{at}.1.bias"] = (width,)
        for block in range(blocks):
            at = f"stages.{stage}.blocks.{block}."
            shapes[f"{at}gamma"] = (width,)
            shapes[f"{at}conv_dw.weight"] = (width, 1, 7, 7)
            shapes[f"{at}conv_dw.bias"] = (width,)
            shapes |= norm(f"{at}norm", width)
            shapes |= linear(f"{at}mlp.fc1", width, 4 * width)
            shapes |= linear(f"{at}mlp.fc2", 4 * width, width)
    return shapes | norm("head.norm", 1024) | linear("head.fc", 1024, outputs)


def gram_net(outputs: int) -> Shapes:
    shapes = resnet((2, 2, 2, 2), bottleneck=False)
    levels = {"interi": 3, "inter0": 64, "inter1": 64, "inter2": 64, "inter3": 128, "inter4": 256}
    for level, width in levels.items():
        shapes[f"conv_{level}_0.0.weight"] = (32, width, 3, 3)
        shapes |= batch_norm(f"conv_{level}_0.1", 32)
    names = [(f"g{level}_fc1", f"g{level}_fc2") for level in "i0234"] + [("g_fc1r", "g_fc2r")]
    for first, second in names:
        shapes[f"{first}.0.weight"] = (16, 1, 3, 3)
        shapes[f"{second}.0.weight"] = (32, 16, 3, 3)
        shapes |= batch_norm(f"{first}.1", 16) | batch_norm(f"{second}.1", 32)
    shapes["scale.scale"] = (1,)
    return shapes | linear("fcnewr.0", 512 + 6 * 32, 512) | linear("fcnewr.3", 512, outputs)


def rine(projections: int, width: int) -> Shapes:
    shapes: Shapes = {"alpha": (1, 24, width)}
    for layer in range(projections):
        shapes |= linear(f"proj1.{1 + 3 * layer}", width if layer else 1024, width)
        shapes |= linear(f"proj2.{1 + 3 * layer}", width, width)
    return (
        shapes
        | linear("head.0", width, width)
        | linear("head.3", width, width)
        | linear("head.6", width, 1)
    )


def clip_vit_large() -> Shapes:
    """CLIP's image encoder as timm has it, its projection the head."""
    shapes = vit(1024, 24, 14, 256) | norm("norm_pre", 1024) | linear("head", 1024, 768)
    del shapes["patch_embed.proj.bias"]
    return shapes


PUBLISHED: dict[str, Shapes] = {
    "community-forensics-224": behind("vit.", vit(384, 12, 16, 196) | linear("head", 384, 1)),
    "community-forensics-384": behind("vit.", vit(384, 12, 16, 576) | linear("head", 384, 1)),
    "drct-convb": behind("model.", convnext_base(1024)) | linear("fc", 1024, 2),
    "drct-convb-sdv2": behind("model.", convnext_base(1024)) | linear("fc", 1024, 2),
    "drct-convb-genimage": behind("model.", convnext_base(1024)) | linear("fc", 1024, 2),
    "rine": rine(2, 1024),
    "rine-1class": rine(4, 1024),
    "rine-2class": rine(4, 128),
    "rine-ldm": rine(4, 1024),
    "safe": resnet((3, 4), bottleneck=True, kernel=3) | linear("fc1", 512, 2),
    "gram-net": gram_net(1),
    "freqdetect": resnet((3, 4, 6, 3), bottleneck=True) | linear("fc", 2048, 1),
    "b-free": vit(768, 12, 14, 36 * 36, registers=4, scaled=True) | linear("head", 768, 1),
}


def empty(shapes: Shapes) -> dict[str, torch.Tensor]:
    """Zeros of these shapes that take no memory, nor room in a file."""
    return {
        name: torch.zeros(
            (), dtype=torch.int64 if name.endswith("tracked") else torch.float32
        ).expand(shape)
        for name, shape in shapes.items()
    }
