"""Detectors of AI-generated images: the protocol, the weights, the architectures and a small zoo.

A leaf package: it knows torch and images, never suites, attacks or boards. Names are imported on first
use, so that reading a card costs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detectors.base import Detector
    from detectors.card import DetectorCard, TrainingData, WeightsRef
    from detectors.errors import DetectorError, UntrainedError, WeightsError
    from detectors.inputs.spec import InputSpec
    from detectors.network import Architecture, NetworkDetector

_HOMES = {
    "Architecture": "network",
    "Detector": "base",
    "DetectorCard": "card",
    "DetectorError": "errors",
    "InputSpec": "inputs.spec",
    "NetworkDetector": "network",
    "TrainingData": "card",
    "UntrainedError": "errors",
    "WeightsError": "errors",
    "WeightsRef": "card",
}

__all__ = [
    "Architecture",
    "Detector",
    "DetectorCard",
    "DetectorError",
    "InputSpec",
    "NetworkDetector",
    "TrainingData",
    "UntrainedError",
    "WeightsError",
    "WeightsRef",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'detectors' has no attribute {name!r}")
    return getattr(importlib.import_module(f"detectors.{_HOMES[name]}"), name)
