"""Geometry only: an image of any size to the detector's canvas, in uint8, by Pillow.

Pillow's resampling is the reference here: torchvision's antialiased resize is only nearly equal to
it and OpenCV's does not antialias, so a published number is only reproduced with the filter it was
made with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from detectors.card import InputSpec


_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}


def fit_image(image: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """Bring one image to the canvas the detector was trained on.

    Args:
        image: (H, W, 3) uint8 RGB in 0..255.
        spec: The detector's input rule.

    Returns:
        (3, h, w) uint8, C-contiguous; ``h = w = spec.size`` unless the rule is ``native``.

    Raises:
        ValueError: If the image is not (H, W, 3) uint8 or the rule lacks a size.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected an (H, W, 3) uint8 image, got {image.dtype} {image.shape}")
    if spec.fit != "native":
        if spec.size is None:
            raise ValueError(f"the fit rule {spec.fit!r} needs a size")
        if spec.fit == "resize":
            image = _resize(image, spec.size, spec.size, spec.interpolation)
        elif spec.fit == "shortest-crop":
            image = _shortest(image, spec.size, spec.interpolation)
        image = _centre(image, spec.size)
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def _resize(image: NDArray[np.uint8], height: int, width: int, kernel: str) -> NDArray[np.uint8]:
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), _FILTERS[kernel]))


def _shortest(image: NDArray[np.uint8], size: int, kernel: str) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    short = min(height, width)
    # The long side truncates, as torchvision's Resize does; a 1 px side must not vanish.
    new_height, new_width = (max(size, int(size * side / short)) for side in (height, width))
    return _resize(image, new_height, new_width, kernel)


def _centre(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    if height < size or width < size:
        rows, cols = max(0, size - height), max(0, size - width)
        padding = ((rows // 2, rows - rows // 2), (cols // 2, cols - cols // 2), (0, 0))
        image = np.pad(image, padding, mode="symmetric")
        height, width = image.shape[:2]
    # Half margins round to even, as torchvision's CenterCrop does: published numbers were made with it.
    top, left = round((height - size) / 2), round((width - size) / 2)
    return image[top : top + size, left : left + size]
