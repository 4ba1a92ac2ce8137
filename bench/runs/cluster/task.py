"""What travels between the client and its workers: the run, a task, and what came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from bench.runs.request import RunRequest
from bench.runs.settled import Settled
from bench.scoring.outcomes import Failed, Scored
from bench.store.units import Unit
from bench.support.objects.place import Place


@dataclass(frozen=True, slots=True)
class Context:
    """The part that all tasks of one run share; it travels with each of them, a few kilobytes.

    Attributes:
        run: Id of the run: a worker keeps the detectors of one run.
        request: Request of the run, with absolute paths.
        root: Folder or URL of the images; ``None`` for the embedded set, which every installation has.
        environment: Environment that all workers must have.
        identities: By detector label: a digest over all that decides its logits.
        codes: By condition: parameters of its steps, and digests over their code.
        settled: Batch sizes and thresholds as they are when the task is sent.
        broken: By detector label: why its code fails, so that no worker runs it again.
        threads: CPU threads; ``None`` leaves it to the worker.
        costs: By condition: forward passes of one image.
    """

    run: str
    request: RunRequest
    root: Place | None
    environment: Mapping[str, Any]
    identities: Mapping[str, str]
    codes: Mapping[str, str]
    settled: Settled
    broken: Mapping[str, str] = field(default_factory=dict)
    threads: int | None = None
    costs: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """Units of one chunk, or of a part of it, whose images are decoded once.

    Attributes:
        index: Position of the chunk in the plan.
        table: Rows of the manifest that are in the chunk, or in the part.
        units: Units to score.
        role: ``whole`` chunk; ``rows``, some whole batches of it; or ``probes``, those of its attacks.
        part: Position among the parts of the chunk; probes come last.
        parts: Parts that hold the rows of the chunk.
        apart: Whether the worker scores them in a process of their own; they are of one detector then.
        deaths: Workers that have died on these units.
        insists: Whether units are tried that their worker has given up before.
    """

    index: int
    table: pa.Table
    units: tuple[Unit, ...]
    role: Literal["whole", "rows", "probes"] = "whole"
    part: int = 0
    parts: int = 1
    apart: bool = False
    deaths: int = 0
    insists: bool = False

    @property
    def place(self) -> str:
        """The images of the task, for a sentence."""
        ids = self.table["sample_id"]
        return f"on the images {ids[0].as_py()} to {ids[-1].as_py()}"

    def of(self, units: tuple[Unit, ...]) -> Task:
        """Give the same task for some of its units."""
        return dataclasses.replace(self, units=units)


@dataclass(frozen=True, slots=True)
class TaskResult:
    """The outcomes of a task, and the work that they took.

    Attributes:
        outcomes: One outcome a unit; fewer where memory ran out, or a detector's own process died too often.
        decoded: Images decoded.
        scored: Canvases sent through a network.
        too_large: The detector whose batch did not fit the device's memory, or "".
        inseparable: Whether the part holds an image that cannot be decoded: it takes no place in a
            batch, so only the whole chunk tells which batches there are. Nothing is scored then.
        remarks: What the worker has to say of a detector's own process that ended.
    """

    outcomes: tuple[Scored | Failed, ...]
    decoded: int
    scored: int
    too_large: str = ""
    inseparable: bool = False
    remarks: tuple[str, ...] = ()


class InseparableError(RuntimeError):
    """An image of a part cannot be decoded."""
