"""The detectors of a request, built with their weights and put on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from bench.errors import BenchError
from bench.inference.detector import DetectorRequest, resolve
from bench.inference.foreign import blamed, guarded, identify
from bench.protocol.condition import Condition
from bench.runs.request import RunRequest
from detectors.base import Detector
from detectors.identity.values import Identity
from detectors.onnx_model.detector import OnnxDetector


@dataclass(slots=True)
class Loaded:
    """The detectors of a request, on a device.

    Attributes:
        detectors: By label, in the order of the request.
        missing: By label: why a detector could not be built; only in a dry run.
        surrogates: By name: the detectors that conditions take gradients of.
    """

    detectors: dict[str, Detector] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    surrogates: dict[str, Detector] = field(default_factory=dict)


def load(
    request: RunRequest, conditions: Sequence[Condition], device: torch.device, *, dry: bool = False
) -> Loaded:
    """Build every detector and surrogate, with weights, on a device.

    Raises:
        BenchError: If one cannot be built, unless ``dry``.
    """
    loaded = Loaded()
    for requested in request.detectors:
        try:
            detector = resolve(requested, allow_untrained=request.allow_untrained)
        except BenchError as error:
            if not dry:
                raise
            loaded.missing[requested.label] = str(error)
            continue
        _refuse_arithmetic(detector, requested, request)
        loaded.detectors[requested.label] = _placed(detector, requested.label, request, device)
    loaded.surrogates = _surrogates(conditions, loaded, request, device, dry=dry)
    return loaded


def _refuse_arithmetic(detector: Detector, requested: DetectorRequest, request: RunRequest) -> None:
    """Refuse what is said of arithmetic where it would change nothing but what the board says.

    Raises:
        BenchError: If torch does not compute the detector's logits.
    """
    low = request.numerics.precision != "fp32"
    if isinstance(detector, OnnxDetector) and (low or request.numerics.compile):
        flag = f"--precision {request.numerics.precision}" if low else "--compile"
        raise BenchError(
            f"{flag} has no effect on {requested.label}: onnxruntime computes an ONNX file as it was "
            "exported; leave the option out, or run this detector apart"
        )


def _placed(detector: Detector, label: str, request: RunRequest, device: torch.device) -> Detector:
    detector = guarded(detector)
    with blamed(label, f"its way to {device}"):
        detector.to(device)
        if not request.numerics.exact:
            detector.fold()
    return detector


def identities_of(detectors: Mapping[str, Detector]) -> dict[str, Identity]:
    """Say what every detector is, by label.

    Raises:
        BenchError: If the code of one cannot say so.
    """
    identities = {}
    for label, detector in detectors.items():
        with blamed(label, "its identity()"):
            identities[label] = identify(detector)
    return identities


def _surrogates(
    conditions: Sequence[Condition],
    loaded: Loaded,
    request: RunRequest,
    device: torch.device,
    *,
    dry: bool,
) -> dict[str, Detector]:
    """Look up the detectors that conditions name as surrogates: those of the run, or loaded by name."""
    surrogates: dict[str, Detector] = {}
    for condition in conditions:
        name = getattr(condition.attack, "surrogate", None)
        if name is None or name in surrogates:
            continue
        if name in loaded.detectors:
            surrogates[name] = loaded.detectors[name]
        elif not (dry and name in loaded.missing):
            surrogates[name] = _placed(resolve(DetectorRequest(name)), name, request, device)
    return surrogates
