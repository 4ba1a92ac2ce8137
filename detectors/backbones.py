"""Backbones of general use by name, and any timm classifier as ``timm/<name>``."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from torch import nn

from detectors.base import DetectorError
from detectors.card import InputSpec
from detectors.network import Architecture

PREFIX = "timm/"


def _timm_builder(name: str) -> Callable[[int], nn.Module]:
    def build(outputs: int) -> nn.Module:
        import timm  # noqa: PLC0415  (5 s to import: only when one is built)

        network: nn.Module = timm.create_model(name, pretrained=False, num_classes=outputs)
        return network

    return build


def timm_architecture(name: str) -> Architecture:
    """The architecture ``timm/<name>``, with the input rule of timm's own configuration.

    Raises:
        DetectorError: If timm knows no such model; suggests near names.
    """
    import timm  # noqa: PLC0415  (5 s to import: only when asked for)

    model = name.removeprefix(PREFIX)
    if not timm.is_model(model.split(".")[0]):
        near = difflib.get_close_matches(model.split(".")[0], timm.list_models(), n=3)
        hint = f"near: {', '.join(PREFIX + n for n in near)}" if near else "see timm.list_models()"
        raise DetectorError(f"timm knows no model {model!r}; {hint}")
    cfg: Any = timm.get_pretrained_cfg(model, allow_unregistered=True)
    side = cfg.input_size[-1] if cfg is not None else 224
    filters = {"nearest", "bilinear", "bicubic", "lanczos", "box"}
    spec = InputSpec(
        size=side,
        fit="shortest-crop",
        interpolation=cfg.interpolation
        if cfg is not None and cfg.interpolation in filters
        else "bicubic",
        mean=tuple(cfg.mean) if cfg is not None else InputSpec().mean,
        std=tuple(cfg.std) if cfg is not None else InputSpec().std,
    )
    return Architecture(
        name=name,
        build=_timm_builder(model),
        input=spec,
        reference=f"timm {model}",
        summary=f"timm's {model}",
    )


DETECTORS: dict[str, Architecture] = {
    "resnet50": Architecture(
        name="resnet50",
        build=_timm_builder("resnet50"),
        input=InputSpec(size=224, fit="shortest-crop", interpolation="bilinear"),
        reference="He et al. 2016, arXiv:1512.03385",
        summary="ResNet-50, the field's usual baseline (CNNDetection, GenImage)",
    ),
    "mobilenetv2_100": Architecture(
        name="mobilenetv2_100",
        build=_timm_builder("mobilenetv2_100"),
        input=InputSpec(size=224, fit="shortest-crop", interpolation="bicubic"),
        reference="Sandler et al. 2018, arXiv:1801.04381",
        summary="MobileNetV2, small enough for phones and CPUs",
    ),
}
