"""When Python looks for reference cycles: not while a command starts, nor later in what it started with.

Imports and new networks are a million objects that stay. Looking through them again and again for cycles
takes a quarter of a small run, and finds next to nothing.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# New objects between two looks; Python's own number is 700.
_MANY: Final = 1_000_000

_lock = threading.Lock()
_usual: list[tuple[int, int, int]] = []
_started: list[None] = []


@contextmanager
def seldom(*, lasting: bool = False) -> Iterator[None]:
    """Hardly look for cycles inside; for imports and for building, where what is made stays.

    Blocks may lie in each other and overlap in threads: the thresholds of before the first come back after
    the last. A collector that is switched off stays so.

    Args:
        lasting: What is made inside stays until the process ends, and soon: it is not looked through
            afterwards either. In a process that goes on, garbage among it would stay too.
    """
    with _lock:
        usual = _usual[-1] if _usual else gc.get_threshold()
        _usual.append(usual)
        if usual[0]:  # 0 switches it off
            gc.set_threshold(_MANY, *usual[1:])
    try:
        yield
    finally:
        with _lock:
            usual = _usual.pop()
            if not _usual:
                if lasting or _started:
                    _age()
                gc.set_threshold(*usual)


@contextmanager
def started() -> Iterator[None]:
    """Leave out of the search, inside, whatever there is at the beginning; for a process's main work."""
    with _lock:
        _started.append(None)
        gc.freeze()
    try:
        yield
    finally:
        with _lock:
            _started.pop()
            if not _started:
                gc.unfreeze()


def _age() -> None:
    """Make all objects old without a look at them: at once, the next look would be at every new one."""
    if _started:
        gc.freeze()
    elif not gc.get_freeze_count():  # somebody else's frozen objects stay frozen
        gc.freeze()
        gc.unfreeze()
