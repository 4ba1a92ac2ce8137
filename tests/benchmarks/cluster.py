"""One and two one-thread Dask workers on the same run, interleaved, one against one as control.

    python -m tests.benchmarks.cluster [--rounds 3] [--images 160] [--detector resnet50] [--suite S]

Three clusters of this machine stand side by side, two of them idle; every round scores all chunks into
an empty store. A ratio is only worth something where the control's range holds 1, and two workers need
two cores for themselves.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench.inference.detector import DetectorRequest
from bench.protocol.suite import load_suite
from bench.runs.cluster.connect import connected
from bench.runs.cluster.dispatch import Dispatcher, machine
from bench.runs.cluster.spec import Local
from bench.runs.prepare import prepare
from bench.runs.request import RunRequest, Tls
from bench.scoring.engine import Counts
from bench.scoring.outcomes import Scored
from bench.store import units as planning
from bench.store.shards import Store
from bench.support.progress import Silent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--chunk", type=int, default=16)
    parser.add_argument("--detector", default="resnet50")
    parser.add_argument("--suite", default="cross-generator")
    given = parser.parse_args()
    planning.CHUNK_IMAGES = given.chunk
    request = RunRequest(
        detectors=(DetectorRequest(given.detector),), suite=load_suite(given.suite),
        limit=given.images, device="cpu", batch_size=given.chunk,
    )  # fmt: skip
    sides = {"one worker": 1, "one worker again": 1, "two workers": 2}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    with ExitStack() as stack:
        sessions = {
            name: stack.enter_context(connected(Local(n), Tls(), Silent()))
            for name, n in sides.items()
        }
        any_of = sessions["one worker"]
        prepared = prepare(request, Silent(), elsewhere=machine(any_of, request))
        plan = prepared.plan()
        todo = [(chunk, plan.by_chunk[chunk.index]) for chunk in plan.chunks]
        senders = {name: Dispatcher(s, Silent(), Counts()) for name, s in sessions.items()}
        for number in range(given.rounds + 1):
            names = list(sides)
            for name in names[number % 3 :] + names[: number % 3]:
                with tempfile.TemporaryDirectory() as temporary:
                    store = Store(Path(temporary))
                    start = time.perf_counter()
                    for outcome in senders[name].outcomes(prepared, todo, lambda _: False):
                        assert isinstance(outcome, Scored)
                        store.write(outcome.unit.fingerprint, outcome.scores)
                    if number:  # in the first round the workers load the detector
                        seconds[name].append(time.perf_counter() - start)
    print(
        f"{len(plan.units)} units in {len(plan.chunks)} chunks, {given.detector}, {given.images} images"
    )
    for name, taken in seconds.items():
        ratios = [a / b for a, b in zip(seconds["one worker"], taken, strict=True)]
        print(
            f"{name}: {statistics.median(taken):.2f} s, least {min(taken):.2f} s, "
            f"{statistics.median(ratios):.2f}x one worker ({min(ratios):.2f} to {max(ratios):.2f}, "
            f"{given.rounds} rounds; of the least times {min(seconds['one worker']) / min(taken):.2f}x)"
        )


if __name__ == "__main__":
    main()
