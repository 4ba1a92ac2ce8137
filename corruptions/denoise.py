"""Denoising: an adaptive Wiener filter of a stated noise level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from corruptions.base import Corruption, Image
from corruptions.checks import real, whole
from corruptions.levels import to_levels
from corruptions.windows import wiener

LARGEST_SIGMA = 255.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Denoise(Corruption):
    """The adaptive Wiener filter (Lee 1980), channel by channel; the border repeated.

    Where the variance v over the window is below that of the noise, the mean remains; elsewhere a value
    moves towards the mean by ``noise / v``. Equal to scipy's ``wiener`` away from the border.

    Attributes:
        sigma: Standard deviation of the noise that is taken off, in levels, 0 to 255.
        window: Side of the window in px, odd, 3 to 31.
    """

    name: ClassVar[str] = "denoise"
    summary: ClassVar[str] = "adaptive Wiener filter for noise of a stated level"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"sigma": 3.0},
        {"sigma": 6.0},
        {"sigma": 10.0},
        {"sigma": 15.0},
        {"sigma": 25.0},
    )
    draws: ClassVar[bool] = False

    sigma: float = 10.0
    window: int = 5

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", real("denoise sigma", self.sigma, 0.0, LARGEST_SIGMA))
        window = whole("denoise window", self.window, 3, 31)
        if window % 2 == 0:
            raise ValueError(
                f"denoise window must be odd, got {window}; the nearest valid ones are "
                f"{window - 1} and {window + 1}"
            )
        object.__setattr__(self, "window", window)

    @property
    def may_be_identity(self) -> bool:
        """True where rounding takes the change back."""
        return self.sigma < 1

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Filter the three channels apart."""
        if self.sigma == 0:
            return image
        out = np.empty_like(image)
        for channel in range(3):
            plane = image[..., channel].astype(np.float32)
            out[..., channel] = to_levels(wiener(plane, self.window, self.sigma**2))
        return out


CORRUPTIONS = {"denoise": Denoise}
