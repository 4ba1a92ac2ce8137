"""Local-statistics matching: how much fine contrast there is where, brought to that of photographs."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from corruptions import reference as references
from corruptions.base import Corruption, Image
from corruptions.checks import real
from corruptions.levels import luma, to_levels
from corruptions.windows import local_mean, local_variance

WINDOW = 7
SHARES = np.linspace(0, 1, 21)
# Quantiles, at SHARES, of luma's standard deviation over 7 x 7 px, in levels: the 719 photographs of the
# embedded set's training split.
PHOTOGRAPHS = np.array([
    0.0, 1.6, 2.52, 3.38, 4.26, 5.19, 6.19, 7.28, 8.48, 9.76, 11.12, 12.57, 14.1, 15.78, 17.66, 19.88,
    22.59, 26.11, 31.0, 38.89, 100.64,
])  # fmt: skip
LARGEST_GAIN = 4.0
STEADY = 0.25  # levels: where there is next to nothing, next to nothing is stretched


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStatistics(Corruption):
    """The standard deviation around every pixel, mapped to the distribution that photographs have.

    Where luma has the standard deviation s over 7 x 7 px, and s is the q-quantile of the picture,
    values move away from or towards their local mean by ``((t + .25) / (s + .25)) ** amount``, at most
    4 times and at least a quarter, with t the q-quantile of the reference, in levels.

    Attributes:
        amount: Share of the way in the logarithm, 0 to 1.
        reference: Path of an image or of a folder of images; "" for the photographs of the embedded
            set's training split.
    """

    name: ClassVar[str] = "local-statistics"
    summary: ClassVar[str] = "local standard deviation mapped to that of photographs"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"amount": 0.2},
        {"amount": 0.4},
        {"amount": 0.6},
        {"amount": 0.8},
        {"amount": 1.0},
    )
    draws: ClassVar[bool] = False

    amount: float = 1.0
    reference: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "amount", real("local-statistics amount", self.amount, 0.0, 1.0))
        references.check_path("local-statistics reference", self.reference)

    @property
    def may_be_identity(self) -> bool:
        """True where hardly anything is changed, or where the target may be the picture's own."""
        return self.amount < 0.05 or bool(self.reference)

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that decide the result beside the parameters."""
        return references.files_of(self.reference) if self.reference else ()

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Measure luma, then stretch the three channels about their own local means.

        Raises:
            ValueError: The reference cannot be read.
        """
        target = (
            _mean_quantiles(references.signature(self.reference)) if self.reference else PHOTOGRAPHS
        )
        values = image.astype(np.float32)
        spread = local_spread(values)
        own = np.quantile(spread, SHARES) + 1e-6 * np.arange(SHARES.size)  # strictly rising
        wanted = np.interp(np.interp(spread, own, SHARES), SHARES, target)
        gain = ((wanted + STEADY) / (spread + STEADY)) ** self.amount
        gain = np.clip(gain, 1 / LARGEST_GAIN, LARGEST_GAIN).astype(np.float32)
        for channel in range(3):
            mean = local_mean(np.ascontiguousarray(values[..., channel]), WINDOW)
            values[..., channel] = mean + gain * (values[..., channel] - mean)
        return to_levels(values)


def local_spread(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the standard deviation of luma over 7 x 7 px around every pixel, in levels."""
    plane = luma(values)
    variance = local_variance(plane, local_mean(plane, WINDOW), WINDOW)
    return np.sqrt(variance)


@functools.lru_cache(maxsize=8)
def _mean_quantiles(files: references.Signature) -> NDArray[np.float64]:
    """Average the quantiles of the local standard deviation over images."""
    spreads = (local_spread(references.read(path).astype(np.float32)) for path, _, _ in files)
    quantiles = np.array([np.quantile(spread, SHARES) for spread in spreads])
    mean: NDArray[np.float64] = quantiles.mean(axis=0)
    return mean


CORRUPTIONS = {"local-statistics": LocalStatistics}
