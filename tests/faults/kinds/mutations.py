"""Files changed in many places at once, for every reader that a fuzzer is pointed at."""

from __future__ import annotations

from pathlib import Path

from tests.faults.child import Kind
from tests.faults.outcome import Seen

_EACH = 50
_ROUNDS = 8


def _feed(base: Path, place: Path, case: str) -> Seen:
    from tests.faults import fuzz

    target, _, number = case.rpartition(" ")
    seeds = fuzz.seeds(target, place)
    for data in fuzz.mutations(seeds, int(number), _EACH):
        fuzz.feed(target, data, place)
    return Seen()


TARGETS = ("decoder", "manifest", "suite", "checkpoint", "safetensors", "run folder")
MUTATIONS = Kind(
    "mutations (50 a case)",
    tuple(f"{target} {number}" for number in range(_ROUNDS) for target in TARGETS),
    _feed,
    few=6,
)
