"""From a request to everything found, loaded and laid out, so that nothing cheap can fail later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.datasets import DecodePolicy, Manifest
from bench.datasets.open import open_data
from bench.inference.batches import auto_batch
from bench.inference.device import cpu_threads, device_name, pick_device, quiet_numerics
from bench.inference.profiling import Stopwatch
from bench.protocol.condition import Condition, each_surrogate
from bench.runs.calibration import calibration_chunks
from bench.runs.loading import load
from bench.runs.request import RunRequest
from bench.scoring.engine import Counts, Engine
from bench.store import units as planning
from bench.store.provenance import scoring_environment
from bench.store.rundir import ThresholdRecord
from bench.store.shards import Store
from bench.store.units import Chunk, Plan, PlannedDetector, Settings
from bench.support.progress import Progress
from detectors.base import Detector


@dataclass(frozen=True, slots=True)
class Machine:
    """What of a machine decides the bits of a score.

    Attributes:
        name: For messages.
        device: ``cpu`` or ``cuda``.
        environment: As it goes into fingerprints.
    """

    name: str
    device: str
    environment: Mapping[str, Any]


@dataclass(slots=True)
class Prepared:
    """A request with everything found, loaded and laid out."""

    request: RunRequest
    manifest: Manifest
    rows: NDArray[np.int64]
    n_available: int
    chunks: tuple[Chunk, ...]
    conditions: dict[str, Condition]
    detectors: dict[str, Detector]
    identities: dict[str, str]
    batch_size: dict[str, int]
    device: torch.device
    policy: DecodePolicy
    calibration: tuple[Chunk, ...] = ()
    missing_weights: dict[str, str] = field(default_factory=dict)
    thresholds: dict[str, ThresholdRecord] = field(default_factory=dict)
    surrogates: dict[str, Detector] = field(default_factory=dict)
    watch: Stopwatch = field(default_factory=Stopwatch)
    elsewhere: Machine | None = None

    @property
    def threads(self) -> int:
        """CPU threads for everything."""
        return self.request.threads or cpu_threads(self.device)

    @property
    def store(self) -> Store:
        """Where the scores go."""
        return Store(self.request.store or self.request.folder / "store")

    @property
    def environment(self) -> dict[str, Any]:
        """What of the installation and the request can change a score; see ``provenance``."""
        if self.elsewhere is not None:
            return dict(self.elsewhere.environment)
        return environment(self.request, self.device)

    def engine(self, pool: Executor, counts: Counts | None = None) -> Engine:
        """The detectors, ready to score chunks under the current thresholds and batch sizes.

        Args:
            pool: Threads for corruptions and geometry.
            counts: Where work is counted; a fresh count by default.
        """
        return Engine(
            detectors=self.detectors,
            conditions=self.conditions,
            batch_size=self.batch_size,
            device=self.device,
            precision=self.request.precision,
            seed=self.request.seed,
            pool=pool,
            thresholds={label: record.value for label, record in self.thresholds.items()},
            surrogates=self.surrogates,
            counts=counts or Counts(),
            threads=self.threads,
            compile=self.request.compile,
            watch=self.watch,
        )

    def plan(self) -> Plan:
        """Every unit, with fingerprints for the current batch sizes and thresholds."""
        return self._plan(self.chunks, list(self.conditions.values()))

    def calibration_plan(self) -> Plan:
        """The units that thresholds are chosen from: clean, on the calibration images."""
        return self._plan(self.calibration, [self.conditions["clean"]])

    def _plan(self, chunks: Sequence[Chunk], conditions: Sequence[Condition]) -> Plan:
        settings = Settings(
            self.request.seed,
            self.environment,
            self.policy.digest(),
            {name: detector.identity() for name, detector in self.surrogates.items()},
        )
        planned = [
            PlannedDetector(label, identity, self.batch_size[label], self._threshold(label))
            for label, identity in self.identities.items()
        ]
        return planning.build(chunks, planned, conditions, settings)

    def _threshold(self, label: str) -> float:
        record = self.thresholds.get(label)
        return 0.0 if record is None else record.value


def environment(request: RunRequest, device: torch.device) -> dict[str, Any]:
    """What of this installation and of a request can change a score on a device."""
    return scoring_environment(
        device_name(device), request.precision, exact=request.exact, compiled=request.compile
    )


def prepare(
    request: RunRequest,
    progress: Progress,
    *,
    dry: bool = False,
    elsewhere: Machine | None = None,
) -> Prepared:
    """Find, load and lay out everything, so that nothing cheap can fail later.

    Args:
        request: What to run.
        progress: Told about indexing and loading.
        dry: Note detectors without weights instead of refusing them.
        elsewhere: The machines that will score, where it is not this one: the detectors are then
            loaded here only for their cards and identities.

    Raises:
        BenchError: On any bad input; nothing has been written then.
    """
    request.check()
    here = pick_device(request.device) if elsewhere is None else torch.device("cpu")
    device = here if elsewhere is None else torch.device(elsewhere.device)
    watch = Stopwatch(device.type)
    quiet_numerics(here)
    split = request.suite.split if request.split is None else request.split
    policy = request.suite.policy
    manifest = open_data(
        request.data or request.suite.dataset,
        progress,
        layout=request.layout,
        cache=request.cache,
        splits=[split, *([policy.split] if policy.split else [])] if split else None,
    )
    progress.note(f"{manifest.name}: recognised as {manifest.recognised}; {len(manifest)} images")
    everything = manifest.rows(split)
    rows = planning.select(manifest, split, request.limit, request.seed)
    chunks = planning.cut(manifest, rows)
    calibration = calibration_chunks(manifest, policy, chunks, request.limit, request.seed)
    conditions = each_surrogate(request.suite.parsed, [d.label for d in request.detectors])
    found = load(request, conditions, here, dry=dry)
    sizes = {
        label: request.batch_size or auto_batch(detector.card.input.size, device)
        for label, detector in found.detectors.items()
    }
    return Prepared(
        request=request,
        manifest=manifest,
        rows=rows,
        n_available=len(everything),
        chunks=chunks,
        calibration=calibration,
        conditions={str(condition): condition for condition in conditions},
        detectors=found.detectors,
        identities={label: detector.identity() for label, detector in found.detectors.items()},
        batch_size=sizes,
        device=device,
        policy=DecodePolicy(),
        missing_weights=found.missing,
        surrogates=found.surrogates,
        watch=watch,
        elsewhere=elsewhere,
    )
