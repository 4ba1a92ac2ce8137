"""Detectors in processes of their own on a worker: such a process dies or hangs, and the worker lives on."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections import defaultdict
from dataclasses import dataclass, field

from bench.runs.cluster.breaker import MOST_DEATHS
from bench.runs.cluster.task import Context, InseparableError, Task, TaskResult
from bench.runs.cluster.work import check_machine, score
from bench.runs.isolation import child as inside
from bench.runs.isolation.detectors import Isolation, about
from bench.runs.isolation.executor import Scoring
from bench.runs.isolation.process import CAN_ISOLATE, ChildDiedError, ChildError, Children
from bench.scoring.engine import Counts
from bench.scoring.outcomes import BatchTooLargeError, Failed, Scored
from bench.support.progress import Silent


class _Remarks(Silent):
    """A listener that keeps what is said, for the client to say."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def note(self, text: str) -> None:
        """Keep a remark for the client."""
        self.kept.append(text)

    def take(self) -> tuple[str, ...]:
        """Give what was said since the last call."""
        kept, self.kept = self.kept, []
        return tuple(kept)


@dataclass(frozen=True, slots=True)
class _Here:
    """The processes that a thread of this worker has for the detectors of one run.

    Attributes:
        isolation: Keeper of the processes.
        remarks: What is said of them.
        refused: By label: conditions that are not tried here unless the client insists.
    """

    isolation: Isolation
    remarks: _Remarks
    refused: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


# By thread: a process answers one question at a time.
_here: dict[int, _Here] = {}


def release() -> None:
    """End the processes of all detectors on this worker."""
    while _here:
        _here.popitem()[1].isolation.children.close()


def score_apart(context: Context, task: Task) -> TaskResult:
    """Score the units of one detector in a process of its own, started anew where it dies.

    After three deaths in a row, with nothing scored between them, what is left has no outcome, and this
    worker tries it again only where the task insists.

    Args:
        context: The run that the task is part of.
        task: Units of one chunk and one detector.

    Raises:
        BenchError: If this machine may not score for the run, or an image changed since it was indexed.
    """
    if not (CAN_ISOLATE or context.request.isolated):
        return score(context, task)
    worker = check_machine(context, f"on {os.uname().nodename}")
    (label,) = {unit.detector for unit in task.units}
    here = _processes(context)
    deaths, refused = here.isolation.deaths, here.refused[label]
    if task.insists:
        refused -= {unit.condition for unit in task.units}
    units = tuple(unit for unit in task.units if unit.condition not in refused)
    if not units:
        return TaskResult((), 0, 0)
    own = dataclasses.replace(
        context, run=f"{context.run}-{label}", identities={label: context.identities[label]}
    )
    deaths[label] = 0
    _load(here.isolation, label, own, worker)
    counts, outcomes = Counts(), list[Scored | Failed]()
    scoring = Scoring(
        here.isolation, counts, label, own, context.costs, skip=lambda _: False, decides=False
    )
    too_large, inseparable = "", False
    try:
        for outcome in scoring.outcomes(task.of(units)):
            outcomes.append(outcome)
    except InseparableError:
        inseparable = True
    except BatchTooLargeError as error:
        too_large = error.detector
    if deaths[label] >= MOST_DEATHS:
        scored = {outcome.unit.condition for outcome in outcomes if isinstance(outcome, Scored)}
        refused |= {unit.condition for unit in units} - scored
    return TaskResult(
        tuple(outcomes), counts.decoded, counts.scored, too_large, inseparable, here.remarks.take()
    )


def _processes(context: Context) -> _Here:
    """Give the processes of the calling thread; those of another run end."""
    here = _here.get(threading.get_ident())
    if here is None or here.isolation.run != context.run:
        if here is not None:
            here.isolation.children.close()
        remarks = _Remarks()
        children = Children(context.request.timeout)
        here = _Here(Isolation(children, remarks, run=context.run), remarks)
        _here[threading.get_ident()] = here
    return here


def _load(isolation: Isolation, label: str, context: Context, worker: str) -> None:
    """Have the detector built before it is asked: where a machine may not score, no cell is to blame.

    Raises:
        BenchError: If this machine may not score for the run.
    """
    try:
        isolation.children.of(label).call(inside.load, context, worker)
    except ChildDiedError as death:
        isolation.children.drop(label)
        isolation.deaths[label] += 1
        isolation.progress.note(f"{label}: while it was built {worker}, {about(death)}")
    except ChildError:
        pass  # its cells say so
