"""Does the GPU give the CPU's scores? Largest difference of a logit, of an AUC, and verdicts that differ."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from tests.benchmarks.gpu.scores import ATTACKED, CORRUPTED, Scores, fooled, scored
from tests.benchmarks.gpu.setting import NETWORKS, TRAINED, Figures, Setting, folder


def ask(setting: Setting) -> Iterator[Figures]:
    """Compare detector by detector; those that ship with weights first."""
    assert setting.torch_device.type == setting.device  # and the arithmetic is a run's
    yield {
        "tf32": {
            "matmul": torch.backends.cuda.matmul.allow_tf32,
            "convolutions": torch.backends.cudnn.allow_tf32 if setting.device == "cuda" else False,
        }
    }
    names = TRAINED[:1] if setting.small else (*TRAINED, *NETWORKS)
    conditions = [*CORRUPTED[:1], *ATTACKED[:1]] if setting.small else [*CORRUPTED, *ATTACKED]
    for name in names:
        # A large network with random weights takes a CPU long, and its verdicts mean nothing.
        limit, chosen = (8, [*CORRUPTED]) if name in NETWORKS else (64, conditions)
        with folder() as root:
            options = {"limit": 2 if setting.small else limit}
            cpu = scored([name], chosen, root / "cpu", device="cpu", **options)
            here = scored([name], chosen, root / "here", device=setting.device, **options)
            yield {name: compared(cpu, here, name)}


def compared(cpu: Scores, here: Scores, name: str) -> Figures:
    """One line a condition."""
    figures = {}
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
        figures[condition] = line
    return figures
