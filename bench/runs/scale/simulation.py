"""A run on many workers: how long every resource is busy, on paper, and how long it takes, simulated.

Two things take turns in the client's process: tasks are sent and their results received (client and Dask's
scheduler, which share that process but where an address is given), and shards are written. Workers do one
task at a time, and each has one more waiting. All tasks draw on one store of images.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bench.results.streamed.scope import disk_bytes
from bench.runs.scale.counts import Counts, Kind, Load, count
from bench.runs.scale.rates import Rates

# Tasks in flight for each thread, as the client keeps them: one, and one that waits.
_WINDOW = 2
# Whole chunks that are simulated one by one; beyond these every further one takes as long as the last.
_MOST = 20_000
# Windows of tasks that pass before they follow each other evenly.
_ROUNDS = 10


# What takes turns in the client's process.
_CLIENT = ("sending tasks", "writing shards")


class Cost(NamedTuple):
    """Seconds that one task takes of each resource.

    Attributes:
        device: Of its worker's device.
        cores: Of its worker's cores, all of them together.
        lock: Of its worker's process, which only one thread may use at a time.
        data: Of the way from the images' store to all workers.
        scheduler: Of client and scheduler.
        writing: Of the client, to write shards.
    """

    device: float
    cores: float
    lock: float
    data: float
    scheduler: float
    writing: float

    def times(self, number: float) -> Cost:
        """Give the cost of several such tasks."""
        return Cost(*(number * seconds for seconds in self))


@dataclass(frozen=True, slots=True)
class Worker:
    """What every worker is.

    Attributes:
        gpu: Whether networks run beside the cores, on a GPU, rather than on them.
        cores: Cores that decode and corrupt.
    """

    gpu: bool = True
    cores: int = 16

    def seconds(self, cost: Cost) -> float:
        """Give the seconds from a task's first image to its last score, with nothing to wait for."""
        if self.gpu:
            return max(cost.device, cost.cores, cost.lock)
        return cost.device + cost.cores


class BoardNeed(NamedTuple):
    """What it takes to make the board.

    Attributes:
        in_passes: Whether it is made in passes over files, and not in memory.
        memory: Bytes of memory of the process that makes it.
        disk: Bytes under TMPDIR.
        hours: Hours of a core.
    """

    in_passes: bool
    memory: float
    disk: float
    hours: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """One line of a plan.

    Attributes:
        load: Images, detectors and conditions, and the workers that score them.
        counts: Chunks, tasks, units and scores that follow from the load.
        busy: Share of the clock that each resource is needed for, were the busiest never idle; by name.
        hours: Clock hours that no schedule can go below.
        simulated: Clock hours of the simulated run; ``None`` where none was asked for.
        device_hours: Hours of all devices together.
        feeds: Workers that one client can keep busy.
        store_bytes: Size of the store.
        plan_bytes: Memory of the client that holds index and plan.
        board: What the board takes.
        beyond: What does not suffice: need over what there is, by name, the largest first, each above 1.
            Of the client's and the data's seconds, what there is is the time that the workers take.
    """

    load: Load
    counts: Counts
    busy: Mapping[str, float]
    hours: float
    simulated: float | None
    device_hours: float
    feeds: float
    store_bytes: float
    plan_bytes: float
    board: BoardNeed
    beyond: Mapping[str, float]

    @property
    def clock(self) -> float:
        """Clock hours: simulated where that was asked for, else the bound."""
        return self.hours if self.simulated is None else self.simulated

    @property
    def held_by(self) -> str:
        """The resource that the run waits for."""
        client = sum(self.busy[name] for name in _CLIENT)
        others = {name: share for name, share in self.busy.items() if name not in _CLIENT}
        most = max(others, key=others.__getitem__)
        return most if others[most] >= client else max(_CLIENT, key=self.busy.__getitem__)

    def share(self, resource: str) -> float:
        """Share of the clock in which a resource is busy."""
        return self.busy[resource] * self.hours / self.clock


def scenario(load: Load, worker: Worker, rates: Rates, *, simulate: bool) -> Scenario:
    """Plan one run on some number of workers.

    Args:
        load: The run and the number of workers.
        worker: What each of them is.
        rates: What work costs.
        simulate: Whether to simulate the clock beside the bounds.
    """
    counts = count(load)
    costs = {kind: cost_of(kind, load, worker, rates) for kind in counts.kinds}
    whole = Cost(*map(sum, zip(*(costs[k].times(n) for k, n in counts.kinds.items()), strict=True)))
    seconds = _demands(whole, load.workers, worker)
    bound = max(*seconds.values(), whole.scheduler + whole.writing)
    body = costs[counts.body[0]] if counts.body[1] else whole
    plan = load.images * rates["plan_image_bytes"] + counts.units * rates["plan_unit_bytes"]
    board = board_need(load, counts, rates)
    memory = 1e9 * rates["memory_gb"]
    workers = max(seconds["devices"], seconds["cores"], seconds["Python's lock"])
    client = max(_CLIENT, key=seconds.__getitem__)
    ratios = {
        "memory of the plan": plan / memory,
        "memory of the board": board.memory / memory,
        "reading images": seconds["reading images"] / workers,
        f"the client ({client})": (whole.scheduler + whole.writing) / workers,
    }
    broken = sorted(((r, name) for name, r in ratios.items() if r > 1), reverse=True)
    return Scenario(
        load=load,
        counts=counts,
        busy={name: value / bound for name, value in seconds.items()},
        hours=bound / 3600,
        simulated=_simulated(counts, costs, load.workers, worker) / 3600 if simulate else None,
        device_hours=whole.device / 3600,
        feeds=worker.seconds(body) / (body.scheduler + body.writing),
        store_bytes=counts.units * rates["shard_bytes"] + counts.scores * rates["score_bytes"],
        plan_bytes=plan,
        board=board,
        beyond={name: ratio for ratio, name in broken},
    )


def board_need(load: Load, counts: Counts, rates: Rates) -> BoardNeed:
    """Say what the board of a run takes, made as `bench board` would make it."""
    if load.board_in_passes:
        columns = load.images * load.detectors
        return BoardNeed(
            True,
            1e6 * rates["pass_mb"] + counts.units * rates["pass_unit_bytes"],
            disk_bytes(load.images, load.detectors, load.conditions),
            (counts.scores * rates["pass_us"] + columns * rates["pass_clean_us"]) / 3.6e9,
        )
    memory = load.images * rates["board_image_bytes"] + counts.scores * rates["board_score_bytes"]
    return BoardNeed(False, memory, 0.0, counts.scores * rates["board_us"] / 3.6e9)


def _demands(whole: Cost, workers: int, worker: Worker) -> dict[str, float]:
    """Give the seconds that each resource needs for everything, all of its kind at work."""
    both = whole.device + whole.cores  # without a GPU the cores are the device
    return {
        "devices": (whole.device if worker.gpu else both) / workers,
        "cores": (whole.cores if worker.gpu else both) / workers,
        "Python's lock": whole.lock / workers,
        "reading images": whole.data,
        "sending tasks": whole.scheduler,
        "writing shards": whole.writing,
    }


def cost_of(kind: Kind, load: Load, worker: Worker, rates: Rates) -> Cost:
    """Say what one task takes of each resource."""
    made = kind.rows * kind.conditions  # canvases, for all detectors of one geometry
    device = kind.rows * kind.passes * rates.pass_seconds / load.detectors
    return Cost(
        device=device,
        cores=made * rates["core_ms"] / 1e3 / worker.cores,
        lock=made * rates["lock_ms"] / 1e3 if worker.gpu else 0.0,
        data=kind.rows * rates["image_kb"] * 8e3 / (rates["data_gbit"] * 1e9),
        scheduler=(rates["task_ms"] + kind.units * rates["unit_ms"]) / 1e3,
        writing=kind.files * rates["write_ms"] / 1e3,
    )


def _simulated(counts: Counts, costs: Mapping[Kind, Cost], workers: int, worker: Worker) -> float:
    """Give the seconds of a whole run; past some thousands of equal tasks at the pace of the last of them."""
    kind, number = counts.body
    tail = [costs[k] for k in counts.tail]
    most = max(_MOST, _ROUNDS * _WINDOW * workers)
    if number <= most + workers:
        body = itertools.repeat(costs[kind], number) if number else ()
        return clock(itertools.chain(body, tail), workers, worker)
    # Whole rounds of all workers apart, from each other and from the whole, so that the ends are alike.
    step = most // 2 // workers * workers
    first = number % workers + step
    ends = [
        clock(itertools.chain(itertools.repeat(costs[kind], n), tail), workers, worker)
        for n in (first, first + step)
    ]
    return ends[0] + (number - first) * (ends[1] - ends[0]) / step


def clock(tasks: Iterable[Cost], workers: int, worker: Worker) -> float:
    """Simulate a run task by task; gives the seconds until its last shard is written.

    The client sends a window of tasks. As a result comes, the next task is sent before the shards of this
    one are written; the worker that is free first takes it.

    Args:
        tasks: What each takes, in the order in which they are sent.
        workers: Number of workers.
        worker: What each of them is.
    """
    free = [0.0] * workers  # when each worker is free
    running: list[tuple[float, int, Cost]] = []  # end, number, cost
    client = data = 0.0
    waiting = enumerate(tasks)

    def send(number: int, cost: Cost) -> None:
        nonlocal client, data
        client += cost.scheduler
        start = max(client, free[0])
        data = max(data, start) + cost.data
        end = max(start + worker.seconds(cost), data)
        heapq.heapreplace(free, end)
        heapq.heappush(running, (end, number, cost))

    for number, cost in itertools.islice(waiting, _WINDOW * workers):
        send(number, cost)
    while running:
        end, _, cost = heapq.heappop(running)
        client = max(client, end)
        following = next(waiting, None)
        if following is not None:
            send(*following)
        client += cost.writing
    return client
