"""All that decides the scores of a run but the images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from bench.inference.numerics import Arithmetic, Numerics
from bench.protocol.condition import Condition
from detectors.base import Detector

if TYPE_CHECKING:
    from bench.store.units import Unit


@dataclass(frozen=True, slots=True)
class Setup:
    """All that decides the scores of a run but the images.

    Attributes:
        detectors: By label, already moved to ``device``.
        conditions: By canonical spelling.
        batch_sizes: Images in a batch, by detector label.
        device: Where networks run.
        numerics: Arithmetic of the run.
        seed: Seed of the run, for noise and random starts.
        thresholds: By label, where it is not 0: attacks must know when they have won.
        surrogates: By name: detectors whose gradient is taken for another, on the same device.
        arithmetic: By label, where it was chosen for the detector: of its scores and gradients.
        threads: CPU threads for a network that only one thread at a time may run.
    """

    detectors: Mapping[str, Detector]
    conditions: Mapping[str, Condition]
    batch_sizes: Mapping[str, int]
    device: torch.device
    numerics: Numerics
    seed: int
    thresholds: Mapping[str, float] = field(default_factory=dict)
    surrogates: Mapping[str, Detector] = field(default_factory=dict)
    arithmetic: Mapping[str, Arithmetic] = field(default_factory=dict)
    threads: int = field(default_factory=torch.get_num_threads)

    def arithmetic_of(self, label: str) -> Arithmetic:
        """Look up the arithmetic of a detector."""
        return self.arithmetic.get(label, self.numerics.arithmetic)

    def gives_clean_scores(self, label: str) -> bool:
        """Tell whether a gradient at an image brings the very score of the image along."""
        return self.numerics.gradient_scores(self.arithmetic_of(label))

    def condition_of(self, unit: Unit) -> Condition:
        """Look up the condition of a unit."""
        return self.conditions[unit.condition]
