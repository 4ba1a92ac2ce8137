"""The work of a worker: check the machine, load the detectors once, score chunks; writes nothing."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from bench.datasets import SCHEMA, DecodePolicy, Manifest, pocket_root
from bench.errors import BenchError
from bench.inference.device import pick_device, quiet_numerics
from bench.protocol.series.nested import written_out
from bench.runs.cluster.spec import SHARED_BY
from bench.runs.cluster.task import Context, InseparableError, Task, TaskResult
from bench.runs.loading import load
from bench.runs.prepare import Machine, Prepared, environment
from bench.runs.request import RunRequest
from bench.runs.settled import Settled
from bench.scoring.decoding import decode_chunk
from bench.scoring.engine import Counts, Engine
from bench.scoring.outcomes import BatchTooLargeError, Failed, Scored
from bench.store.provenance import file_digests, source_digest
from bench.store.units import Chunk
from bench.support.memory.allocator import keep_large_blocks
from bench.support.objects.place import ObjectPath, Place


@dataclass(slots=True)
class LoadedRun:
    """A run whose detectors are loaded on this worker."""

    prepared: Prepared
    pool: ThreadPoolExecutor
    _engines: dict[int, tuple[Settled, Engine]] = field(default_factory=dict)

    def engine(self, settled: Settled, counts: Counts) -> Engine:
        """Give the engine of the calling thread, made ready once for all tasks of the same settings."""
        before = self._engines.get(threading.get_ident())
        if before is None or before[0] != settled:
            before = settled, self.prepared.engine(self.pool, settled)
            self._engines[threading.get_ident()] = before
        return dataclasses.replace(before[1], counts=counts)


_lock = threading.Lock()
# The last run only, by its id: two runs' detectors need not fit the memory together.
_loaded_runs: dict[str, LoadedRun] = {}


def machine_of(request: RunRequest, worker: str) -> Machine:
    """Describe the machine of this process, as fingerprints see it."""
    device = _device(request)
    return Machine(worker, device.type, environment(request, device))


def condition_codes(prepared: Prepared) -> dict[str, str]:
    """Write, by condition, the parameters of its steps and digests over their code and files."""
    return {
        spelled: ":".join(
            [c.resolved, *(source_digest(step.plugin) for step in c.chain), *file_digests(c)]
        )
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
        _loaded_run(context, worker)
    return worker


def check_machine(context: Context, worker: str) -> str:
    """Check that this machine may score for the run, as far as no detector tells; see :func:`settle`."""
    here = machine_of(context.request, worker)
    if difference := differs(context.environment, here.environment):
        raise BenchError(f"worker {worker} has {difference}: its scores would not be comparable")
    root = _root(context)
    if isinstance(root, ObjectPath):
        root.check_installed()
    elif not root.is_dir():
        raise BenchError(
            f"worker {worker} has no data at {root}: mount the same path on every machine"
        )
    return worker


def score(context: Context, task: Task) -> TaskResult:
    """Score the units of a task.

    Raises:
        BenchError: If this machine may not score for the run, or an image changed since it was indexed.
    """
    counts, outcomes, too_large = Counts(), list[Scored | Failed](), ""
    inseparable = False
    try:
        # One by one: where memory runs out, the outcomes before it still count.
        for outcome in stream(context, task, counts, f"on {os.uname().nodename}"):
            outcomes.append(outcome)
    except InseparableError:
        inseparable = True
    except BatchTooLargeError as error:
        too_large = error.detector
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return TaskResult(tuple(outcomes), counts.decoded, counts.scored, too_large, inseparable)


def stream(context: Context, task: Task, counts: Counts, worker: str) -> Iterator[Scored | Failed]:
    """Score the units of a task, and give every outcome as it comes.

    Args:
        context: The run that the task is part of.
        task: Units of one chunk.
        counts: Where work is counted.
        worker: What messages call this process.

    Raises:
        BatchTooLargeError: If the device's memory does not hold a batch.
        BenchError: As :func:`score`.
    """
    loaded = loaded_run(context, worker)
    prepared = loaded.prepared
    manifest = _manifest(_root(context), task.table)
    chunk = Chunk(task.index, np.arange(len(task.table)), "")
    decoded = decode_chunk(manifest, chunk, prepared.policy, loaded.pool)
    engine = loaded.engine(context.settled, counts)
    if task.role == "whole":
        yield from engine.score(decoded, task.units)
        return
    if any(image is None for image in decoded.images):
        raise InseparableError
    if task.role == "rows":
        yield from engine.score(dataclasses.replace(decoded, whole=False), task.units)
        return
    yield from engine.probe(decoded, task.units)
    counts.decoded = 0  # they are counted with the rows


def loaded_run(context: Context, worker: str) -> LoadedRun:
    """Give the detectors of a run, loaded once; raises as :func:`settle`."""
    with _lock:
        return _loaded_run(context, worker)


def _device(request: RunRequest) -> torch.device:
    device = pick_device(request.device)
    quiet_numerics(device)
    keep_large_blocks()
    if device.type == "cpu":
        torch.set_num_threads(1)
    return device


def _threads(device: torch.device) -> int:
    """Count the threads of a worker: one on a CPU, beside a GPU its share of the cores."""
    if device.type == "cpu":
        return 1
    sharing = int(os.environ.get(SHARED_BY, "0")) or torch.cuda.device_count()
    return max(1, len(os.sched_getaffinity(0)) // max(1, sharing))


def _root(context: Context) -> Place:
    return pocket_root() if context.root is None else context.root


def _loaded_run(context: Context, worker: str) -> LoadedRun:
    """Look up the run among those loaded, or check this machine and load it."""
    if context.run in _loaded_runs:
        return _loaded_runs[context.run]
    check_machine(context, worker)
    _loaded_runs.clear()
    prepared = _prepare(context, worker)
    loaded = LoadedRun(prepared, ThreadPoolExecutor(max_workers=prepared.threads))
    _loaded_runs[context.run] = loaded
    return loaded


def _prepare(context: Context, worker: str) -> Prepared:
    device = _device(context.request)
    numerics = dataclasses.replace(
        context.request.numerics, threads=context.threads or _threads(device)
    )
    request = dataclasses.replace(context.request, numerics=numerics)
    conditions = written_out(request.suite.parsed, [d.label for d in request.detectors])
    loaded = load(request, conditions, device, broken=context.broken, only=list(context.identities))
    prepared = Prepared(
        request=request,
        manifest=_manifest(_root(context), SCHEMA.empty_table()),
        rows=np.empty(0, dtype=np.int64),
        n_available=0,
        chunks=(),
        conditions={str(condition): condition for condition in conditions},
        detectors=loaded.detectors,
        identities={label: loaded.identities[label].digest for label in loaded.detectors},
        batch_sizes=context.settled.batch_sizes,
        device=device,
        policy=DecodePolicy(),
        surrogates=loaded.surrogates,
        unknown={label: loaded.identities[label].unknown for label in loaded.detectors},
        broken=loaded.broken,
    )
    _refuse_other_code(context, prepared, worker, loaded.broken)
    return prepared


def _refuse_other_code(
    context: Context, prepared: Prepared, worker: str, broken: Mapping[str, str]
) -> None:
    for label, identity in context.identities.items():
        # One that fails here, where it did not before, says so in its own cells.
        if identity and label not in broken and prepared.identities[label] != identity:
            raise BenchError(
                f"worker {worker} has another {label} (weights, card or code differ): install the "
                "same version of bench and give the same files on every machine"
            )
    if context.codes and condition_codes(prepared) != dict(context.codes):
        raise BenchError(
            f"worker {worker} has other code for the conditions: install the same version of bench "
            "and of its plug-ins on every machine"
        )


def _manifest(root: Place, table: pa.Table) -> Manifest:
    return Manifest(
        name="",
        layout="",
        recognised="",
        root=root,
        table=table,
        pairing={},
        lost=pa.table({}),
        digest="",
    )


def differs(expected: Mapping[str, Any], actual: Mapping[str, Any], prefix: str = "") -> str:
    """Describe the first entry that is not as expected; "" where all entries are.

    Args:
        expected: Environment of the run; entries may be mappings themselves.
        actual: Environment of a worker.
        prefix: Text in front of the entry's name.
    """
    for name in sorted({*expected, *actual}):
        here, there = actual.get(name), expected.get(name)
        if isinstance(here, Mapping) and isinstance(there, Mapping):
            if inner := differs(there, here, f"{name} "):
                return inner
        elif here != there:
            return f"{prefix}{name} {here} where the run has {there}"
    return ""
