"""Where bench keeps what it need not make twice."""

from __future__ import annotations

import os
from pathlib import Path


def default_cache_dir() -> Path:
    """Name the user's cache: ``$BENCH_CACHE``, ``$XDG_CACHE_HOME/bench`` or ``~/.cache/bench``."""
    if bench_cache := os.environ.get("BENCH_CACHE"):
        return Path(bench_cache).expanduser()
    if user_cache := os.environ.get("XDG_CACHE_HOME"):
        return Path(user_cache).expanduser() / "bench"
    return Path("~/.cache/bench").expanduser()
