"""State of the whole process that decides numbers, or who takes Ctrl-C: a test leaves it as it was."""

from __future__ import annotations

import locale
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from bench.cli import signals

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# What libraries read from the environment when they compute, and what bench itself reads.
_VARIABLES = (
    "ATEN_", "BENCH_", "CI", "CUBLAS_", "CUDA_", "GITHUB_", "GLIBC_", "HOME", "LANG", "LC_", "MALLOC_",
    "MKL_", "OMP_", "PATH", "TZ",
)  # fmt: skip
_PACKAGES = frozenset({"attacks", "bench", "corruptions", "detectors", "leaderboards"})


def read() -> dict[str, Any]:
    """Read the state, by its name in a message; what no library has been imported for is left out."""
    state: dict[str, Any] = {f"handler of {s.name}": signal.getsignal(s) for s in _SIGNALS}
    state |= {
        "working folder": os.getcwd(),  # noqa: PTH109  (a string, links unresolved)
        "environment": {k: v for k, v in os.environ.items() if k.startswith(_VARIABLES)},
        "locale": locale.setlocale(locale.LC_ALL),
        "os._exit": os._exit is signals._exit_now,
    }
    if torch := sys.modules.get("torch"):
        state |= {
            "torch's threads": torch.get_num_threads(),
            "torch's default dtype": torch.get_default_dtype(),
            "torch's gradient mode": torch.is_grad_enabled(),
            "torch's deterministic mode": torch.are_deterministic_algorithms_enabled(),
            "torch's matmul precision": torch.get_float32_matmul_precision(),
            "torch's flush of denormals": bool(torch.tensor(1e-39).mul(1.0) == 0),
        }
    return state


def own_modules() -> dict[str, ModuleType]:
    """Give the modules of our own packages that are imported; a second copy has other classes."""
    return {n: m for n, m in sys.modules.items() if n.partition(".")[0] in _PACKAGES}


@contextmanager
def unchanged(who: str, modules: Mapping[str, ModuleType] | None = None) -> Iterator[None]:
    """Make sure that a block leaves the state, and some modules, as they were.

    Raises:
        AssertionError: It does not; names what it has changed.
    """
    before, modules = read(), modules or {}
    yield
    after = read()
    changed = [
        f"{name} (from {value!r} to {after.get(name)!r})"
        for name, value in before.items()
        if after.get(name) != value
    ]
    changed += [
        f"module {name}" for name, module in modules.items() if sys.modules.get(name) is not module
    ]
    assert not changed, f"{who} leaves the process with another {', '.join(changed)}"
