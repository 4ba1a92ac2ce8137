"""Where work runs: many threads with a core each, and one lane for what may not run beside itself.

On a CPU, a thread a core with a batch of its own is quicker than one batch spread over all cores: nothing
waits for the slowest part of every layer. The results are the same bits for any number of threads. NumPy's
BLAS computes on the thread that calls it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from threadpoolctl import threadpool_limits

T = TypeVar("T")
R = TypeVar("R")

# Images a task takes: fewer cost more in handing over than in work, more leave threads idle at the end.
SLICE = 8


class StoppedError(RuntimeError):
    """The run is being given up; what is still queued need not be done."""


class Lanes:
    """A pool whose tasks compute on one thread each, and a single thread that has all cores.

    Attributes:
        threads: Cores for the single lane.
    """

    def __init__(self, pool: Executor, threads: int) -> None:
        self.threads = threads
        self._pool = pool
        self._single: ThreadPoolExecutor | None = None
        self._stop = threading.Event()
        self._known = threading.local()
        self._before = torch.get_num_threads()
        # NumPy's BLAS would spread each small product over all cores, where its threads go on spinning
        # when they are done, beside the threads of these lanes; and how it spreads them can show in a bit.
        self._blas = threadpool_limits(1, user_api="blas")

    def submit(self, do: Callable[[T], R], item: T, *, alone: bool = False) -> Future[R]:
        """Do one thing soon; ``alone`` means never beside another that is alone."""
        if not alone:
            return self._pool.submit(self._run, do, item, 1, self._stop)
        if self._single is None:
            self._single = ThreadPoolExecutor(1, "bench-single")
        return self._single.submit(self._run, do, item, self.threads, self._stop)

    def each(self, do: Callable[[T], R], items: Iterable[T], *, alone: bool = False) -> list[R]:
        """Do it for every item; results in order.

        Raises:
            Exception: The first failure in the order of the items, once all are done.
        """
        return gathered([self.submit(do, item, alone=alone) for item in items])

    def close(self) -> None:
        """Let what is queued fail at once, and give torch and BLAS back the numbers of threads they had."""
        self._stop.set()
        self._stop = threading.Event()
        if self._single is not None:
            self._single.shutdown()
            self._single = None
        torch.set_num_threads(self._before)
        self._blas.restore_original_limits()

    def _run(self, do: Callable[[T], R], item: T, threads: int, stop: threading.Event) -> R:
        if stop.is_set():
            raise StoppedError
        # Each thread has a number of its own; setting it is what makes a replica a one-thread one.
        if getattr(self._known, "threads", None) != threads:
            torch.set_num_threads(threads)
            self._known.threads = threads
        return do(item)


def gathered(futures: Sequence[Future[R]]) -> list[R]:
    """Every result in order, or the first failure once all are done."""
    failures = [future.exception() for future in futures]
    for failure in failures:
        if failure is not None:
            raise failure
    return [future.result() for future in futures]


def slices(count: int, size: int = SLICE) -> list[range]:
    """Positions ``0..count`` in runs of ``size``."""
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def plainly(do: Callable[[Any], R], items: Iterable[Any]) -> list[R]:
    """One after the other, in the calling thread."""
    return [do(item) for item in items]
