"""What a run would do and about how long it would take, without doing it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from attacks.base import FORWARDS_PER_GRADIENT
from bench.errors import BenchError
from bench.inference.device import device_name
from bench.inference.profiling import Stopwatch
from bench.runs.prepare import Prepared
from bench.scoring.attacking import sharing_groups
from bench.scoring.canvases import Workshop, geometry, make_ready
from bench.scoring.decoding import decode_chunk
from bench.scoring.engine import Engine
from bench.scoring.scorer import Scorer
from bench.store.units import Chunk, Unit

if TYPE_CHECKING:
    from bench.protocol.condition import Condition

_ROUNDS = 3
# Images that are decoded, corrupted and fitted once, to learn what that costs here.
_SAMPLE = 16


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
        forwards: Images that would go through a network forwards: one an image, condition and
            detector, and one a query of an attack. Clean scores that come with a gradient are none.
        gradients: Gradients that would be taken, as the attacks count them; each counts as three
            passes. An attack that stops early takes fewer, and the few probes are left out.
        missing_weights: Why, for each detector that could not be built.
        device: Where the networks run.
        threads: CPU threads.
        rates: By detector: forward passes a second, measured just now or as given.
        given: Whether the rates were given, and not measured here.
        device_hours: Hours of the device in networks: GPU-hours, or CPU-hours of all threads together;
            ``None`` where nothing could be measured.
        cpu_hours: CPU-hours to decode, corrupt and fit the images, at the cost of a few of them here.
        seconds: About how long the run takes on this machine, on the clock.
    """

    dataset: str
    images: int
    available: int
    cells: int
    units: int
    stored: int
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


@dataclass(slots=True)
class Work:
    """What is left to do, by detector and by chain of corruptions."""

    forwards: dict[str, int] = field(default_factory=dict)
    gradients: dict[str, int] = field(default_factory=dict)
    readied: dict[str, int] = field(default_factory=dict)
    decodes: int = 0

    def add(
        self, count: int, units: Iterable[Unit], conditions: Mapping[str, Condition], *, free: bool
    ) -> None:
        """The units of one chunk of ``count`` images; ``free`` where gradients give clean scores."""

        def before(unit: Unit) -> str:
            return _chain(conditions[unit.condition])

        ranked = sorted(units, key=lambda u: (before(u), u.detector))
        self.decodes += count if ranked else 0
        for chain, group in itertools.groupby(ranked, key=before):
            self.readied[chain] = self.readied.get(chain, 0) + count
            for label, mine in itertools.groupby(group, key=lambda u: u.detector):
                for family in sharing_groups(list(mine), conditions, free_clean=free):
                    forwards, gradients = _passes([conditions[u.condition] for u in family])
                    self.forwards[label] = self.forwards.get(label, 0) + count * forwards
                    self.gradients[label] = self.gradients.get(label, 0) + count * gradients

    def passes(self, label: str) -> int:
        """Forward passes, with gradients counted as several."""
        return self.forwards.get(label, 0) + FORWARDS_PER_GRADIENT * self.gradients.get(label, 0)


def _passes(family: list[Condition]) -> tuple[int, int]:
    """Forward passes and gradients an image costs under the conditions of one family."""
    attacks = [c.attack for c in family if c.attack is not None]
    if not attacks:
        return len(family), 0
    if all(attack.shares_gradient for attack in attacks):
        return len(attacks), 1
    queries = sum(attack.queries for attack in attacks)
    return len(family) + queries, sum(attack.gradients for attack in attacks)


def estimate(prepared: Prepared, rates: Mapping[str, float] | None = None) -> Estimate:
    """Lay out the plan, look at the store, and time each detector and a few images.

    Args:
        prepared: The run, with its plan and detectors.
        rates: Forward passes a second by detector, ``""`` for all others; what is not given is
            measured here.

    Raises:
        BenchError: A rate is given for a detector that is not asked for.
    """
    rates = rates or {}
    known = [request.label for request in prepared.request.detectors]
    for label in rates:
        if label and label not in known:
            raise BenchError(f"--rate {label}=...: {label!r} is not among the detectors asked for")
    plan, store = prepared.plan(), prepared.store
    # Thresholds are chosen on images of their own, or (by an oracle) on clean ones that are planned anyway.
    own = {unit.fingerprint for unit in plan.units}
    first = [unit for unit in prepared.calibration_plan().units if unit.fingerprint not in own]
    work, stored = Work(), 0
    free = prepared.request.numerics.gradient_scores
    for units, chunks in ((plan.units, prepared.chunks), (first, prepared.calibration)):
        todo = [unit for unit in units if not store.has(unit.fingerprint)]
        stored += len(units) - len(todo)
        for number, mine in itertools.groupby(todo, key=lambda u: u.chunk):
            work.add(len(chunks[number].rows), mine, prepared.conditions, free=free)
    cpu = prepared.device.type == "cpu"
    with ThreadPoolExecutor(prepared.threads) as pool:
        engine = prepared.engine(pool)
        try:
            found = {label: rates.get(label, rates.get("", 0.0)) for label in prepared.detectors}
            found |= {
                label: _rate(engine, label)
                for label, rate in found.items()
                if not rate and work.passes(label)
            }
            ready = _ready_seconds(prepared, work, engine.scorer, pool)
        finally:
            engine.scorer.lanes.close()
    networks = sum(work.passes(label) / rate for label, rate in found.items() if rate)
    threads = prepared.threads
    return Estimate(
        dataset=prepared.manifest.name,
        images=len(prepared.rows),
        available=prepared.n_available,
        cells=len(prepared.request.detectors) * len(prepared.conditions),
        units=len(plan.units) + len(first),
        stored=stored,
        decodes=work.decodes,
        forwards=sum(work.forwards.values()),
        gradients=sum(work.gradients.values()),
        missing_weights=dict(prepared.missing_weights),
        device=device_name(prepared.device),
        threads=threads,
        rates={label: rate for label, rate in found.items() if rate},
        given=bool(rates),
        device_hours=networks * (threads if cpu else 1) / 3600 if prepared.detectors else None,
        cpu_hours=ready / 3600,
        seconds=_clock(networks, ready / threads, cpu=cpu) if prepared.detectors else None,
    )


def _clock(networks: float, ready: float, *, cpu: bool) -> float:
    """On a CPU both take turns on the same cores; beside an accelerator the slower one counts."""
    return networks + ready if cpu else max(networks, ready)


def _rate(engine: Engine, label: str) -> float:
    """Forward passes a second, all threads at work: the best of a few rounds."""
    scorer = engine.scorer
    detector, size = scorer.setup.detectors[label], scorer.setup.batch_sizes[label]
    side = detector.card.input.size or 512
    canvas = np.random.default_rng(0).integers(0, 256, (3, side, side), np.uint8)
    several = scorer.setup.threads if scorer.networks[detector].parallel else 1
    canvases, best = [canvas] * (size * several), float("inf")
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        submitted = scorer.networks.submit(detector, canvases, size)
        scorer.networks.gather(detector, submitted, np.empty(len(canvases), np.float32))
        best = min(best, time.perf_counter() - start)
    return len(canvases) / best


def _ready_seconds(
    prepared: Prepared, work: Work, scorer: Scorer, pool: ThreadPoolExecutor
) -> float:
    """CPU seconds to decode, corrupt and fit everything, from a few images spread over the data."""
    if not work.decodes or not prepared.detectors:
        return 0.0
    rows = prepared.rows[:: max(1, len(prepared.rows) // _SAMPLE)][:_SAMPLE]
    watch = Stopwatch()
    sample = Chunk(0, rows, "")
    few = decode_chunk(prepared.manifest, sample, prepared.policy, pool, watch)
    total = watch.read(1).stages["decode"] / len(rows) * work.decodes
    fits = {
        geometry(label, detector): detector for label, detector in scorer.setup.detectors.items()
    }
    chains = {_chain(condition): condition.before for condition in prepared.conditions.values()}
    for chain, count in work.readied.items():
        seconds = []
        for _ in range(2):  # the first may import what the corruption needs
            watch = Stopwatch()
            make_ready(few, chains[chain], fits, Workshop(scorer.setup.seed, scorer.lanes, watch))
            stages = watch.read(1).stages
            seconds.append(stages["corrupt"] + stages["fit"])
        total += min(seconds) / len(rows) * count
    return total


def _chain(condition: Condition) -> str:
    """The corruptions of the source image, which conditions may share."""
    return "+".join(step.spell(resolved=True) for step in condition.before)
