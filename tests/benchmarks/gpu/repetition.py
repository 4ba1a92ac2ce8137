"""Does the same command give the same bytes twice, and if not, which operation is to blame?

Also whether an image's logit depends on its place in the batch and on its neighbours: only where it does
not could images of several conditions share a batch without a resumed run changing its bits.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Iterator

import numpy as np
import torch

from bench.inference.batches import Batch
from tests.benchmarks.gpu.scores import ATTACKED, CORRUPTED, Scores, scored
from tests.benchmarks.gpu.setting import (
    NETWORKS,
    TRAINED,
    Figures,
    Setting,
    canvases,
    folder,
)


def ask(setting: Setting) -> Iterator[Figures]:
    """As a run is; with the operations named that torch knows to vary; where bytes differ, without those."""
    names = list(TRAINED[:1]) if setting.small else [*TRAINED, NETWORKS[0]]
    limit = 2
    conditions = [ATTACKED[0]] if setting.small else [CORRUPTED[0], *ATTACKED]

    def twice() -> tuple[Scores, Scores]:
        with folder() as root:
            first, second = (
                scored(names, conditions, root / turn, device=setting.device, limit=limit)
                for turn in ("first", "second")
            )
            return first, second

    start = time.perf_counter()
    as_it_is = differences(*twice())
    yield {"as a run is": as_it_is, "seconds of both runs": round(time.perf_counter() - start, 1)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.use_deterministic_algorithms(True, warn_only=True)
        with folder() as root:
            scored(names, conditions, root, device=setting.device, limit=limit)
    yield {"operations to blame": sorted({blamed(str(w.message)) for w in caught} - {""})}
    if not as_it_is["boards equal"] and not setting.small:
        torch.use_deterministic_algorithms(True)
        yield {"with deterministic algorithms": differences(*twice())}
    torch.use_deterministic_algorithms(False)
    for name in NETWORKS[:1] if setting.small else NETWORKS:
        yield {"logits that move with their place in the batch": {name: movers(setting, name)}}


def differences(first: Scores, second: Scores) -> Figures:
    """Whether the boards have the same bytes, and the cells whose logits differ."""
    return {
        "boards equal": first.board == second.board,
        "cells": len(first.logits),
        "cells that differ": {
            f"{detector} under {condition}": float(
                np.nanmax(np.abs(logits - second.logits[detector, condition]))
            )
            for (detector, condition), logits in first.logits.items()
            if logits.tobytes() != second.logits[detector, condition].tobytes()
        },
        "cells without scores": [
            f"{detector} under {condition}: {status}"
            for (detector, condition), status in first.statuses.items()
            if status in ("failed", "not attackable")
        ],
    }


def blamed(warning: str) -> str:
    """The operation that a warning of torch's says is not deterministic; "" where it says something else."""
    if "deterministic" not in warning:
        return ""
    named = re.match(r"(\S+) does not have a deterministic implementation", warning)
    return named.group(1) if named else warning.split(".", maxsplit=1)[0][:120]


def movers(setting: Setting, name: str) -> str:
    """Images of a batch whose logit changes when the batch is turned by one, of how many."""
    detector, size = setting.detector(name), 4 if setting.small else 128
    rows = np.arange(size)
    images = canvases(size)

    def logits(order: np.ndarray) -> np.ndarray:
        batch = Batch(rows, images[order], rows).tensor(setting.torch_device)
        with torch.inference_mode():
            return detector.checked_logits(batch).cpu().numpy()

    plain, turned = logits(rows), logits(np.roll(rows, 1))
    return f"{int((np.roll(plain, 1) != turned).sum())} of {size}"
