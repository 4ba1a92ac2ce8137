"""What a test's own process does to itself: it is killed at a moment of its choice."""

from __future__ import annotations

import os
import signal
from typing import Any

from bench.store.shards import Store


def kill_at_write(number: int) -> None:
    """Have this process killed once the store has written that many shards more; 0: never."""
    write, left = Store.write, [number]

    def dying(self: Store, *arguments: Any) -> None:
        write(self, *arguments)
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    Store.write = dying  # type: ignore[method-assign]
