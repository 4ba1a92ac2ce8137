"""What detectors of residuals see: an image minus what its neighbourhood says of it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def resampling_residual(images: Tensor) -> Tensor:
    """Subtract from every 2 x 2 block its top left pixel: the image less its nearest-neighbour round trip.

    Args:
        images: (N, C, h, w), h and w even.

    Returns:
        The same shape; zero in every top left pixel.

    Raises:
        ValueError: If a side is odd, for which the paper's round trip has no size to come back to.

    Source: Tan et al. 2024, arXiv:2312.10461, section 3.2.
    """
    height, width = images.shape[-2:]
    if height % 2 or width % 2:
        raise ValueError(
            f"neighbouring pixel relations need even sides, got {width} x {height} px: resize, crop or pad"
        )
    corners = images[..., ::2, ::2]
    return images - corners.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)


def median_residual(images: Tensor) -> Tensor:
    """Subtract from every pixel the median of its eight neighbours and a zero in its own place.

    Beyond the border there are zeros too. The gradient is that of the median's own pixel.

    Args:
        images: (N, C, h, w).

    Returns:
        The same shape.

    Source: Liang et al. 2025, arXiv:2509.20890, section 3.2.
    """
    height, width = images.shape[-2:]
    padded = functional.pad(images, (1, 1, 1, 1))
    neighbours = [
        padded[..., row : row + height, column : column + width]
        for row in range(3)
        for column in range(3)
        if (row, column) != (1, 1)
    ]
    window = torch.stack([*neighbours, torch.zeros_like(images)])
    return images - window.median(dim=0).values


# Difference along the falling diagonal, with the weights of a Sobel filter.
_DIAGONAL = ((-2.0, -1.0, 0.0), (-1.0, 0.0, 1.0), (0.0, 1.0, 2.0))


def diagonal_gradient(images: Tensor) -> Tensor:
    """Filter every channel by a diagonal Sobel kernel, with zeros beyond the border.

    Args:
        images: (N, C, h, w).

    Returns:
        The same shape.

    Source: Cavia et al. 2024, arXiv:2406.09398, the pre-step of Tiny-LaDeDa.
    """
    channels = images.shape[-3]
    kernel = images.new_tensor(_DIAGONAL).expand(channels, 1, 3, 3)
    return functional.conv2d(images, kernel, padding=1, groups=channels)
