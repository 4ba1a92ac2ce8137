"""The work of a run and about how long it would take, without doing it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.errors import BenchError
from bench.inference.device import device_name
from bench.inference.profiling import Stopwatch
from bench.runs.prepare import Prepared
from bench.runs.workload import Workload, remaining
from bench.scoring.canvases import Workshop, geometry, make_ready
from bench.scoring.decoding import DecodedChunk, decode_chunk
from bench.scoring.engine import Engine
from bench.scoring.scorer import Scorer
from bench.store.units import Chunk

if TYPE_CHECKING:
    from bench.protocol.condition import Condition

_ROUNDS = 3
# Images that are decoded, corrupted and fitted once, to learn what that costs here.
_SAMPLE = 16
# Side of the canvas that a detector of any size is timed on, in pixels.
_NATIVE_SIDE = 512


@dataclass(frozen=True, slots=True)
class Estimate:
    """The work of a run, counted, and the time it would take here.

    Attributes:
        dataset: Name of the data set.
        images: Images selected.
        available: Images before a limit.
        cells: Detector x condition pairs.
        units: Units of work in all.
        stored: Units whose scores are stored already.
        until: Target at which cells stop; "" where everything is scored. What follows is then what is
            expected where the metric is 0.9: at most ``units``.
        expected: Units that are expected to be scored, stored ones among them.
        decodes: Images that would be decoded.
        forwards: Images that would go through a network forwards: one an image, condition and
            detector, and one a query of an attack. Clean scores that come with a gradient are none, nor
            are those of a class that ``only(...)`` leaves as it is, beyond the first; for detectors of
            images of any size, as if all had one.
        gradients: Gradients that would be taken, as the attacks count them, of the images that their
            goals name; each counts as three passes. An attack that stops early takes fewer, and the few
            probes are left out.
        missing_weights: Why, for each detector that could not be built.
        device: Where the networks run.
        threads: CPU threads.
        rates: By detector: forward passes a second, measured here or stated by the user.
        given: Whether the user stated rates.
        device_hours: Hours of the device in networks: GPU-hours, or CPU-hours of all threads together;
            ``None`` where nothing could be measured.
        cpu_hours: CPU-hours to decode, corrupt and fit the images, at the cost of a few of them here.
        seconds: About how long the run takes on this machine, on the clock; ``None`` where nothing could
            be measured.
    """

    dataset: str
    images: int
    available: int
    cells: int
    units: int
    stored: int
    until: str
    expected: int
    decodes: int
    forwards: int
    gradients: int
    missing_weights: dict[str, str]
    device: str
    threads: int
    rates: dict[str, float]
    given: bool
    device_hours: float | None
    cpu_hours: float
    seconds: float | None


def estimate(prepared: Prepared, rates: Mapping[str, float] | None = None) -> Estimate:
    """Lay out the plan, look at the store, and time each detector and a few images.

    Args:
        prepared: The run to estimate; nothing of it is scored or stored.
        rates: Forward passes a second by detector, ``""`` for all others; a rate that is not stated is
            measured here.

    Raises:
        BenchError: A rate is stated for a detector that is not in the request.
    """
    rates = rates or {}
    _refuse_unknown_labels(rates, prepared)
    todo = remaining(prepared)
    work = todo.work
    speed = _measure(prepared, work, rates)
    time_needed = _Time.of(prepared, work, speed) if prepared.detectors else None
    return Estimate(
        dataset=prepared.manifest.name,
        images=len(prepared.rows),
        available=prepared.n_available,
        cells=len(prepared.request.detectors) * len(prepared.conditions),
        units=todo.units,
        stored=todo.stored,
        until="" if prepared.request.until is None else str(prepared.request.until),
        expected=todo.expected,
        decodes=work.decodes,
        forwards=work.forwards.total(),
        gradients=work.gradients.total(),
        missing_weights=dict(prepared.missing_weights),
        device=device_name(prepared.device),
        threads=prepared.threads,
        rates=speed.rates,
        given=bool(rates),
        device_hours=time_needed.device_hours if time_needed else None,
        cpu_hours=speed.canvas_seconds / 3600,
        seconds=time_needed.seconds if time_needed else None,
    )


def _refuse_unknown_labels(rates: Mapping[str, float], prepared: Prepared) -> None:
    labels = [request.label for request in prepared.request.detectors]
    for label in rates:
        if label and label not in labels:
            raise BenchError(f"--rate {label}=...: {label!r} is not among the detectors asked for")


class _Speed(NamedTuple):
    """Speed of this machine.

    Attributes:
        rates: Forward passes a second by detector; a detector without work or rate is left out.
        canvas_seconds: CPU seconds to decode, corrupt and fit all images.
    """

    rates: dict[str, float]
    canvas_seconds: float


def _measure(prepared: Prepared, work: Workload, rates: Mapping[str, float]) -> _Speed:
    """Time the detectors whose rate is not stated, and a few images."""
    with ThreadPoolExecutor(prepared.threads) as pool:
        engine = prepared.engine(pool)
        try:
            by_label: dict[str, float] = {}
            for label in prepared.detectors:
                rate = rates.get(label, rates.get("", 0.0))
                if not rate and work.passes(label):
                    rate = _rate(engine, label)
                if rate:
                    by_label[label] = rate
            return _Speed(by_label, _canvas_seconds(prepared, work, engine.scorer, pool))
        finally:
            engine.scorer.lanes.close()


class _Time(NamedTuple):
    """Time that a run takes: hours of its device in networks, and seconds on the clock."""

    device_hours: float
    seconds: float

    @classmethod
    def of(cls, prepared: Prepared, work: Workload, speed: _Speed) -> _Time:
        """Convert work and speed to time.

        On a CPU, networks and images take turns on the same cores; beside an accelerator the slower of
        the two counts.
        """
        networks = sum(work.passes(label) / rate for label, rate in speed.rates.items())
        images = speed.canvas_seconds / prepared.threads
        if prepared.device.type == "cpu":
            return cls(networks * prepared.threads / 3600, networks + images)
        return cls(networks / 3600, max(networks, images))


def _rate(engine: Engine, label: str) -> float:
    """Measure forward passes a second, all threads at work: the best of a few rounds."""
    scorer = engine.scorer
    detector, size = scorer.setup.detectors[label], scorer.setup.batch_sizes[label]
    shape = (3, *detector.card.input.canvas_or(_NATIVE_SIDE))
    canvas = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    batches = scorer.setup.threads if scorer.networks[detector].parallel else 1
    canvases, best = [canvas] * (size * batches), float("inf")
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        form = scorer.setup.arithmetic_of(label).scores
        submitted = scorer.networks.submit(detector, canvases, size, form)
        scorer.networks.gather(detector, submitted, np.empty(len(canvases), np.float32))
        best = min(best, time.perf_counter() - start)
    return len(canvases) / best


def _canvas_seconds(
    prepared: Prepared, work: Workload, scorer: Scorer, pool: ThreadPoolExecutor
) -> float:
    """Measure CPU seconds to decode, corrupt and fit everything, on images spread over the data."""
    if not work.decodes or not prepared.detectors:
        return 0.0
    rows = prepared.rows[:: max(1, len(prepared.rows) // _SAMPLE)][:_SAMPLE]
    watch = Stopwatch()
    sample = decode_chunk(prepared.manifest, Chunk(0, rows, ""), prepared.policy, pool, watch)
    total = watch.read(1).stages["decode"] / len(rows) * work.decodes
    chains = {condition.source_chain: condition for condition in prepared.conditions.values()}
    for chain, count in work.corrupted.items():
        # The first round may import what the corruption needs.
        seconds = min(_corrupt_seconds(sample, chains[chain], scorer) for _ in range(2))
        total += seconds / len(rows) * count
    return total


def _corrupt_seconds(sample: DecodedChunk, condition: Condition, scorer: Scorer) -> float:
    """Measure CPU seconds to corrupt and fit a few images for all detectors."""
    fits = {
        geometry(label, detector): detector for label, detector in scorer.setup.detectors.items()
    }
    watch = Stopwatch()
    make_ready(sample, condition, fits, Workshop(scorer.setup.seed, scorer.lanes, watch))
    stages = watch.read(1).stages
    return stages["corrupt"] + stages["fit"]
