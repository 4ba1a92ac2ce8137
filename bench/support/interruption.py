"""A person's Ctrl-C, told apart from a ``KeyboardInterrupt`` that somebody's code raises by itself."""

from __future__ import annotations

import signal
import threading


class Interruption(KeyboardInterrupt):
    """A person asked for an end: raised by our own handlers of the signal, and by nothing else."""


def is_ctrl_c(error: BaseException) -> bool:
    """Tell whether a person interrupted, as far as that can be known.

    Signals arrive in the main thread alone. Where the handler is Python's own, as in a notebook, nothing
    tells a person's interruption from a program's, and it is taken for a person's.
    """
    if not isinstance(error, KeyboardInterrupt):
        return False
    if threading.current_thread() is not threading.main_thread():
        return False
    plain = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return plain or isinstance(error, Interruption)
