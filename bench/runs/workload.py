"""The work that a run has left: images to decode, forward passes, gradients; nothing is timed here."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from attacks.base import FORWARDS_PER_GRADIENT
from bench.runs.doubts import with_doubts
from bench.runs.prepare import Prepared
from bench.runs.rounds.expectation import expected_chunks
from bench.scoring.attacking import sharing_groups
from bench.scoring.nested import rounds_of
from bench.store.units import Unit
from bench.support.progress import Silent

if TYPE_CHECKING:
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
        self, count: int, units: Iterable[Unit], conditions: Mapping[str, Condition], *, free: bool
    ) -> None:
        """Add the units of one chunk.

        Args:
            count: Images in the chunk.
            units: Units of the chunk that are not stored.
            conditions: By canonical spelling.
            free: Whether gradients give clean scores along.
        """

        def chain_of(unit: Unit) -> str:
            return conditions[unit.condition].source_chain

        ranked = sorted(units, key=lambda u: (chain_of(u), u.detector))
        if not ranked:
            return
        self.decodes += count
        for chain, of_chain in itertools.groupby(ranked, key=chain_of):
            self.corrupted[chain] += count
            for label, of_detector in itertools.groupby(of_chain, key=lambda u: u.detector):
                for sharing in sharing_groups(list(of_detector), conditions, free_clean=free):
                    rounds = rounds_of(sharing, conditions)
                    cost = _cost([condition for part in rounds for condition in part])
                    self.forwards[label] += count * cost.forwards
                    self.gradients[label] += count * cost.gradients

    def passes(self, label: str) -> int:
        """Count forward passes of a detector, a gradient as several."""
        return self.forwards[label] + FORWARDS_PER_GRADIENT * self.gradients[label]


class _Cost(NamedTuple):
    """Work that one image costs."""

    forwards: int
    gradients: int


def _cost(sharing: list[Condition]) -> _Cost:
    """Count the work of one image under the conditions of one sharing group."""
    certificates = [c.certificate for c in sharing if c.certificate is not None]
    if certificates:
        return _Cost(sum(certificate.queries for certificate in certificates), 0)
    attacks = [condition.attack for condition in sharing if condition.attack is not None]
    if not attacks:
        return _Cost(len(sharing), 0)
    if all(attack.shares_gradient for attack in attacks):
        return _Cost(len(attacks), 1)
    queries = sum(attack.queries for attack in attacks)
    return _Cost(len(sharing) + queries, sum(attack.gradients for attack in attacks))


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
    n_expected = sum(unit.chunk in chunks_needed for unit in units) + len(calibration)
    numerics = prepared.request.numerics
    free = numerics.gradient_scores(numerics.arithmetic)
    for part, chunks in ((units, prepared.chunks), (calibration, prepared.calibration)):
        missing = [unit for unit in part if not store.has(unit.fingerprint)]
        stored += len(part) - len(missing)
        if part is units:
            missing = [unit for unit in missing if unit.chunk in chunks_needed]
        for number, of_chunk in itertools.groupby(missing, key=lambda u: u.chunk):
            work.add(len(chunks[number].rows), of_chunk, prepared.conditions, free=free)
    return Remaining(len(units) + len(calibration), stored, work, n_expected)
