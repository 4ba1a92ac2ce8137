"""What a person's, or a system's, wish to stop does: once in order, twice at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import FrameType
from typing import NoReturn

import typer

from bench.cli.output import say
from bench.errors import EXIT_INTERRUPTED, EXIT_TERMINATED
from bench.support.interruption import Interruption

# As it is before anybody else's code, or this module, replaces it.
_exit_now = os._exit


class _Terminated(BaseException):
    """The system asks this process to end."""


@contextmanager
def stoppable(kept: str) -> Iterator[None]:
    """Run long work that may be stopped: says what is kept, and ends with 130 or 143.

    A first Ctrl-C or SIGTERM ends the work in order; a second one ends the process at once, whatever
    threads still compute. What somebody's code prints meanwhile goes to stderr: stdout is for data.

    Args:
        kept: What to tell a person who has stopped it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals arrive elsewhere
        return
    stops: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        stops.append(number)
        if len(stops) > 1:
            _end_at_once(number)
        if number == signal.SIGTERM:
            raise _Terminated
        raise Interruption

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with redirect_stdout(sys.stderr), _no_silent_exit():
            yield
    except KeyboardInterrupt:
        say(f"interrupted: {kept}")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except _Terminated:
        say(f"terminated: {kept}")
        raise typer.Exit(EXIT_TERMINATED) from None
    finally:
        # After a stop the handlers stay: threads that still compute keep the interpreter from ending.
        if not stops or "pytest" in sys.modules:
            for number, handler in before.items():
                signal.signal(number, handler)


def _end_at_once(number: int) -> NoReturn:
    os.write(2, b"stopped at once\n")
    _exit_now(EXIT_TERMINATED if number == signal.SIGTERM else EXIT_INTERRUPTED)


@contextmanager
def _no_silent_exit() -> Iterator[None]:
    """Turn ``os._exit`` in somebody's code into an error of that code, in this process alone.

    A detector that ends the process would otherwise end it with its own code, and without a board.
    """
    process = os.getpid()

    def refuse(status: int) -> NoReturn:
        if os.getpid() != process:  # a fork of its own may end as it likes
            _exit_now(status)
        raise SystemExit(f"os._exit({status})")

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = _exit_now
