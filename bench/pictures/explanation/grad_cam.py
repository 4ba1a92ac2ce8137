"""Grad-CAM: which places of a network's last map speak for its verdict, by the gradient of the logit."""

from __future__ import annotations

import contextlib
import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.errors import BenchError
from bench.inference.batches import unit_floats
from detectors.base import Detector

LIBRARY = "captum"
NO_LIBRARY = "Grad-CAM needs captum, which is not installed: pip install 'detector-bench[explain]'"


@dataclass(frozen=True, slots=True)
class CamLayer:
    """The layer whose map Grad-CAM weighs.

    Attributes:
        name: Its name inside the network.
        module: The layer itself.
    """

    name: str
    module: nn.Module


def has_library() -> bool:
    """Tell whether the library that computes Grad-CAM is installed."""
    return importlib.util.find_spec(LIBRARY) is not None


def cam_layer(detector: Detector, canvas: NDArray[np.uint8]) -> CamLayer | None:
    """Find the last layer of a network whose output is still a map.

    Args:
        detector: A detector with weights, on its device.
        canvas: (3, h, w) uint8.

    Returns:
        The layer, or ``None`` where there is no gradient, no map of more than one place, or none but that
        of the first convolution, as in vision transformers: it knows nothing of the verdict.
    """
    if not detector.card.differentiable:
        return None
    calls: list[tuple[str, nn.Module]] = []
    convolutions: list[nn.Module] = []
    counts: dict[int, int] = {}
    with contextlib.ExitStack() as hooks, torch.inference_mode():
        for network in detector.modules():
            for name, module in network.named_modules():

                def keep(module: nn.Module, _: Any, output: Any, name: str = name) -> None:
                    counts[id(module)] = counts.get(id(module), 0) + 1
                    if not isinstance(output, Tensor) or output.ndim != 4:
                        return
                    if isinstance(module, nn.Conv2d):
                        convolutions.append(module)
                    if output.shape[2] * output.shape[3] > 1:
                        calls.append((name, module))

                hooks.callback(module.register_forward_hook(keep).remove)
        detector.logits(_batch(detector, canvas))
    if len(set(map(id, convolutions))) < 2 or not calls:
        return None
    name, module = calls[-1]
    # A layer that runs once for every view of a picture, or twice in a network, has no single map.
    return CamLayer(name or type(module).__name__, module) if counts[id(module)] == 1 else None


def grad_cam(
    detector: Detector, canvas: NDArray[np.uint8], layer: CamLayer
) -> NDArray[np.float64] | None:
    """Weigh a layer's maps by the mean gradient of the logit, and add them up.

    Both directions are kept: where the map is positive it is Grad-CAM of "AI-generated", where it is
    negative, minus that of "real", whose score is minus the logit (Selvaraju et al. 2017, "Grad-CAM").

    Args:
        detector: A detector with weights, on its device.
        canvas: (3, h, w) uint8.
        layer: What :func:`cam_layer` gives.

    Returns:
        (h', w') float64, the size of the layer's map; ``None`` where no gradient reaches it.

    Raises:
        BenchError: The library is not installed.
    """
    if not has_library():
        raise BenchError(NO_LIBRARY)
    from captum.attr import LayerGradCam  # noqa: PLC0415  (an extra)

    method = LayerGradCam(
        lambda batch: detector.shaped(detector.logits(batch), batch), layer.module
    )
    batch = _batch(detector, canvas).requires_grad_()
    try:
        attribution = method.attribute(batch, attr_dim_summation=True)
    except (
        RuntimeError,
        AssertionError,
    ):  # the graph is cut on the way, or there are several views
        return None
    if isinstance(attribution, tuple) or attribution.shape[:2] != (1, 1):
        return None
    values: NDArray[np.float64] = attribution[0, 0].detach().double().cpu().numpy()
    return values if np.isfinite(values).all() and values.any() else None


def _batch(detector: Detector, canvas: NDArray[np.uint8]) -> Tensor:
    device = next((p.device for m in detector.modules() for p in m.parameters()), None)
    return unit_floats(torch.from_numpy(canvas[None].copy()).to(device))
