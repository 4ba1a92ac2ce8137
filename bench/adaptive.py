"""Attacks that know what happens to the picture afterwards: corruptions inside the logit function.

Corruptions have no gradient, so the backward pass takes each for the identity (straight through; the
backward-pass differentiable approximation of Athalye et al. 2018, section 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from attacks.base import LogitFn
from bench.seeding import generator_for
from corruptions.base import Corruption

if TYPE_CHECKING:
    from bench.condition import Step


def behind(logit_fn: LogitFn, steps: Sequence[Step], seed: int, purpose: str) -> LogitFn:
    """A fresh logit function that corrupts 8-bit copies of the images first; itself without steps.

    Args:
        logit_fn: The detector's.
        steps: Corruptions that keep the size.
        seed: The run's.
        purpose: What the draws are for. The nth call draws the same for every image, so that an
            image's result does not depend on its batch; other calls draw otherwise. None of them is
            the draw that is scored in the end: the attacker does not know it.
    """
    if not steps:
        return logit_fn
    calls = 0

    def logits(images: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        pictures = (images.detach() * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        changed = []
        for picture in pictures:
            image = np.ascontiguousarray(picture)
            for position, step in enumerate(steps):
                rng = generator_for(seed, f"{purpose}:aware {position}", f"draw {calls}")
                image = cast(Corruption, step.plugin)(image, rng)
            changed.append(image.transpose(2, 0, 1))
        corrupted = torch.from_numpy(np.stack(changed)).to(images) / 255
        return logit_fn(images + (corrupted - images).detach())

    return logits
