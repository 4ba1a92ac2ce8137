"""The work that a run has left: images to decode, forward passes, gradients; nothing is timed here."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from attacks.base import FORWARDS_PER_GRADIENT
from attacks.inputs import named_by
from bench.runs.doubts import with_doubts
from bench.runs.prepare import Prepared
from bench.runs.rounds.expectation import expected_chunks
from bench.scoring.attacking import sharing_groups
from bench.scoring.canvases import unmoved_source
from bench.scoring.nested import Series, rounds_of
from bench.store.units import Unit
from bench.support.progress import Silent

if TYPE_CHECKING:
    from attacks.base import Attack
    from bench.protocol.condition import Condition


@dataclass(slots=True)
class Workload:
    """Work that is left to do, counted by detector and by chain of corruptions.

    Attributes:
        forwards: Forward passes, by detector.
        gradients: Gradients, by detector.
        corrupted: Images to corrupt and fit, by chain of corruptions.
        decodes: Images to decode.
    """

    forwards: Counter[str] = field(default_factory=Counter)
    gradients: Counter[str] = field(default_factory=Counter)
    corrupted: Counter[str] = field(default_factory=Counter)
    decodes: int = 0

    def add(
        self,
        labels: NDArray[np.int64],
        units: Iterable[Unit],
        conditions: Mapping[str, Condition],
        batch_sizes: Mapping[str, int],
        *,
        free: bool,
    ) -> None:
        """Add the units of one chunk.

        Args:
            labels: (n,) labels of the chunk's images, in order; 1 = AI-generated.
            units: Units of the chunk that are not stored.
            conditions: By canonical spelling.
            batch_sizes: Images in a batch, by detector.
            free: Whether gradients give clean scores along.
        """

        def chain_of(unit: Unit) -> str:
            return conditions[unit.condition].source_chain

        ranked = sorted(units, key=lambda u: (chain_of(u), u.detector))
        if not ranked:
            return
        count = len(labels)
        self.decodes += count
        images = _Images(labels)
        for chain, of_chain in itertools.groupby(ranked, key=chain_of):
            self.corrupted[chain] += count
            for label, of_detector in itertools.groupby(of_chain, key=lambda u: u.detector):
                for sharing in sharing_groups(list(of_detector), conditions, free_clean=free):
                    rounds = rounds_of(sharing, conditions)
                    cost = images.cost(label, rounds, batch_sizes[label])
                    self.forwards[label] += cost.forwards
                    self.gradients[label] += cost.gradients

    def passes(self, label: str) -> int:
        """Count forward passes of a detector, a gradient as several."""
        return self.forwards[label] + FORWARDS_PER_GRADIENT * self.gradients[label]


class _Cost(NamedTuple):
    """Work that the images of one chunk cost."""

    forwards: int
    gradients: int


class _Images:
    """The images of one chunk, and the forward passes that are counted for them already."""

    def __init__(self, labels: NDArray[np.int64]) -> None:
        self._labels = labels
        self._counted = set[tuple[str, str, int, int]]()

    def cost(self, label: str, rounds: list[list[Condition]], size: int) -> _Cost:
        """Count the work of one detector under the conditions of one sharing group.

        Args:
            label: What boards call the detector.
            rounds: The conditions, in the order in which they are attacked.
            size: Images in a batch.
        """
        count, sharing = len(self._labels), [condition for part in rounds for condition in part]
        certificates = [c.certificate for c in sharing if c.certificate is not None]
        if certificates:
            return _Cost(count * sum(certificate.queries for certificate in certificates), 0)
        attacks = [condition.attack for condition in sharing if condition.attack is not None]
        if not attacks:
            return _Cost(sum(self._scored(label, condition, size) for condition in sharing), 0)
        series = Series.of(rounds, [])
        # The worst picture of a series is known by its own logits, and scored again behind corruptions.
        again = count * sum(bool(c.after) and series.nests(c) for c in sharing)
        named = [self._named(attack) for attack in attacks]
        if all(attack.shares_gradient for attack in attacks):
            return _Cost(count * len(attacks) + again, max(named))
        queries = sum(n * attack.queries for n, attack in zip(named, attacks, strict=True))
        gradients = sum(n * attack.gradients for n, attack in zip(named, attacks, strict=True))
        return _Cost(count * len(sharing) + again + queries, gradients)

    def _named(self, attack: Attack) -> int:
        """Count the images that an attack moves."""
        labels = torch.from_numpy(self._labels)
        return int(named_by(attack.goal, labels).sum()) if attack.eps > 0 else 0

    def _scored(self, label: str, condition: Condition, size: int) -> int:
        """Count the images scored under a condition without attack.

        Batches of images that it leaves as they are, as ``only(...)`` does, are scored once for all such
        conditions.
        """
        if condition.steps and not condition.only:
            return len(self._labels)
        forwards, source = 0, unmoved_source(condition)
        for start in range(0, len(self._labels), size):
            batch = self._labels[start : start + size]
            key = (label, source, size, start)
            moved = bool(condition.steps) and any(map(condition.changes, set(batch.tolist())))
            if moved or key not in self._counted:
                forwards += len(batch)
            if not moved:
                self._counted.add(key)
        return forwards


class Remaining(NamedTuple):
    """Units of the whole run, those among them that are stored, and the work of the others.

    Where cells stop at a target, the work is that which is expected, and ``expected`` counts its units.
    """

    units: int
    stored: int
    work: Workload
    expected: int


def remaining(prepared: Prepared) -> Remaining:
    """Count the work of the units that the store lacks."""
    # What a run would find out about somebody else's detectors is part of what their scores are filed under.
    settled = with_doubts(prepared, prepared.initial, Silent())
    units, store = prepared.plan(settled).units, prepared.store
    # Thresholds are chosen on images of their own, or (by an oracle) on clean ones that are planned anyway.
    planned = {unit.fingerprint for unit in units}
    calibration = [
        unit for unit in prepared.calibration_plan(settled).units if unit.fingerprint not in planned
    ]
    work, stored, chunks_needed = Workload(), 0, expected_chunks(prepared)
    labels = prepared.manifest.table["label"].to_numpy()
    n_expected = sum(unit.chunk in chunks_needed for unit in units) + len(calibration)
    numerics = prepared.request.numerics
    free = numerics.gradient_scores(numerics.arithmetic)
    for part, chunks in ((units, prepared.chunks), (calibration, prepared.calibration)):
        missing = [unit for unit in part if not store.has(unit.fingerprint)]
        stored += len(part) - len(missing)
        if part is units:
            missing = [unit for unit in missing if unit.chunk in chunks_needed]
        for number, of_chunk in itertools.groupby(missing, key=lambda u: u.chunk):
            of_rows = labels[chunks[number].rows]
            work.add(of_rows, of_chunk, prepared.conditions, settled.batch_sizes, free=free)
    return Remaining(len(units) + len(calibration), stored, work, n_expected)
