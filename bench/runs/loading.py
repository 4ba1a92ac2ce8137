"""The detectors of a request, built with their weights and put on a device."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from bench.errors import BenchError, DetectorFailedError
from bench.inference.detector import DetectorRequest, check_spelling, resolve
from bench.inference.foreign import Broken, guarded, identify
from bench.protocol.condition import Condition
from bench.runs.request import RunRequest
from bench.support.memory.collector import seldom
from detectors.base import Detector
from detectors.errors import DetectorError, described
from detectors.identity.values import Identity
from detectors.onnx_model.detector import OnnxDetector


@dataclass(slots=True)
class Loaded:
    """The detectors of a request, on a device.

    Attributes:
        detectors: By label, in the order of the request.
        identities: By label or surrogate's name: what decides a detector's logits.
        missing: By label: why a detector could not be built; only in a dry run.
        surrogates: By name: the detectors that conditions take gradients of.
    """

    detectors: dict[str, Detector] = field(default_factory=dict)
    identities: dict[str, Identity] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    surrogates: dict[str, Detector] = field(default_factory=dict)

    @property
    def broken(self) -> dict[str, str]:
        """Why, for each detector or surrogate whose own code failed: its cells fail, others go on."""
        everything = {**self.surrogates, **self.detectors}
        return {name: d.reason for name, d in everything.items() if isinstance(d, Broken)}


class Loader(Protocol):
    """What builds the detectors of a request: :func:`load`, or something that has it done elsewhere."""

    def __call__(
        self,
        request: RunRequest,
        conditions: Sequence[Condition],
        device: torch.device,
        *,
        dry: bool = False,
    ) -> Loaded:
        """Build every detector and surrogate; see :func:`load`."""


def load(
    request: RunRequest,
    conditions: Sequence[Condition],
    device: torch.device,
    *,
    dry: bool = False,
    broken: Mapping[str, str] | None = None,
    only: Collection[str] | None = None,
) -> Loaded:
    """Build every detector and surrogate, with weights, on a device.

    A detector whose own code fails has a stand-in in its place, as long as another does not.

    Args:
        request: Names the detectors.
        conditions: Name the surrogates.
        device: Where the networks go.
        dry: Note detectors that cannot be built instead of refusing them.
        broken: By label, why a detector is known to fail: its code is not run again.
        only: Labels to build; all where left out.

    Raises:
        BenchError: If one cannot be built, unless ``dry``, or all fail.
    """
    loaded, known = Loaded(), broken or {}
    for requested in request.detectors:
        label = requested.label
        if only is not None and label not in only:
            continue
        if dry:
            check_spelling(requested)
        try:
            detector = _built(requested, request, device, known.get(label, ""))
        except BenchError as error:
            if not dry:
                raise
            loaded.missing[label] = str(error)
            continue
        if dry and isinstance(detector, Broken):
            loaded.missing[label] = detector.reason
            continue
        loaded.detectors[label], loaded.identities[label] = _identified(label, detector)
    if only is None and not dry:
        refuse_if_all_broken(loaded, request)
    _load_surrogates(conditions, loaded, request, device, dry=dry, known=known)
    return loaded


def refuse_if_all_broken(loaded: Loaded, request: RunRequest) -> None:
    """Refuse a run that would score nothing.

    Raises:
        DetectorFailedError: The code of every detector fails; says how that of the first does.
    """
    if len(loaded.broken) == len(request.detectors):
        raise DetectorFailedError(next(iter(loaded.broken.values())))


@seldom()
def _built(
    requested: DetectorRequest, request: RunRequest, device: torch.device, reason: str
) -> Detector:
    if reason:
        return Broken(requested.label, reason)
    try:
        detector = resolve(requested, allow_untrained=request.allow_untrained)
    except DetectorFailedError as error:
        return Broken(requested.label, str(error))
    _refuse_arithmetic(detector, requested, request)
    return _placed(requested.label, detector, request, device)


def _placed(label: str, detector: Detector, request: RunRequest, device: torch.device) -> Detector:
    """Put the border around a detector and the detector on its device; a stand-in where its code fails."""
    step = "fits_by_card"
    try:
        guard = guarded(detector)
        step = "to"
        guard = guard.to(device)
        if not request.numerics.exact:
            step = "fold"
            guard.fold()
    except Exception as error:  # the user's own code may raise anything
        return Broken(label, f"{label}: {step} failed ({described(error)})")
    return guard


def _refuse_arithmetic(detector: Detector, requested: DetectorRequest, request: RunRequest) -> None:
    """Refuse what is said of arithmetic where it would change nothing but what the board says.

    Raises:
        BenchError: If torch does not compute the detector's logits.
    """
    low = request.numerics.precision == "bf16"
    if isinstance(detector, OnnxDetector) and (low or request.numerics.compile):
        flag = f"--precision {request.numerics.precision}" if low else "--compile"
        raise BenchError(
            f"{flag} has no effect on {requested.label}: onnxruntime computes an ONNX file as it was "
            "exported; leave the option out, or run this detector apart"
        )


def _identified(label: str, detector: Detector) -> tuple[Detector, Identity]:
    try:
        return detector, identify(detector)
    except DetectorError as error:  # a file that it names is not there, for example
        reason = f"{label}: {error}"
    except Exception as error:
        reason = f"{label}: identity failed ({described(error)})"
    stand_in = Broken(label, reason)
    return stand_in, identify(stand_in)


def _load_surrogates(
    conditions: Sequence[Condition],
    loaded: Loaded,
    request: RunRequest,
    device: torch.device,
    *,
    dry: bool,
    known: Mapping[str, str],
) -> None:
    """Look up the detectors that conditions name as surrogates: those of the run, or loaded by name."""
    by_label = {requested.label: requested for requested in request.detectors}
    for name in dict.fromkeys(name for condition in conditions for name in condition.surrogates):
        if name in loaded.detectors:
            loaded.surrogates[name] = loaded.detectors[name]
        elif not (dry and name in loaded.missing):
            requested = by_label.get(name) or DetectorRequest(name)
            detector = _built(requested, request, device, known.get(name, ""))
            loaded.surrogates[name], loaded.identities[name] = _identified(name, detector)
