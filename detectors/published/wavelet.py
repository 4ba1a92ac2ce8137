"""The diagonal details of an image by a biorthogonal spline wavelet."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_TAPS = 6  # of the wavelet's filters, of which the high-pass one has two that are not zero


def diagonal_details(images: Tensor) -> Tensor:
    """Filter high along rows and along columns by bior1.3, one level, symmetric at the borders.

    The decomposition's high-pass filter is (0, 0, -1, 1, 0, 0) / sqrt(2): what is left is half the sum of
    a 2 x 2 block's diagonal less half the sum of its other one, but where the blocks begin is the filter's.

    Args:
        images: (N, C, h, w).

    Returns:
        (N, C, (h + 5) // 2, (w + 5) // 2), the subband that is called HH or cD.

    Source: Cohen, Daubechies and Feauveau 1992, the spline pair of orders 1 and 3.
    """
    return _details(_details(images, -1), -2)


def _details(images: Tensor, axis: int) -> Tensor:
    length = images.shape[axis]
    count = (length + _TAPS - 1) // 2
    # Half-sample symmetry: the border is repeated, and so on outwards with period 2 * length.
    places = torch.arange(-2, 2 * count - 2, device=images.device) % (2 * length)
    places = torch.where(places < length, places, 2 * length - 1 - places)
    left, right = (images.index_select(axis, places[parity::2]) for parity in (0, 1))
    return (left - right) * math.sqrt(0.5)
