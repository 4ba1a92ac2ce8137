"""One attack to run, and what it did."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attacks.base import Attack, LogitFn
from bench.inference.threads import plainly


@dataclass(frozen=True, slots=True)
class Job:
    """One attack to run.

    Attributes:
        attack: The attack.
        purpose: What its seeds are drawn for.
        climbed: Makes the logit function it climbs, anew for each batch: the target's own, a
            surrogate's, or one behind corruptions.
    """

    attack: Attack
    purpose: str
    climbed: Callable[[], LogitFn]


@dataclass(frozen=True, slots=True)
class Setting:
    """What all jobs have in common.

    Attributes:
        logits: The target's logit function.
        size: Images in a batch.
        device: Where it runs.
        seed: The run's.
        threshold: Logit above which an image is called fake.
        each: Does one thing for every item, perhaps in several threads.
    """

    logits: LogitFn
    size: int
    device: torch.device
    seed: int
    threshold: float = 0.0
    each: Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]] = plainly


@dataclass(slots=True)
class Attacked:
    """What one attack did to n canvases; nan where an image was not attacked or not looked at.

    Attributes:
        moved: What the detector will see: (3, h, w) uint8, or float32 where not quantised.
        linf: (n,) size of the change; ``l2`` likewise.
        steps: (n,) gradients or queries spent.
        grad_zero: (n,) share of exact zeros in the first gradient of the image's batch.
        unbounded: (n,) 1 where an unbounded budget fools the detector, 0 where it does not.
        unrounded: (n,) logit of the picture before it was rounded to 8 bits.
        error: Why it could not be done.
    """

    moved: list[Any]
    linf: NDArray[np.float64]
    l2: NDArray[np.float64]
    steps: NDArray[np.float64]
    grad_zero: NDArray[np.float64]
    unbounded: NDArray[np.float64]
    unrounded: NDArray[np.float64]
    error: Exception | None = None

    @classmethod
    def nothing(cls, n: int) -> Attacked:
        """Nothing done yet."""
        linf, l2, steps, zero, unbounded, unrounded = (np.full(n, np.nan) for _ in range(6))
        return cls([None] * n, linf, l2, steps, zero, unbounded, unrounded)
