"""Images a second of the networks alone, on canvases that are on the device already."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from bench.errors import BenchError
from bench.inference.batches import Batch, auto_batch
from bench.inference.replicas import Replicas, scoring
from detectors.base import Detector
from tests.benchmarks.gpu.setting import NETWORKS, Figures, Setting, canvases

# Precision, whether batch normalisation is folded and memory channels last, whether compiled.
MODES = {
    "fp32, plain": ("fp32", False, False),
    "fp32, folded and channels last": ("fp32", True, False),
    "bf16, plain": ("bf16", False, False),
    "bf16, folded and channels last": ("bf16", True, False),
    "fp32, compiled": ("fp32", True, True),
    "bf16, compiled": ("bf16", True, True),
}


def ask(setting: Setting) -> Iterator[Figures]:
    """Every network in every mode; compiled ones last, since a compiler may take long."""
    if setting.device == "cpu":
        torch.set_num_threads(1)
    size = 2 if setting.small else auto_batch(224, setting.torch_device)
    yield {"batch": size, "clock": "CPU seconds of one thread" if setting.small else "wall"}
    for compiled in (False, True):
        for name in NETWORKS:
            for mode, (precision, folds, compiles) in MODES.items():
                if compiles == compiled and not (
                    setting.small and (compiled or precision == "bf16")
                ):
                    detector = setting.detector(name)
                    if not folds or detector.fold():
                        yield {name: {mode: measured(setting, detector, size, precision, compiles)}}


def measured(
    setting: Setting, detector: Detector, size: int, precision: str, compiles: bool
) -> float | str:
    """Images a second, or why there are none."""
    rows = np.arange(size)
    batch = Batch(rows, canvases(size), rows).tensor(setting.torch_device)
    replicas = Replicas(detector, setting.torch_device)
    try:
        if compiles:
            replicas.compile(batch, precision)
        with scoring(setting.torch_device, precision):
            seconds = 0.0 if setting.small else setting.seconds / 60
            return round(setting.rate(lambda: replicas.score(batch), size, seconds), 2)
    except (BenchError, torch.OutOfMemoryError) as error:
        return str(error)[:200]
