"""Python's share of an image: milliseconds of a core, and those under the interpreter's lock.

At 8,000 images a second there are 125 microseconds of lock for each, however many cores there are. The lock
is measured from outside: a thread that only counts gets on while the work does without the lock, so what it
lost against a companion that needs no lock (SHA-256 of a large buffer) is what the work held.
"""

from __future__ import annotations

import hashlib
import io
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from bench.datasets import DecodePolicy, decode
from bench.inference.batches import layout
from bench.inference.device import cpu_threads
from bench.inference.threads import slices
from bench.protocol.seeding import generator_for
from bench.protocol.suite import load_suite
from detectors.card import InputSpec
from detectors.fit import fit_image
from tests.benchmarks.gpu.setting import Figures, Setting, photograph

Work = Callable[[int], object]

_INPUT = InputSpec(size=224, fit="shortest-crop", interpolation="bilinear")
_BUFFER = bytes(1 << 18)
_TURN = (
    0.1  # seconds with a companion, then as many without: other programs come and go more slowly
)


def ask(setting: Setting) -> Iterator[Figures]:
    """Stage by stage, then the networks' own Python, then what all cores together make ready."""
    torch.set_num_threads(1)
    sys.setswitchinterval(1e-4)
    stages = stages_of_an_image()
    turns = max(2, int(setting.seconds / (4 * _TURN * len(stages))))
    for name, (share, work) in stages.items():
        yield {"stages": {name: {"times a condition": round(share, 4), **costs(work, turns)}}}
    for name in setting.networks:
        yield {"handing over a batch": {name: handing_over(setting, name)}}
    cores = cpu_threads(torch.device("cuda"))
    for threads in (1, 2, 4, 8, 16):
        if threads <= cores:
            ready = made_ready(stages, threads, max(1.0, setting.seconds / 40))
            yield {"conditions ready a second, by threads": {str(threads): round(ready, 1)}}


def stages_of_an_image() -> dict[str, tuple[float, Work]]:
    """What is done to one picture under the corruptions suite.

    Returns:
        By name: how often an average condition needs it, and the work itself.
    """
    stream = io.BytesIO()
    photograph(0).save(stream, "JPEG", quality=92)
    data, policy = stream.getvalue(), DecodePolicy()
    picture = decode(data, policy)
    canvas = fit_image(picture, _INPUT)
    conditions = load_suite("corruptions").parsed
    corruptions: dict[str, list[Work]] = {}
    for condition in conditions:
        for step in condition.before:
            corruptions.setdefault(step.name, []).append(
                lambda number, plugin=step.plugin: plugin(
                    picture, generator_for(0, "lock", str(number))
                )
            )
    corrupted = sum(len(works) for works in corruptions.values())
    (place,) = layout([canvas] * 8, 8)
    return {
        "decode": (1 / len(conditions), lambda _: decode(data, policy)),
        **{
            name: (len(works) / len(conditions), in_turn(works))
            for name, works in corruptions.items()
        },
        "compare": (corrupted / len(conditions), lambda _: np.array_equal(picture, picture)),
        "fit": (1.0, lambda _: fit_image(picture, _INPUT)),
        # A batch of eight in one call of eight.
        "fill": (1.0, lambda number: place.fill([canvas] * 8) if number % 8 == 0 else None),
    }


def in_turn(works: list[Work]) -> Work:
    """Do one after the other, call by call."""
    return lambda number: works[number % len(works)](number)


@dataclass
class Beside:
    """What came of some work beside a thread that counts, summed over turns.

    Attributes:
        calls: Made.
        wall: Seconds on the clock.
        cpu: Seconds the working thread computed.
        counted: How far the other thread got.
    """

    calls: int = 0
    wall: float = 0.0
    cpu: float = 0.0
    counted: int = 0

    def turn(self, work: Work) -> None:
        """Work for one turn, and at least for eight calls."""
        stop, total = threading.Event(), [0]

        def count() -> None:
            number = 0
            while not stop.is_set():
                number += 1
            total[0] = number

        counter = threading.Thread(target=count)
        counter.start()
        start, cpu, calls = time.perf_counter(), time.thread_time(), 0
        while time.perf_counter() < start + _TURN or calls % 8:
            work(calls)
            calls += 1
        self.wall += time.perf_counter() - start
        self.cpu += time.thread_time() - cpu
        self.calls += calls
        stop.set()
        counter.join()
        self.counted += total[0]


def costs(work: Work, turns: int) -> Figures:
    """Milliseconds of a core and of the lock a call."""
    work(0)
    free, mine = Beside(), Beside()
    for _ in range(turns):
        free.turn(lambda _: hashlib.sha256(_BUFFER))
        mine.turn(work)
    lost = max(0.0, 1 - (mine.counted / mine.wall) / (free.counted / free.wall))
    # A thread that is put aside while it holds the lock holds it longer: not its own doing.
    running = min(1.0, free.cpu / free.wall)
    own, held = mine.cpu / mine.calls, lost * running * mine.wall / mine.calls
    return {
        "ms of a core": round(1e3 * own, 4),
        "ms under the lock": round(1e3 * min(own, held), 4),
    }


class _Counting(TorchDispatchMode):
    """Counts the operators that reach the dispatcher."""

    def __init__(self) -> None:
        super().__init__()
        self.operators = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.operators += 1
        return func(*args, **(kwargs or {}))


def handing_over(setting: Setting, name: str) -> Figures:
    """What a thread does, under the lock, to hand a network's operations over for one batch.

    Measured where there is a GPU, without waiting for it; elsewhere the operators are counted and each
    taken for as long as one on a single element.
    """
    detector = setting.detector(name)
    detector.fold()
    side = detector.card.input.size or 224
    batch = torch.zeros(2, 3, side, side, device=setting.torch_device)
    with torch.inference_mode():
        with _Counting() as counted:
            detector.logits(batch)
        if setting.device == "cpu":
            each = cost_of_an_operator()
            return {
                "operators": counted.operators,
                "microseconds an operator": round(1e6 * each, 2),
                "ms": round(1e3 * each * counted.operators, 3),
            }
        taken = []
        for _ in range(20):
            setting.synchronise()
            start = time.perf_counter()
            detector.logits(batch)
            taken.append(time.perf_counter() - start)
    return {"operators": counted.operators, "ms": round(1e3 * min(taken), 3)}


def cost_of_an_operator() -> float:
    """Seconds of a small module's call, its kernel on four numbers included."""
    layers = [nn.BatchNorm2d(4), nn.ReLU()] * 50
    network = nn.Sequential(*layers).eval()
    image, taken = torch.zeros(1, 4, 1, 1), []
    for _ in range(20):
        start = time.thread_time()
        network(image)
        taken.append(time.thread_time() - start)
    return min(taken) / len(layers)


def made_ready(stages: dict[str, tuple[float, Work]], threads: int, seconds: float) -> float:
    """Images under conditions that so many threads make ready in a second, with no network beside them."""
    until = time.perf_counter() + seconds

    def work(part: range) -> float:
        done = 0
        for number in part:
            if time.perf_counter() > until:
                break
            # Thirteen conditions at a time, every stage as often as they need it.
            for share, do in stages.values():
                for turn in range(round(13 * share)):
                    do(8 * number + turn)
            done += 13
        return done

    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(work, slices(64 * threads * 8)))
    return done / (time.perf_counter() - start)
