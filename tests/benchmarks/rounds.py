"""Sides timed in interleaved rounds, with one side as its own control: a busy machine slows all alike."""

from __future__ import annotations

import gc
import os
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Side = Callable[[], object]


@dataclass
class Timed:
    """Seconds of one side, a value a round."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def cpu_seconds() -> float:
    """Of this process, its threads, and the children it has waited for."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def interleaved(sides: dict[str, Side], rounds: int, *, control: str = "") -> dict[str, Timed]:
    """Every side once a round, the order turned each round; ``control`` runs a second time."""
    work = dict(sides) | ({f"{control} again": sides[control]} if control else {})
    names, found = list(work), {name: Timed() for name in work}
    for side in sides.values():
        side()  # imports, caches, first calls
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            gc.collect()
            wall, cpu = time.perf_counter(), cpu_seconds()
            work[name]()
            found[name].wall.append(time.perf_counter() - wall)
            found[name].cpu.append(cpu_seconds() - cpu)
    return found


def ratio(title: str, found: dict[str, Timed], above: str, below: str) -> None:
    """One line: ``above`` over ``below``, by the best wall and CPU seconds, and the range of the rounds."""
    a, b = found[above], found[below]
    each = [x / y for x, y in zip(a.cpu, b.cpu, strict=True)]
    print(
        f"{title}: {above} / {below}: wall {min(a.wall) / min(b.wall):.3f} "
        f"({min(a.wall):.2f} s / {min(b.wall):.2f} s), CPU {min(a.cpu) / min(b.cpu):.3f}, "
        f"median of CPU ratios {statistics.median(each):.3f} ({min(each):.3f} to {max(each):.3f}, "
        f"{len(each)} rounds)",
        flush=True,
    )


def told(found: dict[str, Timed]) -> str:
    """The best seconds of each side in one line."""
    return "; ".join(
        f"{n} {min(t.wall):.2f} s wall, {min(t.cpu):.2f} s CPU" for n, t in found.items()
    )


def machine() -> str:
    """What the figures were taken on."""
    import torch

    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} CPUs, torch {torch.__version__}, {torch.get_num_threads()} threads, load {load}"
