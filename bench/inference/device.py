"""Choosing a device, and making it repeat itself bit for bit."""

from __future__ import annotations

import os

import torch

from bench.errors import BenchError


def quiet_numerics(device: torch.device) -> None:
    """Make repeated runs bitwise equal: no TF32, no autotuned or non-deterministic kernels."""
    if device.type == "cuda":
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


def cpu_threads(device: torch.device) -> int:
    """Choose the number of CPU threads: as many as torch would take, or every core beside an accelerator."""
    return torch.get_num_threads() if device.type == "cpu" else os.cpu_count() or 1
