"""What `bench plan --simulate` says of a small run on two workers of this machine, beside that run.

    python -m tests.benchmarks.plan [--images 320] [--chunk 16] [--detector resnet50] [--suite corruptions]

The rates of networks and images are measured here as `--dry-run` does; the others are the plan's own.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

from bench.inference.detector import DetectorRequest
from bench.inference.numerics import Numerics
from bench.protocol.suite import load_suite
from bench.runs.cluster.connect import Session, connected
from bench.runs.cluster.dispatch import Dispatcher
from bench.runs.cluster.flow import Flow
from bench.runs.cluster.questions import machine
from bench.runs.cluster.spec import Local
from bench.runs.estimate import estimate
from bench.runs.prepare import prepare
from bench.runs.request import RunRequest, Tls
from bench.runs.scale.counts import Load
from bench.runs.scale.rates import rates_of
from bench.runs.scale.simulation import Worker, scenario
from bench.scoring.engine import Counts
from bench.scoring.outcomes import Scored
from bench.store import units as planning
from bench.store.shards import Store
from bench.support.progress import Silent

WORKERS = 2


def cpu_seconds(session: Session) -> float:
    """CPU seconds of all workers so far."""
    return sum(session.client.run(time.process_time).values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=320)
    parser.add_argument("--chunk", type=int, default=16)
    parser.add_argument("--detector", default="mobilenetv2_100")
    parser.add_argument("--suite", default="corruptions")
    given = parser.parse_args()
    planning.CHUNK_IMAGES = given.chunk
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        request = RunRequest(
            detectors=(DetectorRequest(given.detector),), suite=load_suite(given.suite),
            limit=given.images, out=Path(temporary) / "out", device="cpu", numerics=Numerics(threads=1),
        )  # fmt: skip
        with connected(Local(WORKERS), Tls(), Silent()) as session:
            described = machine(session, request)
            prepared = prepare(request, Silent(), elsewhere=described)
            here = estimate(prepare(request, Silent()))
            images, conditions = len(prepared.rows), len(prepared.conditions)
            ((label, rate),) = here.rates.items()
            core_ms = here.cpu_hours * 3.6e6 / (images * conditions)
            plan = scenario(
                Load(
                    images, 1, conditions, pixels=64 * 64,
                    batch_size=prepared.initial.batch_sizes[label], workers=WORKERS,
                ),
                Worker(gpu=False, cores=1),
                rates_of({label: rate}, 1, gpu=False, cores=1, figures={"core_ms": core_ms}),
                simulate=True,
            )  # fmt: skip
            whole = prepared.plan()
            todo = [(chunk, whole.by_chunk[chunk.index]) for chunk in whole.chunks]
            dispatcher, store = (
                Dispatcher(session, Silent(), Counts()),
                Store(Path(temporary) / "store"),
            )
            context = dispatcher._context(prepared)
            tasks = len(list(Flow(prepared, context, todo, lambda _: False, WORKERS)))
            times, cpu = [], []
            for _ in range(2):  # the first one loads the detector
                start, before = time.perf_counter(), cpu_seconds(session)
                for outcome in dispatcher.outcomes(
                    prepared, prepared.initial, todo, lambda _: False
                ):
                    assert isinstance(outcome, Scored), outcome
                    store.write(outcome.unit.fingerprint, outcome.scores)
                times.append(time.perf_counter() - start)
                cpu.append(cpu_seconds(session) - before)
            files = list(store.root.rglob("*.parquet"))
            size = sum(path.stat().st_size for path in files)
        print("what, plan, run")
        print(f"chunks, {plan.counts.chunks}, {len(whole.chunks)}")
        print(f"tasks, {plan.counts.tasks}, {tasks}")
        print(f"files, {plan.counts.units}, {len(files)}")
        print(f"bytes, {plan.store_bytes:.0f}, {size}")
        busy = plan.busy["devices"] * plan.hours * 3600 * WORKERS
        print(f"CPU seconds of the workers, {busy:.1f}, {cpu[1]:.1f}")
        print(f"seconds, {plan.clock * 3600:.1f}, {times[1]:.1f} (the first time {times[0]:.1f})")


if __name__ == "__main__":
    main()
