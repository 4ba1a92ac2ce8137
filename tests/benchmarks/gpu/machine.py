"""What the answers were had on. Nothing here wakes the device: processes still part from this one."""

from __future__ import annotations

import datetime
import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.store.provenance import git_state
from bench.version import __version__

_QUERY = ("name", "driver_version", "memory.total", "compute_cap")
_LIBRARIES = ("torch", "torchvision", "timm", "torchattacks", "dask-cuda", "numpy", "pillow")


def described(device: str) -> dict[str, Any]:
    """Device (``None`` where it is not there), driver, releases, cores, date and commit."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "device": gpu() if device == "cuda" else {"type": "cpu", "name": cpu()},
        "cores": len(os.sched_getaffinity(0)),
        "load": [round(value, 1) for value in os.getloadavg()],
        "cpu": cpu(),
        "python": platform.python_version(),
        "bench": __version__,
        "commit": git_state(),
        "releases": {name: _version(name) for name in _LIBRARIES},
    }


def gpu() -> dict[str, Any] | None:
    """The first GPU as the driver names it, where torch can use it too."""
    import torch

    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")  # asks without starting CUDA here
    if not torch.cuda.is_available():
        return None
    found: dict[str, Any] = {
        "type": "cuda",
        "count": torch.cuda.device_count(),
        "cuda": torch.version.cuda,
    }
    if shutil.which("nvidia-smi") is None:
        return {**found, "name": "a GPU without nvidia-smi"}
    command = ["nvidia-smi", f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader"]
    line = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    values = [value.strip() for value in line[0].split(",")] if line else []
    names = ("name", "driver", "memory", "compute capability")
    return {**found, **dict(zip(names, values, strict=False))}


def cpu() -> str:
    """The processor's model, where the system says it."""
    try:
        with Path("/proc/cpuinfo").open() as lines:
            named = [
                line.partition(":")[2].strip() for line in lines if line.startswith("model name")
            ]
    except OSError:
        named = []
    return named[0] if named else platform.processor()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
