"""What runs on a worker: check the machine, load the detectors once, score chunks; writes nothing."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from bench.datasets import SCHEMA, DecodePolicy, Manifest, pocket_root
from bench.errors import BenchError
from bench.inference.device import pick_device, quiet_numerics
from bench.protocol.condition import each_surrogate
from bench.runs.loading import load
from bench.runs.prepare import Machine, Prepared, environment
from bench.runs.request import RunRequest
from bench.runs.settled import Settled
from bench.scoring.decoding import decode_chunk
from bench.scoring.engine import Counts
from bench.scoring.outcomes import BatchTooLargeError, Failed, Scored
from bench.store.provenance import source_digest
from bench.store.units import Chunk, Unit


@dataclass(frozen=True, slots=True)
class Context:
    """What all tasks of one run share; travels with each of them, a few kilobytes.

    Attributes:
        run: Identifies the run: a worker keeps the detectors of one run.
        request: With absolute paths.
        root: Folder of the images; ``None`` for the embedded set, which every installation has.
        environment: The one all workers must have.
        identities: By detector label.
        codes: By condition: a digest over the code of its steps.
        settled: Batch sizes and thresholds as they are when the task is sent.
    """

    run: str
    request: RunRequest
    root: Path | None
    environment: Mapping[str, Any]
    identities: Mapping[str, str]
    codes: Mapping[str, str]
    settled: Settled


@dataclass(frozen=True, slots=True)
class Task:
    """Units of one chunk, decoded once.

    Attributes:
        index: Of the chunk.
        table: The chunk's rows of the manifest.
        units: To score.
    """

    index: int
    table: pa.Table
    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """What a task gave.

    Attributes:
        outcomes: One a unit, fewer where memory ran out.
        decoded: Images decoded.
        scored: Canvases sent through a network.
        too_large: The detector whose batch did not fit the device's memory, or "".
    """

    outcomes: tuple[Scored | Failed, ...]
    decoded: int
    scored: int
    too_large: str = ""


@dataclass(slots=True)
class _Kept:
    run: str
    prepared: Prepared
    pool: ThreadPoolExecutor


_lock = threading.Lock()
_kept: list[_Kept] = []


def machine_of(request: RunRequest, worker: str) -> Machine:
    """What this process's machine is."""
    device = _device(request)
    return Machine(worker, device.type, environment(request, device))


def condition_codes(prepared: Prepared) -> dict[str, str]:
    """By condition: a digest over the code and the parameters of its steps."""
    return {
        spelled: ":".join([c.resolved, *(source_digest(step.plugin) for step in c.steps)])
        for spelled, c in prepared.conditions.items()
    }


def settle(context: Context, worker: str) -> str:
    """Check that this machine may score for the run, and load its detectors.

    Returns:
        The worker's name.

    Raises:
        BenchError: One sentence about what differs on which worker.
    """
    with _lock:
        _ready(context, worker)
    return worker


def score(context: Context, task: Task) -> Done:
    """Score one chunk under some units.

    Raises:
        BenchError: If this machine may not, or an image changed since it was indexed.
    """
    with _lock:
        kept = _ready(context, f"on {os.uname().nodename}")
    counts, outcomes, too_large = Counts(), list[Scored | Failed](), ""
    prepared = kept.prepared
    manifest = _manifest(_root(context), task.table)
    chunk = Chunk(task.index, np.arange(len(task.table)), "")
    decoded = decode_chunk(manifest, chunk, prepared.policy, kept.pool)
    try:
        # One by one: where memory runs out, what is done already counts.
        for outcome in prepared.engine(kept.pool, context.settled, counts).score(
            decoded, task.units
        ):
            outcomes.append(outcome)
    except BatchTooLargeError as error:
        too_large = error.detector
        if prepared.device.type == "cuda":
            torch.cuda.empty_cache()
    return Done(tuple(outcomes), counts.decoded, counts.scored, too_large)


def _device(request: RunRequest) -> torch.device:
    device = pick_device(request.device)
    quiet_numerics(device)
    if device.type == "cpu":
        torch.set_num_threads(1)
    return device


def _threads(device: torch.device) -> int:
    """One on a CPU, where workers are many; beside a GPU its share of the cores."""
    if device.type == "cpu":
        return 1
    return max(1, len(os.sched_getaffinity(0)) // max(1, torch.cuda.device_count()))


def _root(context: Context) -> Path:
    return pocket_root() if context.root is None else context.root


def _ready(context: Context, worker: str) -> _Kept:
    if _kept and _kept[0].run == context.run:
        return _kept[0]
    here = machine_of(context.request, worker)
    if difference := differs(context.environment, here.environment):
        raise BenchError(f"worker {worker} has {difference}: its scores would not be comparable")
    root = _root(context)
    if not root.is_dir():
        raise BenchError(
            f"worker {worker} has no data at {root}: mount the same path on every machine"
        )
    prepared = _loaded(context, worker)
    kept = _Kept(context.run, prepared, ThreadPoolExecutor(max_workers=prepared.threads))
    _kept[:] = [kept]
    return kept


def _loaded(context: Context, worker: str) -> Prepared:
    device = _device(context.request)
    numerics = dataclasses.replace(context.request.numerics, threads=_threads(device))
    request = dataclasses.replace(context.request, numerics=numerics)
    _kept.clear()
    conditions = each_surrogate(request.suite.parsed, [d.label for d in request.detectors])
    found = load(request, conditions, device)
    prepared = Prepared(
        request=request,
        manifest=_manifest(_root(context), SCHEMA.empty_table()),
        rows=np.empty(0, dtype=np.int64),
        n_available=0,
        chunks=(),
        conditions={str(condition): condition for condition in conditions},
        detectors=found.detectors,
        identities={label: detector.identity() for label, detector in found.detectors.items()},
        batch_sizes=context.settled.batch_sizes,
        device=device,
        policy=DecodePolicy(),
        surrogates=found.surrogates,
    )
    for label, identity in context.identities.items():
        if prepared.identities[label] != identity:
            raise BenchError(
                f"worker {worker} has another {label} (weights, card or code differ): install the "
                "same version of bench and give the same files on every machine"
            )
    if condition_codes(prepared) != dict(context.codes):
        raise BenchError(
            f"worker {worker} has other code for the conditions: install the same version of bench "
            "and of its plug-ins on every machine"
        )
    return prepared


def _manifest(root: Path, table: pa.Table) -> Manifest:
    return Manifest(
        name="",
        layout="",
        recognised="",
        root=root,
        table=table,
        pairing={},
        bad=pa.table({}),
        digest="",
    )


def differs(wanted: Mapping[str, Any], found: Mapping[str, Any], of: str = "") -> str:
    """The first thing that is not as wanted, in words; "" where all is."""
    for name in sorted({*wanted, *found}):
        here, there = found.get(name), wanted.get(name)
        if isinstance(here, Mapping) and isinstance(there, Mapping):
            if inner := differs(there, here, f"{name} "):
                return inner
        elif here != there:
            return f"{of}{name} {here} where the run has {there}"
    return ""
