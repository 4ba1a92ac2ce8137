"""Python's share of an image: milliseconds of a core, and those under the interpreter's lock.

At 8,000 images a second there are 125 microseconds of lock for each, however many cores there are. The lock
is measured from outside: a thread that only counts gets on while the work does without the lock, so what it
lost against a companion that needs no lock (SHA-256 of a large buffer) is what the work held.
"""

from __future__ import annotations

import hashlib
import io
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from bench.datasets import DecodePolicy, decode
from bench.inference.batches import layout
from bench.inference.device import cpu_threads
from bench.inference.threads import slices
from bench.protocol.seeding import generator_for
from bench.protocol.suite import load_suite
from detectors.card import InputSpec
from detectors.fit import fit_image
from tests.benchmarks.gpu.setting import NETWORKS, Figures, Setting, photograph

_INPUT = InputSpec(size=224, fit="shortest-crop", interpolation="bilinear")
_BUFFER = bytes(1 << 20)


def ask(setting: Setting) -> Iterator[Figures]:
    """Stage by stage, then the networks' own Python, then what all cores together make ready."""
    torch.set_num_threads(1)
    sys.setswitchinterval(1e-4)
    seconds, rounds = (0.15, 1) if setting.small else (setting.seconds / 200, 3)
    stages = work_of_an_image()
    for name, do in stages.items():
        yield {"stages": {name: costs(do, seconds, rounds)}}
    for name in NETWORKS[:1] if setting.small else NETWORKS:
        yield {"milliseconds of Python a batch": {name: round(launching(setting, name), 2)}}
    cores = cpu_threads(torch.device("cuda"))
    for threads in (1, 2, 4, 8, 16):
        if threads <= cores and not (setting.small and threads > 2):
            ready = made_ready(list(stages.values()), threads, setting.seconds / 40)
            yield {"conditions ready a second, by threads": {str(threads): round(ready, 1)}}


def work_of_an_image() -> dict[str, Callable[[int], object]]:
    """What is done to one picture: decoded once, then corrupted, fitted and put in a batch a condition."""
    stream = io.BytesIO()
    photograph(0).save(stream, "JPEG", quality=92)
    data, policy = stream.getvalue(), DecodePolicy()
    picture = decode(data, policy)
    canvas = fit_image(picture, _INPUT)
    stages: dict[str, Callable[[int], object]] = {"decode": lambda _: decode(data, policy)}
    for condition in load_suite("corruptions").parsed:
        for step in condition.before:
            stages[str(condition)] = lambda number, plugin=step.plugin: plugin(
                picture, generator_for(0, "lock", str(number))
            )
    (place,) = layout([canvas] * 8, 8)
    stages["compare"] = lambda _: np.array_equal(picture, picture)
    stages["fit"] = lambda _: fit_image(picture, _INPUT)
    # Eight images at a time: one in eight calls does the work of eight.
    stages["fill"] = lambda number: place.fill([canvas] * 8) if number % 8 == 0 else None
    return stages


def costs(do: Callable[[int], object], seconds: float, rounds: int) -> Figures:
    """Milliseconds of a core and of the lock, the median of several rounds."""
    do(0)
    cpu, held = [], []
    for _ in range(rounds):
        free = beside_counting(lambda _: hashlib.sha256(_BUFFER), seconds)
        mine = beside_counting(do, seconds)
        cpu.append(mine.cpu / mine.calls)
        held.append(max(0.0, 1 - mine.counted / free.counted) * mine.wall / mine.calls)
    # Nothing holds the lock longer than it computes: what is above that is the other thread's turn.
    own = statistics.median(cpu)
    return {
        "ms of a core": round(1e3 * own, 4),
        "ms under the lock": round(1e3 * min(own, statistics.median(held)), 4),
    }


class Beside:
    """One round: calls made, seconds they took, and how far the counting thread got in a second."""

    def __init__(self, calls: int, wall: float, cpu: float, counted: float) -> None:
        self.calls, self.wall, self.cpu, self.counted = calls, wall, cpu, counted


def beside_counting(do: Callable[[int], object], seconds: float) -> Beside:
    """Call for so many seconds beside a thread that counts."""
    stop, total = threading.Event(), [0]

    def count() -> None:
        number = 0
        while not stop.is_set():
            number += 1
        total[0] = number

    counter = threading.Thread(target=count)
    counter.start()
    start, cpu, calls = time.perf_counter(), time.thread_time(), 0
    while time.perf_counter() < start + seconds or calls % 8:
        do(calls)
        calls += 1
    wall, cpu = time.perf_counter() - start, time.thread_time() - cpu
    stop.set()
    counter.join()
    return Beside(calls, wall, cpu, total[0] / wall)


def launching(setting: Setting, name: str) -> float:
    """Milliseconds in which a thread hands a network's operations over, without waiting for any.

    On a CPU the network is one without data (torch's ``meta`` device), which runs the same Python.
    """
    device = torch.device("meta" if setting.device == "cpu" else setting.device)
    detector = setting.detector(name).to(device)
    batch = torch.zeros(2, 3, 224, 224, device=device)
    taken = []
    with torch.inference_mode():
        for _ in range(4 if setting.small else 20):
            setting.synchronise()
            start = time.thread_time()
            detector.logits(batch)
            taken.append(time.thread_time() - start)
    return 1e3 * min(taken)


def made_ready(stages: list[Callable[[int], object]], threads: int, seconds: float) -> float:
    """Images under conditions that so many threads make ready in a second, with no network beside them."""
    decode_one, *corruptions, compare, fit, fill = stages
    until = time.perf_counter() + seconds

    def work(part: range) -> int:
        done = 0
        for number in part:
            if time.perf_counter() > until:
                break
            decode_one(number)
            for corruption in corruptions:
                corruption(number)
                compare(number)
                fit(number)
                fill(number)
                done += 1
        return done

    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(work, slices(100_000)[: 64 * threads]))
    return done / (time.perf_counter() - start)
