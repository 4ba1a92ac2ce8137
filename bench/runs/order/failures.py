"""The first failure of every cell, by the order of the chunks and not of the clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.scoring.outcomes import DetectorLost, Failed
from bench.store.run_spec import Failure
from bench.store.units import Plan, Unit


@dataclass(slots=True)
class FirstFailures:
    """The first failure of every (detector, condition), by the order of the chunks.

    Chunks come in any order where several are scored at once; the earliest one speaks, so that two runs
    agree on the reason.

    Attributes:
        unchosen: Failures known beforehand: cells of detectors without a threshold.
    """

    unchosen: Iterable[Failure]
    _failures: dict[tuple[str, str], Failure] = field(default_factory=dict)
    _chunks: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._failures = {(f.detector, f.condition): f for f in self.unchosen}

    def cover(self, unit: Unit) -> bool:
        """Tell whether the unit's cell has failed already."""
        return (unit.detector, unit.condition) in self._failures

    def add(self, outcome: Failed) -> None:
        """Note a failure; the one of the earlier chunk stays, and that of the whole detector before it."""
        unit = outcome.unit
        cell = (unit.detector, unit.condition)
        chunk = -1 if isinstance(outcome, DetectorLost) else unit.chunk
        if cell in self._failures and (cell not in self._chunks or self._chunks[cell] <= chunk):
            return
        self._chunks[cell] = chunk
        self._failures[cell] = Failure(
            detector=unit.detector,
            condition=unit.condition,
            status=outcome.status,
            reason=outcome.reason,
        )

    def in_order(self, plan: Plan) -> list[Failure]:
        """List the failures in the plan's order: the same command records the same bytes."""
        order = {(unit.detector, unit.condition): i for i, unit in enumerate(plan.units)}
        return sorted(
            self._failures.values(), key=lambda f: order.get((f.detector, f.condition), -1)
        )
