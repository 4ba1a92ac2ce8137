"""This process with one thread, and one and two one-thread Dask workers, on the same run, interleaved.

    python -m tests.benchmarks.cluster [--rounds 3] [--images 240] [--detector resnet50] [--suite S]

Three clusters of this machine stand side by side, two of them idle; every round scores everything into an
empty store. A ratio of clock times is only worth something where the control is near 1, and two workers
need two cores for themselves; CPU seconds, and those of the busier worker, tell more on a busy machine.
The ceiling is what two cores give to two workers that share nothing: each of two clusters of one worker
scores everything, both at once, and twice the time of one alone is held against that.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import torch

from bench.inference.detector import DetectorRequest
from bench.protocol.suite import load_suite
from bench.runs.cluster.connect import Session, connected
from bench.runs.cluster.dispatch import Dispatcher
from bench.runs.cluster.questions import machine
from bench.runs.cluster.spec import Local
from bench.runs.executor import Executor, Here
from bench.runs.prepare import Prepared, prepare
from bench.runs.request import RunRequest, Tls
from bench.scoring.engine import Counts
from bench.scoring.outcomes import Scored
from bench.store import units as planning
from bench.store.shards import Store
from bench.support.progress import Silent

SIDES = {"process": 0, "one worker": 1, "one worker again": 1, "two workers": 2}
BOTH = "both at once"


def cpu(session: Session | None) -> list[float]:
    """CPU seconds so far, of each process that scores."""
    if session is None:
        return [time.process_time()]
    return list(session.client.run(time.process_time).values())


def score(executor: Executor, prepared: Prepared) -> None:
    plan = prepared.plan()
    todo = [(chunk, plan.by_chunk[chunk.index]) for chunk in plan.chunks]
    with tempfile.TemporaryDirectory() as temporary:
        store = Store(Path(temporary))
        for outcome in executor.outcomes(prepared, prepared.initial, todo, lambda _: False):
            assert isinstance(outcome, Scored), outcome
            store.write(outcome.unit.fingerprint, outcome.scores)


def score_both(executors: list[Executor], prepared: Prepared) -> None:
    """Score everything twice at once, by a worker each."""
    with ThreadPoolExecutor(len(executors)) as clients:
        list(clients.map(lambda executor: score(executor, prepared), executors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=240)
    parser.add_argument("--chunk", type=int, default=planning.CHUNK_IMAGES)
    parser.add_argument("--detector", default="resnet50")
    parser.add_argument("--suite", default="corruptions")
    given = parser.parse_args()
    planning.CHUNK_IMAGES = given.chunk
    torch.set_num_threads(1)
    request = RunRequest(
        detectors=(DetectorRequest(given.detector),), suite=load_suite(given.suite),
        limit=given.images, device="cpu",
    )  # fmt: skip
    order = [*SIDES, BOTH]
    wall: dict[str, list[float]] = {name: [] for name in order}
    total: dict[str, list[float]] = {name: [] for name in order}
    most: dict[str, list[float]] = {name: [] for name in order}
    with ExitStack() as stack:
        sessions: dict[str, Session | None] = {
            name: stack.enter_context(connected(Local(n), Tls(), Silent())) if n else None
            for name, n in SIDES.items()
        }
        one = sessions["one worker"]
        assert one is not None
        prepared = prepare(request, Silent())
        sent = prepare(request, Silent(), elsewhere=machine(one, request))
        pool = stack.enter_context(ThreadPoolExecutor(1))
        executors: dict[str, Executor] = {
            name: Here(pool, Counts()) if s is None else Dispatcher(s, Silent(), Counts())
            for name, s in sessions.items()
        }
        for number in range(given.rounds + 1):
            for name in order[number % 5 :] + order[: number % 5]:
                used = ["one worker", "one worker again"] if name == BOTH else [name]
                before = [seconds for n in used for seconds in cpu(sessions[n])]
                start = time.perf_counter()
                if name == BOTH:
                    score_both([executors[n] for n in used], sent)
                else:
                    score(executors[name], prepared if name == "process" else sent)
                taken = time.perf_counter() - start
                after = [c for n in used for c in cpu(sessions[n])]
                each = [b - a for a, b in zip(before, after, strict=True)]
                if number:  # in the first round the workers load the detector
                    wall[name].append(taken)
                    total[name].append(sum(each))
                    most[name].append(max(each))
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(
        f"{len(sent.chunks)} chunks, {given.detector}, {given.suite}, {given.images} images, load {load}"
    )
    control = [a / b for a, b in zip(wall["one worker"], wall["one worker again"], strict=True)]
    cpu_control = min(total["one worker"]) / min(total["one worker again"])
    print(
        f"control, one worker over itself: {statistics.median(control):.2f} wall (rounds "
        f"{min(control):.2f} to {max(control):.2f}), {cpu_control:.2f} CPU"
    )
    both = [2 * a / b for a, b in zip(wall["one worker"], wall[BOTH], strict=True)]
    print(
        f"ceiling, twice one worker over two that share nothing: "
        f"{2 * min(wall['one worker']) / min(wall[BOTH]):.2f} wall (rounds {min(both):.2f} to "
        f"{max(both):.2f}, median {statistics.median(both):.2f}), "
        f"{2 * min(total['one worker']) / min(total[BOTH]):.2f} CPU"
    )
    for name in SIDES:
        ratios = [a / b for a, b in zip(wall["one worker"], wall[name], strict=True)]
        print(
            f"{name}: {min(wall[name]):.2f} s wall, {min(total[name]):.2f} s CPU, the busiest process "
            f"{min(most[name]):.2f} s; over the process {min(wall[name]) / min(wall['process']):.2f} wall, "
            f"{min(total[name]) / min(total['process']):.2f} CPU; one worker over it "
            f"{min(wall['one worker']) / min(wall[name]):.2f} wall (rounds {min(ratios):.2f} to "
            f"{max(ratios):.2f}, median {statistics.median(ratios):.2f}), "
            f"{min(total['one worker']) / min(most[name]):.2f} by the busiest process's CPU"
        )


if __name__ == "__main__":
    main()
