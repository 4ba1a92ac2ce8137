"""Does the GPU give the CPU's scores? Largest difference of a logit, of an AUC, and verdicts that differ."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from tests.benchmarks.gpu.scores import ATTACKED, CORRUPTED, Scores, fooled, scored
from tests.benchmarks.gpu.setting import NETWORKS, TRAINED, Figures, Setting, folder


def ask(setting: Setting) -> Iterator[Figures]:
    """Compare the detectors that ship with weights, then large networks."""
    assert setting.torch_device.type == setting.device  # and the arithmetic is a run's
    yield {
        "tf32": {
            "matmul": torch.backends.cuda.matmul.allow_tf32,
            "convolutions": torch.backends.cudnn.allow_tf32 if setting.device == "cuda" else False,
        }
    }
    groups: list[tuple[list[str], list[str], int]] = [
        ([*TRAINED], [*CORRUPTED, *ATTACKED], 32),
        # A large network with random weights takes a CPU long, and its verdicts mean nothing.
        ([*NETWORKS], [*CORRUPTED[:1]], 8),
    ]
    if setting.small:
        groups = [([*TRAINED[:1]], [*CORRUPTED[:1], *ATTACKED[:1]], 2)]
    for names, conditions, limit in groups:
        with folder() as root:
            start = time.perf_counter()
            cpu = scored(names, conditions, root / "cpu", device="cpu", limit=limit)
            middle = time.perf_counter()
            here = scored(names, conditions, root / "here", device=setting.device, limit=limit)
            end = time.perf_counter()
        yield {
            "seconds": {
                f"{limit} images, {len(names)} detectors": {
                    "cpu": round(middle - start, 1), setting.device: round(end - middle, 1),
                }
            }
        }  # fmt: skip
        yield compared(cpu, here)


def compared(cpu: Scores, here: Scores) -> Figures:
    """One line a detector and condition."""
    figures: dict[str, dict[str, Any]] = {}
    for (detector, condition), logits in here.logits.items():
        theirs = cpu.logits[detector, condition]
        line = {
            "n": len(logits),
            "largest logit difference": float(np.nanmax(np.abs(logits - theirs))),
            "largest logit": float(np.nanmax(np.abs(theirs))),
            "auc difference": abs(here.auc[detector, condition] - cpu.auc[detector, condition]),
            "status": here.statuses[detector, condition],
        }
        if condition in ATTACKED:
            differ = fooled(here, detector, condition) != fooled(cpu, detector, condition)
            line["successes that differ"] = int(differ.sum())
        else:
            line["verdicts that differ"] = int(((logits > 0) != (theirs > 0)).sum())
        figures.setdefault(detector, {})[condition] = line
    return figures
