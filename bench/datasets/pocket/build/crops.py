"""Random crops of the train photographs: what every generator made here is trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def random_crops(
    photos: Sequence[NDArray[np.uint8]], batch: int, side: int, rng: np.random.Generator
) -> Tensor:
    """Draw square crops, each from a photograph drawn evenly, mirrored and turned at random.

    Args:
        photos: Reduced train photographs, uint8 (height, width, 3) each.
        batch: How many crops.
        side: Side of a crop in px.
        rng: Draws photograph, place, mirroring and turn.

    Returns:
        float32 (batch, 3, side, side) in [0, 1].
    """
    out = np.empty((batch, side, side, 3), dtype=np.uint8)
    for i, which in enumerate(rng.integers(len(photos), size=batch)):
        photo = photos[which]
        y = rng.integers(photo.shape[0] - side + 1)
        x = rng.integers(photo.shape[1] - side + 1)
        piece = photo[y : y + side, x : x + side]
        out[i] = np.rot90(piece if rng.random() < 0.5 else piece[:, ::-1], int(rng.integers(4)))
    return torch.from_numpy(out).permute(0, 3, 1, 2).float() / 255


def to_tensor(window: NDArray[np.uint8]) -> Tensor:
    """Turn uint8 (h, w, 3) into float32 (1, 3, h, w) in [0, 1]."""
    return torch.from_numpy(window.copy()).permute(2, 0, 1)[None].float() / 255


def to_pixels(image: Tensor) -> NDArray[np.uint8]:
    """Turn float (1, 3, h, w), clipped to [0, 1] first, into uint8 (h, w, 3)."""
    scaled = (image[0].clamp(0, 1) * 255).round().to(torch.uint8)
    return scaled.permute(1, 2, 0).contiguous().numpy()
