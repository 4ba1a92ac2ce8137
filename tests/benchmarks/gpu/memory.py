"""Peak memory of the device by batch, for scores and for gradients, and the largest batch that fits."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator

import numpy as np
import torch

from attacks.fgsm import FGSM
from bench.inference.batches import Batch, auto_batch
from bench.inference.replicas import Replicas, scoring
from detectors.base import Detector
from tests.benchmarks.gpu.setting import NETWORKS, Figures, Setting, canvases

SIZES = (32, 64, 128, 256, 512, 1024, 2048)


def ask(setting: Setting) -> Iterator[Figures]:
    """Double the batch until memory is out, then let a run choose."""
    networks = ("genimage-cnn",) if setting.small else NETWORKS
    sizes = (2, 4) if setting.small else SIZES
    for name in networks:
        detector = setting.detector(name)
        for kind, work in (("scores", score), ("gradients", attack)):
            for size in sizes:
                used = peak(setting, detector, size, work)
                yield {name: {kind: {str(size): "out of memory" if used is None else used}}}
                if used is None:
                    break
    yield {"first tried by a run": auto_batch(224, setting.torch_device)}
    yield {"MiB held after all": held()}


def score(setting: Setting, detector: Detector, batch: torch.Tensor) -> None:
    """Score one batch as a run does."""
    with scoring(setting.torch_device, "fp32"):
        Replicas(detector, setting.torch_device).score(batch)


def attack(setting: Setting, detector: Detector, batch: torch.Tensor) -> None:
    """Take one gradient as a run does."""
    labels = torch.ones(len(batch), dtype=torch.long, device=setting.torch_device)
    FGSM(eps=2 / 255)(detector.checked_logits, batch, labels, range(len(batch)))


def peak(
    setting: Setting,
    detector: Detector,
    size: int,
    work: Callable[[Setting, Detector, torch.Tensor], None],
) -> float | None:
    """MiB at the most while one batch is worked on, weights included; ``None`` where it did not fit."""
    side = detector.card.input.size or 64
    if setting.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    rows = np.arange(size)
    try:
        batch = Batch(rows, canvases(size, side), rows).tensor(setting.torch_device)
        work(setting, detector, batch)
        setting.synchronise()
    except torch.OutOfMemoryError:
        return None
    if setting.device == "cuda":
        return round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10, 1)


def held() -> float:
    """MiB that torch still keeps on the device."""
    return round(torch.cuda.memory_reserved() / 2**20, 1) if torch.cuda.is_available() else 0.0
