"""Images a second of a whole run over JPEG files, beside the network alone: is the device fed?

If not, what holds it: the stages' seconds, and how busy device and cores were, tell.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.inference.detector import DetectorRequest
from bench.inference.profiling import Stopwatch
from bench.protocol.suite import load_suite
from bench.runs.executor import Here
from bench.runs.prepare import Prepared, prepare
from bench.runs.request import RunRequest
from bench.scoring.engine import Counts, Failed
from bench.support.progress import Silent
from tests.benchmarks.gpu.setting import NETWORKS, Figures, Setting, data_set, folder

# Above it, a part of the machine has nothing left to give.
BUSY = 0.85


def ask(setting: Setting) -> Iterator[Figures]:
    """Every network over the corruptions suite, from files to stored scores."""
    images = 4 if setting.small else 256
    networks = ("mobilenetv2_100",) if setting.small else NETWORKS
    yield {"images": images, "picture": "500 x 375 JPEG", "suite": "corruptions"}
    with folder() as root:
        data = data_set(root / "data", images)
        for name in networks:
            prepared = prepared_run(setting, name, data, root / name)
            if not setting.small:  # kernels are loaded by the first batch of each shape
                score(prepared, chunks=1)
            yield {name: score(prepared)}


def prepared_run(setting: Setting, name: str, data: Path, out: Path) -> Prepared:
    """Everything up to the first image, which no rate counts."""
    request = RunRequest(
        detectors=(DetectorRequest(name),), suite=load_suite("corruptions"), data=str(data),
        device=setting.device, out=out, cache=out / "cache", allow_untrained=True,
    )  # fmt: skip
    return prepare(request, Silent())


def score(prepared: Prepared, chunks: int | None = None) -> Figures:
    """Score all units, or those of the first chunks, and tell where the time went."""
    prepared = dataclasses.replace(prepared, watch=Stopwatch(prepared.device.type))
    plan, counts = prepared.plan(), Counts()
    work = [(chunk, plan.by_chunk[chunk.index]) for chunk in plan.chunks[:chunks]]
    start, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(prepared.threads) as pool:
        executor = Here(pool, counts)
        for outcome in executor.outcomes(prepared, prepared.initial, work, lambda _: False):
            if isinstance(outcome, Failed):
                raise RuntimeError(outcome.reason)
            with prepared.watch.time("store"):
                prepared.store.write(outcome.unit.fingerprint, outcome.scores)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    stages = prepared.watch.read(prepared.threads).stages
    on_gpu = prepared.device.type == "cuda"
    device = stages["forward"] / wall if on_gpu else None
    cores = cpu / wall / prepared.threads
    return {
        "scores a second": round(counts.scored / wall, 1),
        "CPU seconds a score": round(
            (cpu - (0 if on_gpu else stages["forward"])) / counts.scored, 6
        ),
        "seconds": round(wall, 2),
        "stages": {stage: round(seconds, 3) for stage, seconds in stages.items()},
        "share of the device": None if device is None else round(device, 3),
        "share of the cores": round(cores, 3),
        "threads": prepared.threads,
        "held by": held_by(device, cores, stages),
    }


def held_by(device: float | None, cores: float, stages: dict[str, float]) -> str:
    """What would have to be quicker."""
    if device is None:
        return "the CPU, which does everything"
    if device > BUSY:
        return "the device: it is fed"
    largest = max(("decode", "corrupt", "fit"), key=lambda stage: stages[stage])
    if cores > BUSY:
        return f"the cores, most of all {largest}"
    return "neither device nor cores: Python's lock, or copies"
