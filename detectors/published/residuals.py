"""What detectors of residuals see: an image minus what its neighbourhood says of it."""

from __future__ import annotations

from torch import Tensor


def resampling_residual(images: Tensor) -> Tensor:
    """Subtract from every 2 x 2 block its top left pixel: the image less its nearest-neighbour round trip.

    Args:
        images: (N, C, h, w), h and w even.

    Returns:
        The same shape; zero in every top left pixel.

    Raises:
        ValueError: If a side is odd, for which the paper's round trip has no size to come back to.

    Source: Tan et al. 2024, arXiv:2312.10461, equation 2.
    """
    height, width = images.shape[-2:]
    if height % 2 or width % 2:
        raise ValueError(
            f"neighbouring pixel relations need even sides, got {width} x {height} px: crop or resize"
        )
    corners = images[..., ::2, ::2]
    return images - corners.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)
