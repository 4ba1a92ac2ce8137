"""The logarithm of an image's cosine spectrum, as detectors of upsampling traces see it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

# Added to every magnitude, so that zero has a logarithm.
EPSILON = 1e-12
# How far from a whole number a level may be and still be that of an 8-bit pixel: float32 is off by 2e-5.
_WHOLE = 5e-5


def cosine_basis(size: int) -> Tensor:
    """Write the orthonormal discrete cosine transform of type 2 as a matrix.

    Args:
        size: How many samples are transformed.

    Returns:
        (size, size) float64, a row a frequency, the mean first.

    Source: Ahmed, Natarajan and Rao 1974.

    Example:
        >>> bool(torch.allclose(cosine_basis(4) @ cosine_basis(4).T, torch.eye(4, dtype=torch.float64)))
        True
    """
    frequency = torch.arange(size, dtype=torch.float64)[:, None]
    place = torch.arange(size, dtype=torch.float64)[None, :] + 0.5
    basis = torch.cos(math.pi / size * frequency * place) * math.sqrt(2 / size)
    basis[0] = math.sqrt(1 / size)
    return basis


class LogSpectrum(nn.Module):
    """Standardised logarithms of the magnitudes of an image's cosine spectrum.

    All of it is computed in float64: a logarithm makes much of what float32 rounds away. Mean and variance
    of every coefficient come with the weights.

    Args:
        side: Side of the square image in pixels.

    Source: Frank et al. 2020, arXiv:2003.08685, section 3.
    """

    basis: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        self.register_buffer("basis", cosine_basis(side), persistent=False)
        self.register_buffer("mean", torch.zeros(3, side, side, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(3, side, side, dtype=torch.float64))

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, side, side) in [0, 1] to float32 of the same shape."""
        levels = _levels(batch)
        coefficients = self.basis @ levels @ self.basis.T
        logarithms = torch.log(coefficients.abs() + EPSILON)
        return ((logarithms - self.mean) / self.variance.sqrt()).to(batch.dtype)


def _levels(batch: Tensor) -> Tensor:
    """Give pixels on the scale 0 to 255 in float64; those of 8-bit images are whole numbers again.

    A pixel divided by 255 in float32 is off by more than the smallest coefficients of smooth images.
    """
    levels = batch.double() * 255
    nearest = levels.detach().round()
    shift = nearest - levels.detach()
    return levels + torch.where(shift.abs() < _WHOLE, shift, torch.zeros_like(shift))
