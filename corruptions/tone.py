"""Edits of light and colour that cameras and editors offer: white balance, HDR tone, night mode, retouch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from corruptions.base import Corruption, Image
from corruptions.checks import flag, real
from corruptions.color import Gamma
from corruptions.denoise import Denoise
from corruptions.filters import Sharpen
from corruptions.levels import from_light, luma, to_levels, to_light
from corruptions.windows import guided, window_of

MOST_STOPS = 2.0
_STRENGTHS: tuple[Mapping[str, Any], ...] = tuple(
    {"strength": strength} for strength in (0.2, 0.4, 0.6, 0.8, 1.0)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WhiteBalance(Corruption):
    """Gains on red and blue, in linear light: warmer or colder, or towards a gray mean.

    With ``gray_world`` red and blue are first scaled so that their means equal green's. Then red is
    multiplied by ``2 ** warmth`` and blue by ``2 ** -warmth``.

    Attributes:
        warmth: Stops by which red rises and blue falls, -2 to 2; negative is colder.
        gray_world: Whether the means of the channels are made equal first.
    """

    name: ClassVar[str] = "white-balance"
    summary: ClassVar[str] = "gains on red and blue in linear light: warmer, colder or gray-world"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"warmth": 0.05},
        {"warmth": 0.1},
        {"warmth": 0.2},
        {"warmth": 0.3},
        {"warmth": 0.5},
    )
    draws: ClassVar[bool] = False

    warmth: float = 0.2
    gray_world: bool = False

    def __post_init__(self) -> None:
        warmth = real("white-balance warmth", self.warmth, -MOST_STOPS, MOST_STOPS)
        object.__setattr__(self, "warmth", warmth)
        flag("white-balance gray_world", self.gray_world)

    @property
    def may_be_identity(self) -> bool:
        """True for small gains, and where means may be equal already."""
        return abs(self.warmth) < 0.03 or self.gray_world

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Scale linear light; what passes full white is cut off."""
        light = to_light(image)
        gains = np.array([2**self.warmth, 1, 2**-self.warmth])
        if self.gray_world:
            means = light.mean(axis=(0, 1), dtype=np.float64)
            dark = means.min() < 1e-4  # a channel without light has no balance
            gains *= 1 if dark else means[1] / means
        return from_light(light * gains.astype(np.float32))


@dataclass(frozen=True, slots=True, kw_only=True)
class HdrTone(Corruption):
    """Local tone mapping: large differences of light compressed, small ones exaggerated.

    The logarithm of luma is split by a guided filter into a base and details (after Durand and Dorsey
    2002). The base's distance from its mean shrinks by ``1 - 0.6 * strength``, details grow by
    ``1 + strength``; colours keep their ratios, and the picture its mean luma.

    Attributes:
        strength: 0 to 1.
    """

    name: ClassVar[str] = "hdr-tone"
    summary: ClassVar[str] = "local tone mapping: large contrasts compressed, details exaggerated"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = _STRENGTHS
    draws: ClassVar[bool] = False

    strength: float = 0.6

    def __post_init__(self) -> None:
        object.__setattr__(self, "strength", real("hdr-tone strength", self.strength, 0.0, 1.0))

    @property
    def may_be_identity(self) -> bool:
        """True where rounding takes the change back."""
        return self.strength < 0.05

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Map luma and multiply the channels by its change."""
        values = image.astype(np.float32)
        before = luma(values)
        brightness = np.log(before + np.float32(1))
        base = guided(brightness, window_of(image.shape, 0.1), 0.1)
        mean = base.mean(dtype=np.float64).astype(np.float32)
        gain = np.exp(
            np.float32(-0.6 * self.strength) * (base - mean)
            + np.float32(self.strength) * (brightness - base)
        )
        after = (before * gain).mean(dtype=np.float64)
        gain *= np.float32(before.mean(dtype=np.float64) / after if after > 0 else 1)
        return to_levels(values * gain[..., None])


@dataclass(frozen=True, slots=True, kw_only=True)
class NightMode(Corruption):
    """Shadows lifted, noise taken off, edges sharpened: what a telephone does in the dark.

    ``denoise`` at ``10 * strength`` levels, ``gamma`` at ``1 / (1 + strength)`` and ``sharpen`` at
    ``strength``, of this package, in that order.

    Attributes:
        strength: 0 to 1.
    """

    name: ClassVar[str] = "night-mode"
    summary: ClassVar[str] = "noise taken off, shadows lifted, edges sharpened"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = _STRENGTHS
    draws: ClassVar[bool] = False

    strength: float = 0.6

    def __post_init__(self) -> None:
        object.__setattr__(self, "strength", real("night-mode strength", self.strength, 0.0, 1.0))

    @property
    def may_be_identity(self) -> bool:
        """True where rounding takes the change back."""
        return self.strength < 0.05

    def apply(self, image: Image, rng: np.random.Generator, /) -> Image:
        """Apply the three corruptions."""
        chain = (
            Denoise(sigma=10 * self.strength),
            Gamma(gamma=1 / (1 + self.strength)),
            Sharpen(amount=self.strength),
        )
        for step in chain:
            image = step(image, rng)
        return image


@dataclass(frozen=True, slots=True, kw_only=True)
class Retouch(Corruption):
    """Skin smoothed as beauty filters do it: fine texture fades, edges stay.

    A value v becomes ``v + strength * (smooth - v)``, with smooth from a guided filter (He et al.
    2010) over 4 % of the short side, in which contrasts below about 20 levels count as texture.

    Attributes:
        strength: 0 (nothing) to 1 (all that the filter takes for texture is gone).
    """

    name: ClassVar[str] = "retouch"
    summary: ClassVar[str] = "skin smoothing: fine texture fades, edges stay"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = _STRENGTHS
    draws: ClassVar[bool] = False

    strength: float = 0.6

    def __post_init__(self) -> None:
        object.__setattr__(self, "strength", real("retouch strength", self.strength, 0.0, 1.0))

    @property
    def may_be_identity(self) -> bool:
        """True where rounding takes the change back."""
        return self.strength < 0.1

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Smooth the three channels apart and blend."""
        out = np.empty_like(image)
        window = window_of(image.shape, 0.04)
        for channel in range(3):
            plane = image[..., channel].astype(np.float32)
            smooth = guided(plane, window, 20.0**2)
            out[..., channel] = to_levels(plane + np.float32(self.strength) * (smooth - plane))
        return out


CORRUPTIONS = {
    "white-balance": WhiteBalance,
    "hdr-tone": HdrTone,
    "night-mode": NightMode,
    "retouch": Retouch,
}
