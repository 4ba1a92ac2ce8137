"""One attack to run, and the record of what it did."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from attacks.base import Attack, LogitFn
from bench.inference.threads import plainly


@dataclass(frozen=True, slots=True)
class Job:
    """One attack to run.

    Attributes:
        attack: The attack with its parameters.
        purpose: Text that its seeds are derived from, one seed an image.
        logit_function: Makes the function whose gradient it climbs, anew for each batch: the target's
            own logits, a surrogate's, or those behind corruptions.
    """

    attack: Attack
    purpose: str
    logit_function: Callable[[], LogitFn]


@dataclass(frozen=True, slots=True)
class Target:
    """The detector under attack, and how it is run; the same for all jobs of a sharing group.

    Attributes:
        logits: The detector's logit function.
        batch_size: Images in a batch.
        device: Where the detector runs.
        seed: Seed of the run.
        threshold: Logit above which an image is called fake.
        for_each: Calls a function on every item, perhaps in several threads; results in order.
    """

    logits: LogitFn
    batch_size: int
    device: torch.device
    seed: int
    threshold: float = 0.0
    for_each: Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]] = plainly


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What one job did to one batch of m images, padding left out.

    Attributes:
        rows: (m,) int64 positions of the images in their chunk.
        images: What the detector will see, (3, h, w) each: uint8, or float32 where not quantised.
        columns: By column name, (m,) float64; nan where the image was not attacked.
    """

    rows: NDArray[np.int64]
    images: Sequence[NDArray[Any]]
    columns: dict[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Probe:
    """What the attack checks learn of m images besides the scores.

    Attributes:
        rows: (m,) int64 positions of the probed images in their chunk.
        unrounded: (m,) logits of the pictures before they were rounded to 8 bits; nan where the
            attack does not round.
        unbounded: (m,) 1 where an unbounded budget fools the detector, 0 where not, nan if not tried.
    """

    rows: NDArray[np.int64]
    unrounded: NDArray[np.float64]
    unbounded: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Attacked:
    """What one attack did to the n canvases of a chunk; nan where an image was left alone.

    Attributes:
        images: What the detector will see: (3, h, w) uint8, or float32 where not quantised; ``None``
            where there is no canvas.
        linf: (n,) largest change of a value, in units of [0, 1].
        l2: (n,) Euclidean length of the change, in units of [0, 1].
        steps: (n,) gradients or queries spent.
        grad_zero: (n,) share of exact zeros in the first gradient of the image's batch.
        unbounded: (n,) 1 where an unbounded budget fools the detector, 0 where it does not.
        unrounded: (n,) logit of the picture before it was rounded to 8 bits.
        error: Why the attack could not be run; ``None`` where it was.
    """

    images: list[Any]
    linf: NDArray[np.float64]
    l2: NDArray[np.float64]
    steps: NDArray[np.float64]
    grad_zero: NDArray[np.float64]
    unbounded: NDArray[np.float64]
    unrounded: NDArray[np.float64]
    error: Exception | None = None

    @classmethod
    def none(cls, count: int, error: Exception | None = None) -> Self:
        """Make the record of an attack that touched none of ``count`` images."""
        linf, l2, steps, zero, unbounded, unrounded = (np.full(count, np.nan) for _ in range(6))
        return cls([None] * count, linf, l2, steps, zero, unbounded, unrounded, error)

    @classmethod
    def assembled(cls, count: int, batches: Iterable[BatchOutcome]) -> Self:
        """Put the batches of one job together."""
        whole = cls.none(count)
        for batch in batches:
            for row, image in zip(batch.rows, batch.images, strict=True):
                whole.images[row] = image
            for name, values in batch.columns.items():
                getattr(whole, name)[batch.rows] = values
        return whole

    def with_probe(self, probe: Probe) -> Attacked:
        """Add the logits and verdicts of a probe."""
        unrounded, unbounded = self.unrounded.copy(), self.unbounded.copy()
        unrounded[probe.rows], unbounded[probe.rows] = probe.unrounded, probe.unbounded
        return dataclasses.replace(self, unrounded=unrounded, unbounded=unbounded)

    def failed(self, error: Exception) -> Attacked:
        """Mark the attack as one that could not be run."""
        return dataclasses.replace(self, error=error)
