"""A folder as timm writes it: ``architecture`` and ``pretrained_cfg`` in config.json, its own key names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from detectors.errors import DetectorError, described
from detectors.global_state import kept, seed_all
from detectors.huggingface.labels import shown
from detectors.huggingface.network import Built
from detectors.huggingface.processor import Preprocessing
from detectors.inputs.spec import InputSpec
from detectors.weights import load_strict, rename

# What transformers puts in front of the keys of a timm network.
_WRAPPED = "timm_model."


def is_of_timm(config: Mapping[str, Any]) -> bool:
    """Tell whether a configuration names one of timm's architectures."""
    return isinstance(config.get("architecture"), str) and isinstance(_cfg(config), Mapping)


def _cfg(config: Mapping[str, Any]) -> Any:
    return config.get("pretrained_cfg")


def labels_of_timm(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the labels by position; numbered ones where none are named."""
    names = config.get("label_names") or _cfg(config).get("label_names")
    count = config.get("num_classes") or _cfg(config).get("num_classes")
    by_position = config.get("id2label")
    if isinstance(names, list) and names:
        return tuple(map(shown, names))
    if isinstance(by_position, dict) and by_position.keys() == {
        str(i) for i in range(len(by_position))
    }:
        return tuple(shown(by_position[str(i)]) for i in range(len(by_position)))
    return tuple(f"LABEL_{i}" for i in range(count if isinstance(count, int) else 2))


def rule_of_timm(config: Mapping[str, Any], path: Path) -> Preprocessing:
    """Turn timm's configuration into the input rule of its evaluation.

    Raises:
        DetectorError: If a step of it is not known here; says which.
    """
    cfg = _cfg(config)
    try:
        channels, height, width = cfg["input_size"]
        crop_pct, mode = float(cfg.get("crop_pct") or 0.875), cfg.get("crop_mode") or "center"
        before = int(height // crop_pct), int(width // crop_pct)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise DetectorError(
            f"{path}: pretrained_cfg states no input ({described(error)}): pass --input RULE"
        ) from error
    if channels != 3 or mode not in ("center", "squash") or (mode == "center" and height != width):
        raise DetectorError(
            f"{path}: pretrained_cfg takes {channels} x {height} x {width}, crop_mode {mode!r}: not known "
            "here; pass --input RULE instead"
        )
    fields: dict[str, Any] = {
        "size": height if height == width else (height, width),
        "fit": "shortest-crop" if mode == "center" else "resize",
        "resize_to": before[0] if before[0] == before[1] else before,
        "interpolation": cfg.get("interpolation") or "bicubic",
        "padding": "zero",
    }
    for key in ("mean", "std"):
        if cfg.get(key) is not None:
            fields[key] = cfg[key]
    try:
        return Preprocessing(InputSpec(**fields))
    except ValidationError as error:
        first = error.errors()[0]
        raise DetectorError(
            f"{path}: pretrained_cfg: {'.'.join(map(str, first['loc']))}: {first['msg']}: pass --input RULE"
        ) from error


def build_timm(
    config: Mapping[str, Any], state: dict[str, Tensor], folder: Path, name: str
) -> Built:
    """Build a network of timm and fill it; every key must fit.

    Raises:
        DetectorError: If timm cannot build it.
        WeightsError: If the weights are not its own.
    """
    import timm  # noqa: PLC0415  (5 s to import: only when one is built)

    arguments = config.get("model_args") or {}
    if not isinstance(arguments, Mapping):
        raise DetectorError(f"{folder / 'config.json'}: model_args is no mapping")
    architecture = str(config["architecture"])
    if ":" in architecture:
        raise DetectorError(
            f"{folder / 'config.json'}: architecture {architecture[:60]!r} is a place, not a network of timm"
        )
    # Weights come from the folder alone.
    chosen = {
        k: v for k, v in arguments.items() if not str(k).startswith(("pretrained", "checkpoint"))
    }
    chosen["num_classes"] = len(labels_of_timm(config))
    if isinstance(config.get("global_pool"), str):
        chosen.setdefault("global_pool", config["global_pool"])
    try:
        with kept():
            seed_all()
            network = timm.create_model(architecture, pretrained=False, **chosen)
    except Exception as error:  # a library may raise anything over a hostile configuration
        raise DetectorError(
            f"{name}: timm {timm.__version__} cannot build {architecture[:60]!r} ({described(error)})"
        ) from error
    if state and all(key.startswith(_WRAPPED) for key in state):
        state = rename(state, {_WRAPPED: ""})
    load_strict(network, state, str(folder))
    return Built(network.eval(), f"timm {timm.__version__}")
