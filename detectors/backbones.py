"""Backbones of general use by name, and any timm classifier as ``timm/<name>``."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from torch import nn

from detectors.card import InputSpec
from detectors.errors import DetectorError
from detectors.network import Architecture
from detectors.pretrained import Pretrained

_PREFIX = "timm/"


def _timm_builder(name: str) -> Callable[[int], nn.Module]:
    def build(outputs: int) -> nn.Module:
        import timm  # noqa: PLC0415  (5 s to import: only when one is built)

        network: nn.Module = timm.create_model(name, pretrained=False, num_classes=outputs)
        return network

    return build


def timm_architecture(name: str) -> Architecture:
    """Look up the architecture ``timm/<name>``, with the input rule of timm's configuration.

    Raises:
        DetectorError: If timm knows no such model; suggests near names.
    """
    import timm  # noqa: PLC0415  (5 s to import: only when asked for)

    model = name.removeprefix(_PREFIX)
    if not timm.is_model(model.split(".")[0]):
        near = difflib.get_close_matches(model.split(".")[0], timm.list_models(), n=3)
        hint = f"near: {', '.join(_PREFIX + n for n in near)}" if near else "see timm.list_models()"
        raise DetectorError(f"timm knows no model {model!r}; {hint}")
    cfg: Any = timm.get_pretrained_cfg(model, allow_unregistered=True)
    side = cfg.input_size[-1] if cfg is not None else 224
    filters = {"nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"}
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
        pretrained=_timm_pretrained(model, cfg),
    )


def _timm_pretrained(model: str, cfg: Any) -> Pretrained | None:
    """Look up where timm publishes the weights of a model, and which of its keys are the classifier's."""
    if cfg is None or not (cfg.hf_hub_id or cfg.url) or not cfg.classifier:
        return None
    heads = (cfg.classifier,) if isinstance(cfg.classifier, str) else tuple(cfg.classifier)
    return Pretrained("timm", model, head=tuple(f"{head}." for head in heads))


def _timm(
    name: str, *, head: str, reference: str, summary: str, paper_size: str, half: bool = False
) -> Architecture:
    """Describe a classifier of timm under the name it has there; ``half`` where it was trained on [-1, 1]."""
    spec = InputSpec(size=224, fit="shortest-crop", interpolation="bicubic")
    if half:
        spec = spec.model_copy(update={"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)})
    return Architecture(
        name=name,
        build=_timm_builder(name),
        input=spec,
        reference=reference,
        summary=summary,
        pretrained=Pretrained("timm", name, head=(head,)),
        paper_size=f"{paper_size} with 1,000 outputs",
    )


def _googlenet(outputs: int) -> nn.Module:
    import torchvision  # noqa: PLC0415  (slow to import: only when one is built)

    network: nn.Module = torchvision.models.googlenet(
        weights=None, num_classes=outputs, aux_logits=False, init_weights=True
    )
    return network


DETECTORS: dict[str, Architecture] = {
    "resnet50": Architecture(
        name="resnet50",
        build=_timm_builder("resnet50"),
        input=InputSpec(size=224, fit="shortest-crop", interpolation="bilinear"),
        reference="He et al. 2016, arXiv:1512.03385",
        summary="ResNet-50, the field's usual baseline (CNNDetection, GenImage)",
        pretrained=Pretrained("timm", "resnet50", head=("fc.",)),
        paper_size="25.6 M with 1,000 outputs",
    ),
    "resnet34": _timm(
        "resnet34",
        head="fc.",
        reference="He et al. 2016, arXiv:1512.03385",
        summary="ResNet-34, 21.3 M parameters",
        paper_size="21.8 M",
    ),
    "resnetv2_50": _timm(
        "resnetv2_50",
        head="head.",
        reference="He et al. 2016, arXiv:1603.05027",
        summary="ResNet-50 with activations first (ResNet50V2), 23.5 M parameters",
        paper_size="25.6 M",
        half=True,
    ),
    "convnext_small": _timm(
        "convnext_small",
        head="head.fc.",
        reference="Liu et al. 2022, arXiv:2201.03545",
        summary="ConvNeXt-S, 49.5 M parameters",
        paper_size="50 M",
    ),
    "mobilenetv2_100": _timm(
        "mobilenetv2_100",
        head="classifier.",
        reference="Sandler et al. 2018, arXiv:1801.04381",
        summary="MobileNetV2, small enough for phones and CPUs",
        paper_size="3.5 M",
    ),
    "googlenet": Architecture(
        name="googlenet",
        build=_googlenet,
        input=InputSpec(size=224, fit="shortest-crop", interpolation="bilinear"),
        reference="Szegedy et al. 2015, arXiv:1409.4842",
        summary="GoogLeNet with batch norm, without its side classifiers, 5.6 M parameters",
        pretrained=Pretrained("torchvision", "googlenet", head=("fc.", "aux1.", "aux2.")),
        paper_size="6.6 M with 1,000 outputs (torchvision)",
    ),
}
