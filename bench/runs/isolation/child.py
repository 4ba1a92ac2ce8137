"""What runs in a detector's own process: it answers questions until its parent is gone."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from bench.errors import BenchError
from bench.inference.foreign import Foreign, border
from bench.runs.cluster.task import Context, InseparableError, Task
from bench.runs.cluster.work import loaded_run, stream
from bench.scoring.engine import Counts
from bench.scoring.outcomes import BatchTooLargeError, Failed, Scored
from detectors.base import Detector
from detectors.card import DetectorCard
from detectors.errors import described
from detectors.identity.values import Identity

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


class Description(NamedTuple):
    """What the parent must know of a detector that it never loads."""

    card: DetectorCard
    identity: Identity
    foreign: bool
    broken: str


class Message(NamedTuple):
    """What a child says: an item or the end of an answer, or an error of a kind."""

    kind: str
    content: Any


def describe(context: Context, label: str) -> Description:
    """Load one detector, and say what decides its logits."""
    prepared = loaded_run(context, "here").prepared
    detector = prepared.detectors[label]
    identity = Identity(prepared.identities[label], tuple(prepared.unknown.get(label, ())))
    broken = prepared.broken.get(label, "")
    return Description(detector.card, identity, isinstance(detector, Foreign), broken)


def ask(context: Context, label: str, question: Callable[..., Any], *arguments: Any) -> Any:
    """Put a question to a detector of this process."""
    detector: Detector = loaded_run(context, "here").prepared.detectors[label]
    return question(detector, *arguments)


def load(context: Context, worker: str = "here") -> None:
    """Load what a context needs, so that scoring can begin at once.

    Args:
        context: The run, and the detector that this process is for.
        worker: What messages call this machine.
    """
    loaded_run(context, worker)


def score(context: Context, task: Task) -> Iterator[Scored | Failed | Counts]:
    """Score the units of a task, one after the other; the last item counts the work."""
    counts = Counts()
    yield from stream(context, task, counts, "here")
    yield counts


def serve(descriptor: int) -> None:
    """Answer the parent's questions one by one, until it hangs up."""
    _die_with_parent()
    _bound_memory()
    # Nobody's Ctrl-C arrives here: a KeyboardInterrupt is an error of the detector's own.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A handle of its own: foreign code that closes everything it can find closes the first.
    connection = Connection(os.dup(descriptor))
    os.set_inheritable(connection.fileno(), False)
    connection.send(Message("ready", None))
    while True:
        try:
            question, arguments = connection.recv()
        except (EOFError, OSError):
            os._exit(0)
        for message in _answer(question, arguments):
            connection.send(message)


def _answer(question: Callable[..., Any], arguments: tuple[Any, ...]) -> Iterator[Message]:
    try:
        with border("the detector's code"):
            result = question(*arguments)
            if isinstance(result, Iterator):
                for item in result:
                    yield Message("item", item)
                result = None
    except BatchTooLargeError as error:
        yield Message("too large", error.detector)
    except InseparableError:
        yield Message("inseparable", None)
    except BenchError as error:
        yield Message("refused", error)
    except BaseException as error:  # whatever it is, it is about this detector alone
        yield Message("failed", described(error))
    else:
        yield Message("end", result)


def _die_with_parent() -> None:
    """Ask the system to kill this process when its parent dies, where it can."""
    with contextlib.suppress(Exception):
        import ctypes  # noqa: PLC0415

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def _bound_memory() -> None:
    """Be the first to go where memory runs out, and on a CPU fail before that."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
        return  # a driver maps far more than it uses
    with contextlib.suppress(Exception):
        import resource  # noqa: PLC0415  (not everywhere)

        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (free, hard))
