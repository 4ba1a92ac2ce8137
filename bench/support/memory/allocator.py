"""Large blocks stay in the process: the C library then hands the same pages out again, cleared by nobody.

By default glibc maps every block above a threshold anew and gives it back when it is freed, so that each
tensor of a network costs the system a page fault every 4 KiB.
"""

from __future__ import annotations

import ctypes
import os

# Blocks above it are mapped and unmapped one by one; the largest that every release of glibc takes.
_MAPPED = 32 << 20
# Memory at the end of the heap that is kept rather than given back, and what a growing heap takes more.
_KEPT, _AHEAD = 256 << 20, 16 << 20
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3

WORKER_ENVIRONMENT = {
    "MALLOC_TRIM_THRESHOLD_": str(_KEPT),
    "MALLOC_MMAP_THRESHOLD_": str(_MAPPED),
}
"""Both thresholds, for a process that is started: Dask sets that of trimming alone, and small, which
freezes the other one at 128 KiB."""


def keep_large_blocks() -> bool:
    """Raise glibc's thresholds of mapping and of trimming in this process; repeating it changes nothing.

    Left alone where the environment has ``MALLOC_MMAP_THRESHOLD_`` or ``GLIBC_TUNABLES``: whoever set
    them has chosen.

    Returns:
        Whether the thresholds are raised; false too where the C library is not glibc.
    """
    if {"MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"} & set(os.environ):
        return False
    try:
        if not (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc"):
            return False
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, ValueError):
        return False
    wanted = ((_MMAP_THRESHOLD, _MAPPED), (_TRIM_THRESHOLD, _KEPT), (_TOP_PAD, _AHEAD))
    return all(mallopt(option, value) for option, value in wanted)
