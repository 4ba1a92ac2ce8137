"""What a run settles on its way, as a value: batch sizes that fit, thresholds that were chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.inference.numerics import Arithmetic
from bench.store.run_spec import ThresholdRecord
from leaderboards.tables.further.arithmetic import DetectorForm


@dataclass(frozen=True, slots=True)
class Settled:
    """Choices that the scores depend on and that only the run itself can make.

    Attributes:
        batch_sizes: Images in a batch, by detector label.
        thresholds: Chosen thresholds by detector label; a detector without one is judged at logit 0.
        salts: By detector label: what joins its identity in fingerprints, where its own is not enough.
        remarks: By detector label: why its numbers are to be read with care.
        given_up: By detector label: why it can be scored no further.
        arithmetic: By detector label: of its scores and gradients, where the run chooses it.
        forms: What was chosen for each detector, and the check behind it; empty before.
    """

    batch_sizes: Mapping[str, int]
    thresholds: Mapping[str, ThresholdRecord] = field(default_factory=dict)
    salts: Mapping[str, str] = field(default_factory=dict)
    remarks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    given_up: Mapping[str, str] = field(default_factory=dict)
    arithmetic: Mapping[str, Arithmetic] = field(default_factory=dict)
    forms: tuple[DetectorForm, ...] = ()

    def without(self, detector: str, reason: str) -> Settled:
        """Give up one detector, for a reason."""
        return dataclasses.replace(self, given_up={**self.given_up, detector: reason})

    def halved(self, detector: str) -> Settled:
        """Halve one detector's batch, after its device ran out of memory."""
        size = self.batch_sizes[detector] // 2
        return dataclasses.replace(self, batch_sizes={**self.batch_sizes, detector: size})

    def with_thresholds(self, thresholds: Mapping[str, ThresholdRecord]) -> Settled:
        """Replace all thresholds by others."""
        return dataclasses.replace(self, thresholds=dict(thresholds))

    def threshold(self, detector: str) -> float:
        """Look up the logit above which a detector calls an image fake."""
        record = self.thresholds.get(detector)
        return 0.0 if record is None else record.value
