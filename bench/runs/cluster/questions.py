"""What every worker of a session is asked before it scores, and how its answers come back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from bench.errors import BenchError
from bench.runs.cluster.connect import Session
from bench.runs.cluster.work import differs, machine_of
from bench.runs.prepare import Machine
from bench.runs.request import RunRequest

# Workers that may die on the same work before it is to blame; one may always be taken by something else.
MOST_WORKER_DEATHS = 3


class WorkerDiedError(BenchError):
    """A worker died on what it was asked."""


def machine(session: Session, request: RunRequest) -> Machine:
    """Describe the machine that all workers are alike; fingerprints are made of it.

    Raises:
        BenchError: Where two differ, or one has no bench or no such device.
    """
    sent = portable(request)
    machines = on_each(session, lambda address: (machine_of, sent, address))
    first: Machine = machines[0]
    for other in machines[1:]:
        if difference := differs(first.environment, other.environment):
            raise BenchError(
                f"worker {other.name} differs from {first.name}: {difference}; run all workers "
                "with the same installation on the same kind of machine"
            )
    return first


def portable(request: RunRequest) -> RunRequest:
    """Make the paths to detectors and weights absolute: workers run in other folders."""
    return dataclasses.replace(request, detectors=tuple(d.absolute() for d in request.detectors))


def on_each(session: Session, job: Callable[[str], tuple[Any, ...]]) -> list[Any]:
    """Run a job once on every worker that is there, in the thread that tasks run in.

    Args:
        session: Client and workers.
        job: From the address of a worker to a function and its arguments.
    """
    for _ in range(MOST_WORKER_DEATHS - 1):
        try:
            return once_on_each(session, job)
        except WorkerDiedError:
            continue  # a machine may have been taken away
    return once_on_each(session, job)


def once_on_each(session: Session, job: Callable[[str], tuple[Any, ...]]) -> list[Any]:
    """Run a job on every worker that is there.

    Raises:
        WorkerDiedError: A worker died on it.
        BenchError: It failed otherwise.
    """
    submit = session.client.submit
    # Another worker may take it up: should this one die meanwhile, nobody waits for ever.
    futures = [
        submit(*job(address), workers=[address], allow_other_workers=True, pure=False)
        for address in sorted(session.workers())
    ]
    return [result_of(future) for future in futures]


def result_of(future: Any) -> Any:
    """Wait for an answer.

    Raises:
        WorkerDiedError: Workers died on the question.
        BenchError: It failed otherwise; says how in one sentence.
    """
    from distributed import KilledWorker  # noqa: PLC0415

    try:
        return future.result()
    except BenchError:
        raise
    except KilledWorker as error:
        raise WorkerDiedError(
            "workers die as soon as they are asked: see what the workers themselves print"
        ) from error
    except ImportError as error:
        raise BenchError(
            f"a worker cannot import bench ({error}): install the same version on every machine"
        ) from error
    except Exception as error:  # whatever a foreign machine comes up with
        text = " ".join(str(error).split())[:300]
        raise BenchError(f"a worker failed: {type(error).__name__}: {text}") from error
