"""When a detector whose processes die is given up: a rule on cells, whatever worker came first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bench.runs.cluster.parts import Work
from bench.scoring.outcomes import DetectorLost, Failed
from bench.store.units import Unit
from bench.support.progress import Progress

# Deaths in a row, with nothing scored between them, after which a detector's other units are not tried: all
# of them together, then one by one. One unit that takes too long is tried twice, and costs no other.
MOST_DEATHS = 3


@dataclass(frozen=True, slots=True)
class Breaker:
    """A judge of the detectors whose processes die or take too long.

    A unit is tried alone only after its detector has died on several together. Three deaths in a row, that
    one and the conditions from the cheapest to the dearest, give the detector up: what is dearer is settled,
    and all that failed this way has one reason. The rule asks which cells failed and not when, so it says the
    same however many workers there are and whoever is first.

    Attributes:
        costs: Forward passes of one image, by condition, in board order.
        work: The units that are to be scored.
        progress: Where it is said at once.
    """

    costs: Mapping[str, int]
    work: Work
    progress: Progress
    _ended: defaultdict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    _settled: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, failure: Failed) -> Iterator[DetectorLost]:
        """Take a failure; give the outcomes of the cells that it costs, where its detector is given up."""
        label, condition = failure.unit.detector, failure.unit.condition
        if not failure.ended:
            return
        ended = self._ended[label]
        ended[condition] = failure.ended
        order = sorted(self.costs, key=lambda spelled: self.costs[spelled])
        last = _last_tried([spelled in ended for spelled in order])
        if last is None:
            return
        units = self._first_units(label)
        beyond = {*order[last + 1 :], *ended}
        lost = [units[c] for c in self.costs if c in units and c in beyond - self._settled[label]]
        further = [unit for unit in lost if unit.condition not in ended]
        if not (further or self._settled[label]):
            return
        self._settled[label] |= beyond
        how = next(ended[spelled] for spelled in order if spelled in ended)
        reason = f"given up after {MOST_DEATHS} times in a row: {how}"
        if further:
            self.progress.warn(f"{label}: {reason}; {len(further)} more cells get no result")
        yield from (DetectorLost(unit, "failed", reason) for unit in lost)

    def _first_units(self, label: str) -> dict[str, Unit]:
        """Give the first unit of each cell of a detector, by condition."""
        units: dict[str, Unit] = {}
        for _, of_chunk in self.work:
            for unit in of_chunk:
                if unit.detector == label:
                    units.setdefault(unit.condition, unit)
        return units


def _last_tried(ended: list[bool]) -> int | None:
    """Find the place where too many deaths in a row are reached, the one of all together counted first.

    Args:
        ended: By condition, the cheapest first: whether a unit under it ended its process.

    Examples:
        >>> _last_tried([True, True, False]), _last_tried([True, False, True, True, True])
        (1, 4)
        >>> _last_tried([True, False, True, True]) is None
        True
    """
    row = 1
    for place, dead in enumerate(ended):
        row = row + 1 if dead else 0
        if row >= MOST_DEATHS:
            return place
    return None
