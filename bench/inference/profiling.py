"""Where the time of a run goes, stage by stage."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

Stage = Literal["decode", "corrupt", "fit", "attack", "forward", "store"]
STAGES: tuple[Stage, ...] = ("decode", "corrupt", "fit", "attack", "forward", "store")


@dataclass(frozen=True, slots=True)
class Profile:
    """The times of a finished run, stage by stage.

    Attributes:
        unit: ``CPU`` seconds of all threads, or ``wall`` seconds where an accelerator does the work.
        stages: Seconds in each of ``STAGES``: reading and decoding; corruptions; geometry and tensors;
            searching for perturbations, gradients included; networks scoring; writing scores.
        other: Seconds of the whole that are in none: planning, the board, the engine itself. Helper
            threads of a detector that only one thread at a time may run count here too.
        whole: Seconds in all, in the same unit.
        wall: Seconds on the clock.
        cores: CPU threads that worked.
    """

    unit: Literal["CPU", "wall"]
    stages: dict[str, float]
    other: float
    whole: float
    wall: float
    cores: int

    @property
    def forward_share(self) -> float | None:
        """Part of the whole spent in networks that score; ``None`` where nothing was scored."""
        spent = self.stages["forward"]
        return spent / self.whole if spent and self.whole else None


@dataclass(slots=True)
class Stopwatch:
    """A stopwatch that adds up the time of each stage, over all threads.

    Attributes:
        device: ``cpu`` counts CPU seconds of the threads, which other programs on the machine do not
            lengthen; on an accelerator ``forward`` and ``attack`` are seconds the clock shows.
    """

    device: str = "cpu"
    _spent: dict[Stage, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _began: float = field(default_factory=time.perf_counter)
    _cpu: float = field(default_factory=time.process_time)

    def add(self, stage: Stage, seconds: float) -> None:
        """Add some seconds to a stage."""
        with self._lock:
            self._spent[stage] = self._spent.get(stage, 0.0) + seconds

    @contextmanager
    def time(self, stage: Stage) -> Iterator[None]:
        """Add the time that the block takes to a stage."""
        clock = self.clock
        start = clock()
        try:
            yield
        finally:
            self.add(stage, clock() - start)

    def clock(self) -> float:
        """Read the clock of the calling thread, in seconds."""
        return time.thread_time() if self.device == "cpu" else time.perf_counter()

    def read(self, cores: int) -> Profile:
        """Give the times until now.

        Args:
            cores: CPU threads that worked.
        """
        wall = time.perf_counter() - self._began
        cpu = self.device == "cpu"
        whole = time.process_time() - self._cpu if cpu else wall
        stages: dict[str, float] = {stage: self._spent.get(stage, 0.0) for stage in STAGES}
        # Beside an accelerator the stages overlap, so only its own are part of the clock's time.
        inside = sum(stages.values()) if cpu else stages["forward"] + stages["attack"]
        other = max(0.0, whole - inside)
        return Profile("CPU" if cpu else "wall", stages, other, whole, wall, cores)
