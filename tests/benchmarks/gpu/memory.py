"""Peak memory of the device by batch, for scores and for gradients, and the largest batch that fits."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import torch

from attacks.fgsm import FGSM
from bench.inference.batches import Batch, auto_batch
from bench.inference.replicas import Replicas, scoring
from tests.benchmarks.gpu.scores import scored
from tests.benchmarks.gpu.setting import NETWORKS, Figures, Setting, canvases, folder

LARGEST = 4096


def ask(setting: Setting) -> Iterator[Figures]:
    """Double the batch until memory is out, then let a run choose."""
    networks = ("genimage-cnn",) if setting.small else NETWORKS
    for name in networks:
        for gradients in (False, True):
            size = 2
            while size <= (4 if setting.small else LARGEST):
                used = peak(setting, name, size, gradients=gradients)
                kind = "gradients" if gradients else "scores"
                yield {name: {kind: {str(size): "out of memory" if used is None else used}}}
                if used is None:
                    break
                size *= 2
    yield {"first tried by a run": auto_batch(224, setting.torch_device)}
    yield {"MiB kept after all": kept()}
    with folder() as root:
        done = scored(
            [networks[0]], ["pgd(eps=2/255,steps=1)"], root, device=setting.device, limit=4
        )
        yield {"a run under attack": sorted(set(done.statuses.values()))}


def peak(setting: Setting, name: str, size: int, *, gradients: bool) -> float | None:
    """MiB at the most while one batch is worked on, weights included; ``None`` where it did not fit."""
    detector = setting.detector(name)
    side = detector.card.input.size or 64
    if setting.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    rows = torch.arange(size).numpy()
    try:
        batch = Batch(rows, canvases(size, side), rows).tensor(setting.torch_device)
        if gradients:
            labels = torch.ones(size, dtype=torch.long, device=setting.torch_device)
            FGSM(eps=2 / 255)(detector.checked_logits, batch, labels, range(size))
        else:
            with scoring(setting.torch_device, "fp32"):
                Replicas(detector, setting.torch_device).score(batch)
        setting.synchronise()
    except torch.OutOfMemoryError:
        return None
    if setting.device == "cuda":
        return round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10, 1)


def kept() -> float:
    """MiB that torch still holds on the device."""
    return round(torch.cuda.memory_reserved() / 2**20, 1) if torch.cuda.is_available() else 0.0
