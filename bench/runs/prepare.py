"""From a request to a run with everything looked up, loaded and laid out: nothing cheap fails later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench import registry
from bench.audit.before_run import Audited, audit_first
from bench.datasets import DecodePolicy, Manifest
from bench.datasets.real_pairing import pair_reals
from bench.inference.batches import auto_batch_of
from bench.inference.device import (
    cpu_threads,
    device_name,
    has_bf16_units,
    pick_device,
    quiet_numerics,
)
from bench.inference.profiling import Stopwatch
from bench.protocol.condition import Condition
from bench.protocol.series.nested import written_out
from bench.runs.calibration import calibration_chunks
from bench.runs.loading import Loader, load
from bench.runs.order.images import check_cuts, manifest_of
from bench.runs.order.layout import layout_of
from bench.runs.request import RunRequest
from bench.runs.settled import Settled
from bench.scoring.engine import Counts, Engine
from bench.scoring.scorer import Scorer
from bench.scoring.setup import Setup
from bench.store import units as planning
from bench.store.provenance import scoring_environment
from bench.store.shards import Store
from bench.store.units import BF16_UNITS, CHUNK_IMAGES, Chunk, Plan, PlannedDetector, Settings
from bench.support.memory.allocator import keep_large_blocks
from bench.support.progress import Progress
from detectors.base import Detector
from leaderboards.tables.rounds.stopping import Looks


@dataclass(frozen=True, slots=True)
class Machine:
    """What of a machine decides the bits of a score.

    Attributes:
        name: What messages call the machine.
        device: ``cpu`` or ``cuda``.
        environment: Everything of the installation that goes into fingerprints.
    """

    name: str
    device: str
    environment: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request with everything looked up, loaded and laid out; nothing in it changes while it runs.

    Attributes:
        request: The request that was prepared.
        manifest: The data set.
        rows: (n,) int64 rows of the manifest that are scored, in the order of the chunks.
        n_available: Images there were before a limit.
        chunks: The selected images, cut to bounded memory.
        pairing: Generator to the real sources it is compared with; empty where nothing is compared.
        calibration: Chunks that thresholds are chosen on; empty where none is chosen.
        conditions: By canonical spelling, in board order.
        detectors: By label, on the device.
        identities: By label: a digest over all that decides a detector's logits.
        unknown: By label: what a detector holds that its identity does not cover.
        surrogates: By name: detectors whose gradients are taken for others.
        surrogate_identities: By name: the digest of each surrogate, as in ``identities``.
        broken: By label or surrogate's name, why a detector's own code fails: its cells say so.
        missing_weights: By label, why a detector could not be built; only in a dry run.
        batch_sizes: Images in a batch to begin with, by label.
        device: Where networks run.
        policy: How images are decoded.
        audited: What the audit before the run found, and the copies that it dropped.
        looks: Where cells may stop; None where everything is scored.
        watch: Stopwatch that times every stage.
        elsewhere: The machine that scores, where it is not this one.
    """

    request: RunRequest
    manifest: Manifest
    rows: NDArray[np.int64]
    n_available: int
    chunks: tuple[Chunk, ...]
    pairing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    calibration: tuple[Chunk, ...] = ()
    conditions: Mapping[str, Condition]
    detectors: Mapping[str, Detector]
    identities: Mapping[str, str]
    unknown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    surrogates: Mapping[str, Detector] = field(default_factory=dict)
    surrogate_identities: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    missing_weights: Mapping[str, str] = field(default_factory=dict)
    batch_sizes: Mapping[str, int]
    device: torch.device
    policy: DecodePolicy
    audited: Audited = field(default_factory=Audited)
    looks: Looks | None = None
    watch: Stopwatch = field(default_factory=Stopwatch)
    elsewhere: Machine | None = None

    @property
    def initial(self) -> Settled:
        """Batch sizes to begin with, and no threshold chosen yet."""
        return Settled(self.batch_sizes)

    @property
    def threads(self) -> int:
        """CPU threads for everything."""
        return self.request.numerics.threads or cpu_threads(self.device)

    @property
    def store(self) -> Store:
        """Where the scores go."""
        request = self.request
        return Store(request.store or request.folder / "store", request.parents)

    @property
    def environment(self) -> dict[str, Any]:
        """What of the installation and the request can change a score; see ``provenance``."""
        if self.elsewhere is not None:
            return dict(self.elsewhere.environment)
        return environment(self.request, self.device)

    def engine(
        self, pool: Executor, settled: Settled | None = None, counts: Counts | None = None
    ) -> Engine:
        """Make the detectors ready to score chunks.

        Args:
            pool: Threads for corruptions and geometry.
            settled: Batch sizes and thresholds; the initial ones by default.
            counts: Where work is counted; a fresh count by default.
        """
        settled = settled or self.initial
        setup = Setup(
            detectors=self.detectors,
            conditions=self.conditions,
            batch_sizes=settled.batch_sizes,
            device=self.device,
            numerics=self.request.numerics,
            seed=self.request.seed,
            thresholds={label: settled.threshold(label) for label in settled.thresholds},
            surrogates=self.surrogates,
            arithmetic=settled.arithmetic,
            threads=self.threads,
        )
        return Engine(Scorer(setup, pool, self.watch), counts or Counts())

    def plan(self, settled: Settled | None = None) -> Plan:
        """Lay out every unit, with fingerprints for the settled batch sizes and thresholds."""
        return self._plan(self.chunks, list(self.conditions.values()), settled or self.initial)

    def calibration_plan(self, settled: Settled | None = None) -> Plan:
        """Lay out the units that thresholds are chosen from: clean, on the calibration images."""
        return self._plan(self.calibration, [self.conditions["clean"]], settled or self.initial)

    def _plan(
        self, chunks: Sequence[Chunk], conditions: Sequence[Condition], settled: Settled
    ) -> Plan:
        settings = Settings(
            self.request.seed,
            self.environment,
            self.policy.digest(),
            self.surrogate_identities,
        )
        plain = self.request.numerics.arithmetic
        planned = [
            PlannedDetector(
                label,
                ":".join([identity, *filter(None, [settled.salts.get(label)])]),
                settled.batch_sizes[label],
                settled.threshold(label),
                arithmetic.scores,
                arithmetic.gradients,
            )
            for label, identity in self.identities.items()
            for arithmetic in (settled.arithmetic.get(label, plain),)
        ]
        return planning.build(chunks, planned, conditions, settings)


def environment(request: RunRequest, device: torch.device) -> dict[str, Any]:
    """Describe what of this installation and of a request can change a score on a device."""
    arithmetic = request.numerics.fingerprint
    if request.numerics.precision != "fp32":
        # Where there are none, bf16 is made of fp32, and other bits come out.
        arithmetic = {**arithmetic, BF16_UNITS: has_bf16_units(device)}
    return scoring_environment(device_name(device), arithmetic)


def prepare(
    request: RunRequest,
    progress: Progress,
    *,
    dry: bool = False,
    elsewhere: Machine | None = None,
    loader: Loader = load,
) -> Prepared:
    """Find, load and lay out everything, so that nothing cheap can fail later.

    Args:
        request: What to run.
        progress: Shows indexing and loading.
        dry: Note detectors without weights instead of refusing them.
        elsewhere: The machines that will score, where it is not this one: the detectors are then
            loaded here only for their cards and identities.
        loader: Builds the detectors, here or in processes of their own.

    Raises:
        BenchError: On any bad input; nothing has been written then.
    """
    request.check()
    registry.metrics()
    here = pick_device(request.device) if elsewhere is None else torch.device("cpu")
    device = here if elsewhere is None else torch.device(elsewhere.device)
    watch = Stopwatch(device.type)
    quiet_numerics(here)
    keep_large_blocks()
    split = request.suite.split if request.split is None else request.split
    policy = request.suite.policy
    manifest = manifest_of(request, split, progress)
    everything = manifest.rows(split)
    rows = planning.select(manifest, split, request.limit, request.seed)
    audited = audit_first(request.wishes(dry=dry), manifest, rows, progress)
    pairing = pair_reals(manifest, audited.rows, request.suite.pairing)
    layout = layout_of(request, manifest, audited.rows, pairing, split)
    chunks = layout.chunks
    calibration = calibration_chunks(manifest, policy, chunks, request.limit, request.seed)
    conditions = written_out(request.suite.parsed, [d.label for d in request.detectors])
    check_cuts(manifest, rows, pairing, request, split)
    loaded = loader(request, conditions, here, dry=dry)
    for label, reason in loaded.broken.items():
        progress.warn(f"{label} fails: its cells say so ({reason})")
    return Prepared(
        request=request,
        manifest=manifest,
        rows=layout.rows,
        n_available=len(everything),
        pairing=pairing,
        chunks=chunks,
        calibration=calibration,
        conditions={str(condition): condition for condition in conditions},
        detectors=loaded.detectors,
        identities={label: loaded.identities[label].digest for label in loaded.detectors},
        unknown={label: loaded.identities[label].unknown for label in loaded.detectors},
        batch_sizes=_batch_sizes(request, loaded.detectors, device),
        device=device,
        policy=DecodePolicy(),
        broken=loaded.broken,
        audited=audited,
        looks=layout.looks,
        missing_weights=loaded.missing,
        surrogates=loaded.surrogates,
        surrogate_identities={name: loaded.identities[name].digest for name in loaded.surrogates},
        watch=watch,
        elsewhere=elsewhere,
    )


def _batch_sizes(
    request: RunRequest, detectors: Mapping[str, Detector], device: torch.device
) -> dict[str, int]:
    """Choose each detector's batch: formed inside a chunk, a larger one would only be padded."""
    return {
        label: min(request.batch_size or auto_batch_of(detector.card.input, device), CHUNK_IMAGES)
        for label, detector in detectors.items()
    }
