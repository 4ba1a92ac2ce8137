"""The parent's side of a detector's own process: start it, ask it, notice when it dies or takes too long."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from bench.errors import BenchError
from bench.runs.cluster.task import InseparableError
from bench.runs.isolation.child import Message
from bench.scoring.outcomes import BatchTooLargeError
from bench.support.plain import one_line

_LOOK_S = 0.5  # between two looks whether a silent process still lives
_START_S = 300.0  # to import everything
_TAIL = 4000  # bytes kept of what it prints
# Processes that are kept with their detectors loaded; each is some 300 MB before its weights.
_MOST_ALIVE = 4
CAN_ISOLATE = sys.platform != "win32"
_PROGRAM = (
    "import sys; sys.path[:] = {path!r}; "
    "from bench.runs.isolation.child import serve; serve({descriptor})"
)


class ChildError(RuntimeError):
    """A detector's own process failed on what it was asked; it may live on."""


class ChildDiedError(ChildError):
    """A detector's own process is gone, by itself or because it took too long."""


class Child:
    """One process that answers questions about one detector.

    Args:
        timeout: Seconds that each answer, or each item of one, may take; None waits for ever.
    """

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        ours, theirs = socket.socketpair()
        with theirs:
            program = _PROGRAM.format(path=sys.path, descriptor=theirs.fileno())
            self._process = subprocess.Popen(  # noqa: S603  (our own program)
                [sys.executable, "-c", program],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                # Ctrl-C is the parent's; and what it starts itself can be ended with it.
                start_new_session=True,
            )
        self._connection = Connection(ours.detach())
        self._printed = b""
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()
        self._receive(_START_S)

    def stream(self, question: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
        """Ask for items, and give each as it comes.

        Raises:
            ChildDiedError: The process died or took too long.
            ChildError: The question failed, and the process lives on.
            BatchTooLargeError: The device's memory does not hold a batch.
            BenchError: What the question itself refuses.
        """
        message = self._ask(question, arguments)
        while message.kind == "item":
            yield message.content
            message = self._receive(self._timeout)
        self._end(message)

    def call(self, question: Callable[..., Any], *arguments: Any) -> Any:
        """Ask for one answer; raises as :meth:`stream`."""
        return self._end(self._ask(question, arguments))

    def kill(self) -> None:
        """End the process and all that it has started."""
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with contextlib.suppress(OSError):
            self._connection.close()

    def _ask(self, question: Callable[..., Any], arguments: tuple[Any, ...]) -> Message:
        try:
            self._connection.send((question, arguments))
        except (OSError, ValueError) as error:
            raise self._died() from error
        return self._receive(self._timeout)

    def _end(self, message: Message) -> Any:
        match message.kind:
            case "end":
                return message.content
            case "too large":
                raise BatchTooLargeError(message.content)
            case "inseparable":
                raise InseparableError
            case "refused" if isinstance(message.content, BenchError):
                raise message.content
            case _:
                raise ChildError(str(message.content))

    def _receive(self, seconds: float | None) -> Message:
        """Wait for a message, as long as the process lives and has time."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self._connection.poll(_LOOK_S):
            # What it has started may still hold the other end.
            if self._process.poll() is not None and not self._connection.poll(0):
                raise self._died()
            if end is not None and time.monotonic() > end:
                self.kill()
                raise ChildDiedError(f"took longer than {seconds:g} s (--timeout)")
        try:
            message = self._connection.recv()
        except Exception as error:  # cut off, or no message of ours
            raise self._died() from error
        if not isinstance(message, Message):
            raise self._died()
        return message

    def _died(self) -> ChildDiedError:
        self.kill()
        self._reader.join(1.0)
        code = self._process.returncode
        how = f"exit code {code}"
        if code < 0:
            names = {number.value: number.name for number in signal.Signals}
            how = names.get(-code, f"signal {-code}")
        if -code == signal.SIGKILL:
            how += ", perhaps for lack of memory"
        words = self._printed.decode(errors="replace").strip().splitlines()
        last = f"; its last words: {one_line(words[-1])[:200]}" if words else ""
        return ChildDiedError(f"its process ended with {how}{last}")

    def _drain(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        with contextlib.suppress(OSError, ValueError):
            while data := os.read(stream.fileno(), 1 << 16):
                self._printed = (self._printed + data)[-_TAIL:]


class Children:
    """The processes of a run's detectors, by name; a few live at a time.

    One thread starts them all and lives as long as they may: a process that dies with its parent dies, on
    Linux, with the thread that started it.
    """

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._starter = ThreadPoolExecutor(1, "starts-detectors")
        self._children: OrderedDict[str, Child] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all of the processes; none can be started any more."""
        while self._children:
            self._children.popitem()[1].kill()
        self._starter.shutdown()

    def of(self, name: str) -> Child:
        """Give the process of a detector; a new one where there is none.

        Raises:
            BenchError: The system has no such processes.
        """
        if not CAN_ISOLATE:
            raise BenchError("--isolate needs a POSIX system: leave it and --timeout out here")
        if name not in self._children:
            while len(self._children) >= _MOST_ALIVE:
                self._children.popitem(last=False)[1].kill()
            self._children[name] = self._starter.submit(Child, self._timeout).result()
        self._children.move_to_end(name)
        return self._children[name]

    def drop(self, name: str) -> None:
        """End a detector's process: the next question to it begins a new one."""
        if child := self._children.pop(name, None):
            child.kill()
