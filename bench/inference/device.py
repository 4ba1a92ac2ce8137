"""Choosing a device, and making it repeat itself bit for bit."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from bench.errors import BenchError


def quiet_numerics(device: torch.device) -> None:
    """Make repeated runs bitwise equal: no TF32, no autotuned or non-deterministic kernels.

    With TF32 a GPU would round the inputs of every convolution and matrix product to 10 bits without a word.
    """
    if device.type == "cuda":
        # Read when cuBLAS is first used; without it, the same product may be summed in another order.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True


def pick_device(name: str) -> torch.device:
    """Look up a device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        BenchError: If there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise BenchError(f"no device called {name!r}: choose auto, cpu or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise BenchError(f"device {name!r} is not supported: choose auto, cpu or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BenchError(
            f"no device {name!r} here, {torch.cuda.device_count()} CUDA devices are seen: "
            "choose --device cpu or auto"
        )
    return device


def device_name(device: torch.device) -> str:
    """Name the device as fingerprints do: the GPU's model, or the CPU's vector instructions."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu {torch.backends.cpu.get_cpu_capability()}"


def has_bf16_units(device: torch.device) -> bool:
    """Tell whether a device multiplies in bf16 itself; others make it of fp32, and gain nothing.

    Of a CPU Linux says so (x86: ``avx512_bf16``, ``amx_bf16``; ARM: ``bf16``); elsewhere there are none.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    try:
        said = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    lines = (line for line in said.splitlines() if line.startswith(("flags", "Features")))
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(next(lines, "").split())


def cpu_threads(device: torch.device) -> int:
    """Choose the number of CPU threads: torch's own number, or beside an accelerator every core.

    Only cores that this process may use count: a job on a shared machine is often given a few of many.
    """
    if device.type == "cpu":
        return torch.get_num_threads()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
