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

from detectors.inputs.spec import sides

if TYPE_CHECKING:
    from detectors.inputs.spec import InputSpec


_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}


def fit_image(image: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """Bring one image to the canvas the detector was trained on.

    Args:
        image: (H, W, 3) uint8 RGB in 0..255.
        spec: The detector's input rule.

    Returns:
        (3, h, w) uint8, C-contiguous; (h, w) is ``spec.canvas`` unless the rule is ``native``.

    Raises:
        ValueError: If the image is not (H, W, 3) uint8 or the rule lacks a size.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected an (H, W, 3) uint8 image, got {image.dtype} {image.shape}")
    if spec.fit == "native":
        return np.ascontiguousarray(_native(image, spec).transpose(2, 0, 1))
    if spec.size is None:
        raise ValueError(f"the fit rule {spec.fit!r} needs a size")
    target = spec.size if spec.resize_to is None else spec.resize_to
    if spec.fit == "resize":
        image = _resize(image, *sides(target), spec.interpolation)
    elif spec.fit == "shortest-crop":
        image = _shortest(image, min(sides(target)), spec.interpolation)
    return np.ascontiguousarray(_centre(image, *sides(spec.size), spec).transpose(2, 0, 1))


def _native(image: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    if spec.resize_to is not None:
        image = _shortest(image, min(sides(spec.resize_to)), spec.interpolation)
    if spec.view_size is None:
        return image
    # A view must find room: what is smaller is padded as for a crop.
    height, width = sides(spec.view_size)
    return _padded(image, height, width, spec)


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


def _centre(
    image: NDArray[np.uint8], height: int, width: int, spec: InputSpec
) -> NDArray[np.uint8]:
    image = _padded(image, height, width, spec)
    top = _margin(image.shape[0] - height, spec)
    left = _margin(image.shape[1] - width, spec)
    return image[top : top + height, left : left + width]


def _padded(
    image: NDArray[np.uint8], height: int, width: int, spec: InputSpec
) -> NDArray[np.uint8]:
    rows, cols = max(0, height - image.shape[0]), max(0, width - image.shape[1])
    if not rows and not cols:
        return image
    top, left = (_before(missing, spec) for missing in (rows, cols))
    padding = ((top, rows - top), (left, cols - left), (0, 0))
    match spec.padding:
        case "mirror":
            return np.pad(image, padding, mode="symmetric")
        case "zero":
            return np.pad(image, padding, mode="constant")
        case "replicate":
            return np.pad(image, padding, mode="edge")


def _margin(surplus: int, spec: InputSpec) -> int:
    """What is cut in front of a crop: half margins round to even, as torchvision does, or down."""
    return round(surplus / 2) if spec.rounding == "even" else surplus // 2


def _before(missing: int, spec: InputSpec) -> int:
    """What is padded in front of an image; transformers, which rounds down, pads the odd pixel there."""
    return missing // 2 if spec.rounding == "even" else -(-missing // 2)
