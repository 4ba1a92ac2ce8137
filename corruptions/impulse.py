"""Noise that is not additive Gaussian: photon shot noise, dead pixels, speckle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from corruptions.base import Corruption, Image
from corruptions.checks import real

MOST_PHOTONS = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotNoise(Corruption):
    """Poisson noise of counted photons, independent for every pixel and channel.

    A value of v levels becomes ``Poisson(v / 255 * photons) / photons``, clipped and rounded, as in
    ImageNet-C (Hendrycks and Dietterich 2019), whose constant is ``photons``.

    Attributes:
        photons: Mean count of full white, 0.1 to 1e6; the standard deviation there is
            ``1 / sqrt(photons)`` in units of [0, 1].
    """

    name: ClassVar[str] = "shot-noise"
    summary: ClassVar[str] = "Poisson noise of a stated photon count at full white"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"photons": 60.0},
        {"photons": 25.0},
        {"photons": 12.0},
        {"photons": 5.0},
        {"photons": 3.0},
    )

    photons: float = 25.0

    def __post_init__(self) -> None:
        photons = real("shot-noise photons", self.photons, 0.1, MOST_PHOTONS)
        object.__setattr__(self, "photons", photons)

    @property
    def may_be_identity(self) -> bool:
        """True where rounding swallows nearly all of the noise."""
        return self.photons > 250_000

    def apply(self, image: Image, rng: np.random.Generator, /) -> Image:
        """Draw one count a pixel and channel, in memory order."""
        mean = (np.arange(256) * (self.photons / 255))[image]
        values = rng.poisson(mean).astype(np.float32)
        values *= np.float32(255 / self.photons)
        return _rounded(values)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaltPepper(Corruption):
    """A share of the values becomes 0 or 255, half each, independent for every pixel and channel.

    As scikit-image's ``random_noise(mode="s&p")`` on an RGB array, which ImageNet-C calls impulse
    noise.

    Attributes:
        amount: Expected share of values replaced, in [0, 1].
    """

    name: ClassVar[str] = "salt-pepper"
    summary: ClassVar[str] = "a stated share of values set to 0 or 255"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"amount": 0.01},
        {"amount": 0.03},
        {"amount": 0.06},
        {"amount": 0.12},
        {"amount": 0.25},
    )

    amount: float = 0.06

    def __post_init__(self) -> None:
        object.__setattr__(self, "amount", real("salt-pepper amount", self.amount, 0.0, 1.0))

    @property
    def may_be_identity(self) -> bool:
        """True where a picture may hold fewer values than one in ``1 / amount``."""
        return self.amount < 0.001

    def apply(self, image: Image, rng: np.random.Generator, /) -> Image:
        """Draw one uniform value a pixel and channel, in memory order."""
        drawn = rng.random(image.shape, dtype=np.float32)
        out = image.copy()
        out[drawn < self.amount] = 0
        out[drawn < self.amount / 2] = 255
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Speckle(Corruption):
    """Multiplicative Gaussian noise: v becomes ``v + v * normal(0, sigma)``, clipped and rounded.

    Independent for every pixel and channel, as ImageNet-C's ``speckle_noise`` (Hendrycks and
    Dietterich 2019).

    Attributes:
        sigma: Standard deviation relative to the value, 0 to 10.
    """

    name: ClassVar[str] = "speckle"
    summary: ClassVar[str] = "noise in proportion to the value, of a stated relative deviation"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"sigma": 0.05},
        {"sigma": 0.1},
        {"sigma": 0.2},
        {"sigma": 0.35},
        {"sigma": 0.6},
    )

    sigma: float = 0.2

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", real("speckle sigma", self.sigma, 0.0, 10.0))

    @property
    def may_be_identity(self) -> bool:
        """True where rounding swallows the noise."""
        return self.sigma < 0.002

    def apply(self, image: Image, rng: np.random.Generator, /) -> Image:
        """Draw one value a pixel and channel, in memory order."""
        values = rng.standard_normal(image.shape, dtype=np.float32)
        values *= np.float32(self.sigma)
        values += 1
        values *= image
        return _rounded(values)


def _rounded(values: NDArray[np.float32]) -> Image:
    np.clip(values, 0, 255, out=values)
    np.rint(values, out=values)
    return values.astype(np.uint8)


CORRUPTIONS: Mapping[str, type[Corruption]] = {
    "shot-noise": ShotNoise,
    "salt-pepper": SaltPepper,
    "speckle": Speckle,
}
