"""What a run would do and about how long it would take, without doing it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from bench.plan import weight
from bench.prepare import Prepared

_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Estimate:
    """A dry run's answer.

    Attributes:
        dataset: Name of the data set.
        images: Images selected.
        available: Images before a limit.
        cells: Detector x condition pairs.
        units: Units of work in all.
        stored: Units whose scores are stored already.
        decodes: Images that would be decoded.
        forwards: Forward passes that would be run, one an image; a gradient counts as three.
        missing_weights: Why, for each detector that could not be built.
        seconds: Network time at the rate just measured here; ``None`` where nothing could be.
    """

    dataset: str
    images: int
    available: int
    cells: int
    units: int
    stored: int
    decodes: int
    forwards: int
    missing_weights: dict[str, str]
    seconds: float | None


def estimate(prepared: Prepared) -> Estimate:
    """Lay out the plan, look at the store, and time a batch of each detector."""
    plan, store = prepared.plan(), prepared.store
    # Thresholds are chosen on images of their own, or (by an oracle) on clean ones that are planned anyway.
    own = {unit.fingerprint for unit in plan.units}
    first = [unit for unit in prepared.calibration_plan().units if unit.fingerprint not in own]
    todo = [unit for unit in (*plan.units, *first) if not store.has(unit.fingerprint)]
    sizes = {chunk.digest: len(chunk.rows) for chunk in (*prepared.chunks, *prepared.calibration)}
    digests = {
        unit.fingerprint: chunks[unit.chunk].digest
        for units, chunks in ((plan.units, prepared.chunks), (first, prepared.calibration))
        for unit in units
    }
    passes = dict.fromkeys(prepared.detectors, 0)
    for unit in todo:
        passes[unit.detector] += sizes[digests[unit.fingerprint]] * weight(
            prepared.conditions[unit.condition]
        )
    rates = {label: _seconds_an_image(prepared, label) for label, count in passes.items() if count}
    return Estimate(
        dataset=prepared.manifest.name,
        images=len(prepared.rows),
        available=prepared.n_available,
        cells=len(prepared.request.detectors) * len(prepared.conditions),
        units=len(plan.units) + len(first),
        stored=len(plan.units) + len(first) - len(todo),
        decodes=sum(sizes[digest] for digest in {digests[unit.fingerprint] for unit in todo}),
        forwards=sum(passes.values()),
        missing_weights=prepared.missing_weights,
        seconds=sum(rates[label] * passes[label] for label in rates) if passes else None,
    )


def _seconds_an_image(prepared: Prepared, label: str) -> float:
    """The best of a few timed batches: the rate this machine can do."""
    detector, size = prepared.detectors[label], prepared.batch_size[label]
    side = detector.card.input.size or 512
    batch = torch.rand(size, 3, side, side, device=prepared.device)
    best = float("inf")
    with torch.inference_mode():
        for _ in range(_ROUNDS):
            start = time.perf_counter()
            detector.logits(batch).sum().item()
            best = min(best, time.perf_counter() - start)
    return best / size
