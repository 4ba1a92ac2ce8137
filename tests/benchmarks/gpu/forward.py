"""Images a second of the networks alone, on canvases that are on the device already."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from bench.errors import BenchError
from bench.inference.batches import Batch, auto_batch
from bench.inference.replicas import Replicas, scoring
from tests.benchmarks.gpu.setting import Figures, Setting, canvases

# Precision, and whether batch normalisation is folded and memory channels last.
MODES = {
    "fp32, plain": ("fp32", False),
    "bf16, plain": ("bf16", False),
    "fp32, folded and channels last": ("fp32", True),
    "bf16, folded and channels last": ("bf16", True),
}


def ask(setting: Setting) -> Iterator[Figures]:
    """Every network in every mode; the plain ones first, since a folded network stays folded."""
    size = batch_size(setting)
    yield {"batch": size, "clock": "CPU seconds of one thread" if setting.small else "wall"}
    for name in setting.networks:
        detector = setting.detector(name)
        for mode, (precision, folds) in MODES.items():
            if folds and not detector.fold():
                yield {name: {mode: "cannot be folded"}}
            elif not (setting.small and precision == "bf16"):
                replicas = Replicas(detector, setting.torch_device)
                yield {name: {mode: measured(setting, replicas, size, precision)}}


def batch_size(setting: Setting) -> int:
    """What a run tries first; as little as there is where one thread of a CPU does it."""
    if setting.device == "cpu":
        torch.set_num_threads(1)
    return 2 if setting.small else auto_batch(224, setting.torch_device)


def measured(
    setting: Setting, replicas: Replicas, size: int, precision: str, *, compiles: bool = False
) -> float | str:
    """Images a second, or why there are none."""
    rows = np.arange(size)
    side = replicas.card.input.size or 32
    batch = Batch(rows, canvases(size, side), rows).tensor(setting.torch_device)
    try:
        if compiles:
            replicas.compile(batch, precision)
        with scoring(setting.torch_device, precision):
            rate = setting.rate(lambda: replicas.score(batch), size, setting.seconds / 60)
            return round(rate, 2)
    except (BenchError, torch.OutOfMemoryError) as error:
        return str(error)[:200]
