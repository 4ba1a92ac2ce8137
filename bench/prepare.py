"""From a request to everything found, loaded and laid out, so that nothing cheap can fail later."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from bench import plan as planning
from bench.batches import auto_batch
from bench.calibration import calibration_chunks
from bench.condition import Condition, each_surrogate
from bench.data import open_data
from bench.datasets import DecodePolicy, Manifest
from bench.device import cpu_threads, device_name, pick_device, quiet_numerics
from bench.engine import Counts, Engine
from bench.errors import BenchError, NothingSelectedError
from bench.plan import Chunk, Plan, PlannedDetector, Settings
from bench.profiling import Stopwatch
from bench.progress import Progress
from bench.provenance import scoring_environment
from bench.resolve import DetectorRequest, resolve
from bench.rundir import ThresholdRecord
from bench.store import Store
from bench.suite import Suite
from detectors.base import Detector


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """Everything a run depends on.

    Attributes:
        detectors: In board order.
        suite: The protocol.
        data: A folder or file; ``None`` takes the suite's data set.
        layout: Name of the layout, or ``auto``.
        split: ``None`` takes the suite's; ``""`` takes every image.
        out: The run's folder; ``None`` is ``runs/<suite>``.
        store: Folder of score shards; ``None`` is ``<out>/store``.
        limit: At most about so many images.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        batch_size: ``None`` chooses, and halves when memory runs out.
        precision: Of the forward pass.
        exact: Keep the network's plain order of operations; by default batch normalisation is folded
            and memory laid out channels last, where logits stay within 1e-4.
        compile: Score with networks that ``torch.compile`` made quicker; gradients keep the plain ones.
        threads: CPU threads; ``None`` takes torch's own number, beside an accelerator every core.
        seed: Of noise, random starts and subsampling.
        allow_untrained: Score detectors without trained weights, on purpose.
        cache: Folder of cached manifests; ``None`` is the user's cache.
    """

    detectors: tuple[DetectorRequest, ...]
    suite: Suite
    data: str | None = None
    layout: str = "auto"
    split: str | None = None
    out: Path | None = None
    store: Path | None = None
    limit: int | None = None
    device: str = "auto"
    batch_size: int | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    exact: bool = False
    compile: bool = False
    threads: int | None = None
    seed: int = 0
    allow_untrained: bool = False
    cache: Path | None = None

    @property
    def folder(self) -> Path:
        """Where the run's files go."""
        return self.out or Path("runs") / self.suite.name

    def check(self) -> None:
        """Refuse what contradicts itself, before any work.

        Raises:
            BenchError: One sentence with the way out.
        """
        if not self.detectors:
            raise NothingSelectedError(
                "no detector given: pass --detector NAME (see `bench ls detectors`)"
            )
        labels = [request.label for request in self.detectors]
        for label in labels:
            if labels.count(label) > 1:
                raise BenchError(f"detector {label!r} is given twice: name each once")
        if self.limit is not None and self.limit < 2:
            raise BenchError(f"--limit {self.limit}: give at least 2, one real and one fake image")
        if self.batch_size is not None and self.batch_size < 1:
            raise BenchError(f"--batch-size {self.batch_size}: give at least 1, or auto")
        if self.threads is not None and self.threads < 1:
            raise BenchError(f"--threads {self.threads}: give at least 1")


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
        return scoring_environment(
            device_name(self.device),
            self.request.precision,
            exact=self.request.exact,
            compiled=self.request.compile,
        )

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


def prepare(request: RunRequest, progress: Progress, *, dry: bool = False) -> Prepared:
    """Find, load and lay out everything, so that nothing cheap can fail later.

    Args:
        request: What to run.
        progress: Told about indexing and loading.
        dry: Note detectors without weights instead of refusing them.

    Raises:
        BenchError: On any bad input; nothing has been written then.
    """
    request.check()
    device = pick_device(request.device)
    watch = Stopwatch(device.type)
    quiet_numerics(device)
    manifest = open_data(
        request.data or request.suite.dataset, progress, layout=request.layout, cache=request.cache
    )
    progress.note(f"{manifest.name}: recognised as {manifest.recognised}; {len(manifest)} images")
    split = request.suite.split if request.split is None else request.split
    everything = planning.select(manifest, split, None, request.seed)
    rows = planning.select(manifest, split, request.limit, request.seed)
    chunks = planning.cut(manifest, rows)
    policy = request.suite.policy
    calibration = calibration_chunks(manifest, policy, chunks, request.limit, request.seed)
    found = _load(request, device, dry=dry)
    conditions = each_surrogate(request.suite.parsed, [d.label for d in request.detectors])
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
        surrogates=_surrogates(conditions, found, request, device, dry=dry),
        watch=watch,
    )


@dataclass(slots=True)
class _Loaded:
    detectors: dict[str, Detector] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def _load(request: RunRequest, device: torch.device, *, dry: bool) -> _Loaded:
    loaded = _Loaded()
    for wanted in request.detectors:
        try:
            detector = resolve(wanted, allow_untrained=request.allow_untrained)
        except BenchError as error:
            if not dry:
                raise
            loaded.missing[wanted.label] = str(error)
            continue
        loaded.detectors[wanted.label] = _placed(detector, request, device)
    return loaded


def _placed(detector: Detector, request: RunRequest, device: torch.device) -> Detector:
    detector.to(device)
    if not request.exact:
        detector.fold()
    return detector


def _surrogates(
    conditions: Sequence[Condition],
    found: _Loaded,
    request: RunRequest,
    device: torch.device,
    *,
    dry: bool,
) -> dict[str, Detector]:
    """The detectors that conditions name as surrogates: those of the run, or loaded by name."""
    loaded: dict[str, Detector] = {}
    for condition in conditions:
        name = getattr(condition.attack, "surrogate", None)
        if name is None or name in loaded:
            continue
        if name in found.detectors:
            loaded[name] = found.detectors[name]
        elif not (dry and name in found.missing):
            loaded[name] = _placed(resolve(DetectorRequest(name)), request, device)
    return loaded
