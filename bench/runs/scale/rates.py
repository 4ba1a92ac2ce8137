"""What work costs: one rate a resource, each with where it was measured, or the word that it was not.

The figures are of this release on the machines of ``docs/performance.md``: two cores, and one GPU beside 16
slower ones. A rate that nobody measured is assumed, and says so wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bench.errors import BenchError

ASSUMED: Final = "ASSUMED"
GIVEN: Final = "as given"


@dataclass(frozen=True, slots=True)
class Rate:
    """One figure that a plan rests on.

    Attributes:
        value: The figure, positive.
        unit: What the value counts, as it is shown behind it.
        source: Where it was measured; begins with ``ASSUMED`` where it was not.
    """

    value: float
    unit: str
    source: str


_PAGE = "docs/performance.md"
_BOARDS = "tests.benchmarks.large_board"
_MACHINE = "two busy cores of AMD EPYC, CPU time"
# A network of ResNet-50's size at 224 px on one core, fp32, folded and channels last.
_CORE_RATE: Final = 9.37
# The same on an H100.
_GPU_RATE: Final = 2716.0

DEFAULTS: Final[Mapping[str, Rate]] = {
    "core_ms": Rate(
        5.092, "ms of a core an image and condition", f"{_PAGE}: 500 x 375 JPEG, `corruptions`"
    ),
    "lock_ms": Rate(
        0.247, "ms under Python's lock an image and condition", f"{_PAGE}: the same, resnet50"
    ),
    "task_ms": Rate(
        7.2,
        "ms of scheduler and client a task",
        f"400 empty tasks of 256 rows, local:1, {_MACHINE}",
    ),
    "unit_ms": Rate(
        0.07, "ms of scheduler and client a unit", f"39 units a task beside 1, {_MACHINE}"
    ),
    "write_ms": Rate(
        3.0,
        "ms to write a score shard",
        f"60 shards, {_MACHINE}; on the clock of a busy disk 14, on a network's more",
    ),
    "shard_bytes": Rate(3950.0, "bytes a shard, whatever it holds", "shards of 16 and 256 scores"),
    "score_bytes": Rate(6.9, "bytes a score in a shard", "shards of 16 and 256 scores"),
    "plan_image_bytes": Rate(
        350.0, "bytes of memory an image, index and plan", f"{_PAGE}: a million images"
    ),
    "plan_unit_bytes": Rate(200.0, "bytes of memory a unit, plan", "sizes of the objects"),
    "board_image_bytes": Rate(286.0, "bytes of memory an image, board in memory", _BOARDS),
    "board_score_bytes": Rate(23.0, "bytes of memory a score, board in memory", _BOARDS),
    "board_us": Rate(2.7, "µs of a core a score, board in memory", _BOARDS),
    "pass_mb": Rate(900.0, "MB of memory, board in passes", f"{_BOARDS}: 40 million images"),
    "pass_unit_bytes": Rate(
        100.0, "bytes of memory a unit, board in passes", "sizes of the objects"
    ),
    "pass_us": Rate(1.3, "µs of a core a score, board in passes", _BOARDS),
    "pass_clean_us": Rate(
        1.5, "µs of a core an image and detector besides, board in passes", _BOARDS
    ),
    "image_kb": Rate(110.0, "kB an image file", f"{ASSUMED}: a JPEG of 500 x 375"),
    "data_gbit": Rate(10.0, "Gbit a second from the images' store to all workers", ASSUMED),
    "memory_gb": Rate(64.0, "GB of memory where the client runs", ASSUMED),
}

# What differs where a worker has a GPU: the cores of the machine that one was measured in.
_BESIDE_GPU: Final[Mapping[str, Rate]] = {
    "core_ms": Rate(
        9.857, DEFAULTS["core_ms"].unit, f"{DEFAULTS['core_ms'].source}, 16 cores beside an H100"
    ),
    # Measured as a whole: sixteen threads that wait for each other lose more than the stages hold apart.
    "lock_ms": Rate(
        2.911, DEFAULTS["lock_ms"].unit, f"{_PAGE}: a whole run of resnet50 beside an H100"
    ),
}


@dataclass(frozen=True, slots=True)
class Rates:
    """All figures that a plan rests on.

    Attributes:
        forward: Forward passes a second of one worker, by detector.
        others: By name as in ``DEFAULTS``.
    """

    forward: Mapping[str, Rate]
    others: Mapping[str, Rate] = field(default_factory=lambda: dict(DEFAULTS))

    def __getitem__(self, name: str) -> float:
        return self.others[name].value

    @property
    def pass_seconds(self) -> float:
        """Seconds of one worker's device that one pass through each detector takes together."""
        return sum(1 / rate.value for rate in self.forward.values())

    def lines(self) -> list[dict[str, str]]:
        """Write one line a figure: its name, its value, where it comes from."""
        forward = {f"forward, {name}": rate for name, rate in self.forward.items()}
        return [
            {"rate": name, "value": f"{rate.value:g} {rate.unit}", "source": rate.source}
            for name, rate in (forward | dict(self.others)).items()
        ]


def rates_of(
    given: Mapping[str, float],
    detectors: int,
    *,
    gpu: bool,
    cores: int,
    figures: Mapping[str, float],
) -> Rates:
    """Put together what was stated and what was measured; what is neither is assumed.

    Args:
        given: Forward passes a second of one worker, by detector; ``""`` for each of ``detectors``.
        detectors: Number of detectors, where none is named.
        gpu: Whether a worker has a GPU.
        cores: Cores of a worker.
        figures: Other figures, by name as in ``DEFAULTS``.

    Raises:
        BenchError: Some rates name a detector and one does not, a figure is unknown or not positive.
    """
    if "" in given and len(given) > 1:
        raise BenchError(
            "--rate: name a detector with every rate, or give one rate for all detectors"
        )
    unit = "forward passes a second of a worker"
    if any(given):
        forward = {name: Rate(value, unit, GIVEN) for name, value in given.items()}
    else:
        if given:
            each = Rate(given[""], unit, GIVEN)
        elif gpu:
            each = Rate(_GPU_RATE, unit, f"{_PAGE}: resnet50 on an H100, fp32")
        else:
            measured = f"{_PAGE}: resnet50, {_CORE_RATE:g} of one core"
            each = Rate(_CORE_RATE * cores, unit, measured)
        forward = {f"detector {number}": each for number in range(1, detectors + 1)}
    others = dict(DEFAULTS) | (dict(_BESIDE_GPU) if gpu else {})
    for name, value in figures.items():
        if name not in others:
            raise BenchError(f"--figure {name}=...: choose one of {', '.join(others)}")
        if not 0 < value < float("inf"):
            raise BenchError(f"--figure {name}={value:g}: give a positive number")
        others[name] = Rate(value, others[name].unit, GIVEN)
    return Rates(forward, others)
