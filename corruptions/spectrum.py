"""Radial spectrum matching: the fall of power over frequency, brought to that of photographs."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from corruptions import reference as references
from corruptions.base import Corruption, Image
from corruptions.checks import real
from corruptions.levels import to_levels

BINS = 32
HIGHEST = 0.5**0.5  # cycles a px, in the corner of the spectrum
CENTRES = (np.arange(BINS) + 0.5) * (HIGHEST / BINS)
LOW = 0.125  # cycles a px; below it, where shapes and colours are, nothing is changed
JOIN = (CENTRES > LOW / 2) & (CENTRES <= LOW)  # rings at which the target meets the picture
LARGEST_GAIN = 8.0
EXPONENT = 1.0

Profile = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum(Corruption):
    """The radial mean of a picture's amplitudes, moved towards a power law or towards photographs'.

    For every channel the logarithm of the amplitude is averaged over rings of the Fourier plane. A ring's
    amplitudes are multiplied by ``(target / own) ** amount``, at most 8 times and at least an eighth;
    signs stay, and frequencies up to an eighth of a cycle a px, which the target joins there. What is
    multiplied are the cosines of the picture mirrored at its borders: one that is wrapped round has edges
    there, which would come out as a frame. The target is ``1 / f ** exponent``, as photographs have it
    with an exponent near 1 (Field 1987), or the mean over the images of a reference.

    Attributes:
        amount: Share of the way in the logarithm, 0 to 1.
        exponent: Exponent of the power law of amplitudes, 0 to 4; 1 where neither it nor a reference
            is given.
        reference: Path of an image or of a folder of images, in place of ``exponent``.
    """

    name: ClassVar[str] = "spectrum"
    summary: ClassVar[str] = "radial spectrum brought towards 1/f^a, or towards a reference's"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"amount": 0.2},
        {"amount": 0.4},
        {"amount": 0.6},
        {"amount": 0.8},
        {"amount": 1.0},
    )
    draws: ClassVar[bool] = False

    amount: float = 1.0
    exponent: float | None = None
    reference: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "amount", real("spectrum amount", self.amount, 0.0, 1.0))
        references.check_path("spectrum reference", self.reference)
        if self.reference and self.exponent is not None:
            raise ValueError(
                f"spectrum takes exponent or reference, not both (exponent={self.exponent!r}, "
                f"reference={self.reference!r})"
            )
        if not self.reference:
            exponent = EXPONENT if self.exponent is None else self.exponent
            object.__setattr__(self, "exponent", real("spectrum exponent", exponent, 0.0, 4.0))

    @property
    def may_be_identity(self) -> bool:
        """True where hardly anything is changed, or where the target may be the picture's own."""
        return self.amount < 0.05 or bool(self.reference)

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that decide the result beside the parameters."""
        return references.files_of(self.reference) if self.reference else ()

    def apply(self, image: Image, _rng: np.random.Generator, /) -> Image:
        """Transform into cosines, weigh the rings and transform back, channel by channel, in float32.

        Raises:
            ValueError: The reference cannot be read.
        """
        height, width = image.shape[:2]
        # A cosine of index k has k / 2n cycles a px.
        radius = np.hypot(
            (np.arange(height) / (2 * height))[:, None], (np.arange(width) / (2 * width))[None]
        )
        target = self._target()
        out = np.empty_like(image)
        for channel in range(3):
            plane = image[..., channel].astype(np.float32)
            waves = fft.dctn(plane, norm="ortho", workers=1)
            log_gain = target[channel] - radial_profile(plane)
            log_gain -= log_gain[JOIN].mean()
            log_gain[CENTRES <= LOW] = 0
            bound = np.log(LARGEST_GAIN)
            log_gain = np.clip(self.amount * log_gain, -bound, bound)
            gain = np.exp(np.interp(radius, CENTRES, log_gain))
            waves *= gain.astype(np.float32)
            out[..., channel] = to_levels(fft.idctn(waves, norm="ortho", workers=1))
        return out

    def _target(self) -> NDArray[np.float64]:
        """Give the wanted logarithm of the amplitude, a row a channel, up to a constant."""
        if self.reference:
            return _mean_profile(references.signature(self.reference))
        assert self.exponent is not None
        return np.tile(-self.exponent * np.log(CENTRES), (3, 1))


def radial_profile(plane: NDArray[Any]) -> Profile:
    """Average the logarithm of a plane's amplitudes over rings of the Fourier plane.

    Args:
        plane: (H, W) values in levels.

    Returns:
        (32,) float64, at ``CENTRES`` cycles a px; amplitudes are over ``sqrt(H * W)``, so that sizes
        compare. A ring without a frequency, as in small pictures, lies between its neighbours.
    """
    height, width = plane.shape
    radius = np.hypot(fft.fftfreq(height)[:, None], fft.rfftfreq(width)[None])
    waves = fft.rfft2(plane.astype(np.float32), workers=1)
    return _profile(np.abs(waves), radius, height * width)


def _profile(amplitude: NDArray[Any], radius: NDArray[np.float64], pixels: int) -> Profile:
    ring = np.minimum((radius * (BINS / HIGHEST)).astype(np.int64), BINS - 1).ravel()
    logarithm = np.log(amplitude.ravel() / np.sqrt(pixels) + 1e-3).astype(np.float64)
    ring, logarithm = ring[1:], logarithm[1:]  # the mean is no wave
    count = np.bincount(ring, minlength=BINS)
    total = np.bincount(ring, weights=logarithm, minlength=BINS)
    held = count > 0
    if not held.any():
        return np.zeros(BINS)
    profile: Profile = np.interp(CENTRES, CENTRES[held], total[held] / count[held])
    return profile


@functools.lru_cache(maxsize=8)
def _mean_profile(files: references.Signature) -> NDArray[np.float64]:
    """Average the radial profiles of images, a row a channel."""
    profiles = []
    for path, _, _ in files:
        picture = references.read(path)
        profiles.append([radial_profile(picture[..., channel]) for channel in range(3)])
    mean: NDArray[np.float64] = np.array(profiles).mean(axis=0)
    return mean


CORRUPTIONS = {"spectrum": Spectrum}
