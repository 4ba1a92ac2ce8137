"""Weights as people publish them: files to tensors, which of these are meant, and a strict load."""

from __future__ import annotations

from detectors.errors import WeightsError
from detectors.weights.load import (
    file_sha256,
    load_strict,
    read_named,
    read_state,
    read_state_for,
    read_tensor,
    rename,
    state_for,
    why_unusable,
)
from detectors.weights.parts import split_part

__all__ = [
    "WeightsError",
    "file_sha256",
    "load_strict",
    "read_named",
    "read_state",
    "read_state_for",
    "read_tensor",
    "rename",
    "split_part",
    "state_for",
    "why_unusable",
]
