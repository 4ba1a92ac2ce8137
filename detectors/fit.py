"""Geometry only: an image of any size to the detector's canvas, in uint8, by Pillow.

Pillow's resampling is the reference here: torchvision's antialiased resize is only nearly equal to
it and OpenCV's does not antialias, so a published number is only reproduced with the filter it was
made with.
"""

from __future__ import annotations

from collections.abc import Sequence
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

# Values of an image, at most 64 x 64 px, up to which images of one size are padded and cropped together.
_TOGETHER = 3 << 12


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
    return _placed(_resampled(image, spec), spec)


def fit_images(images: Sequence[NDArray[np.uint8]], spec: InputSpec) -> Sequence[NDArray[np.uint8]]:
    """Bring images to the canvas, those of one small size together; each as :func:`fit_image` does.

    Args:
        images: (H, W, 3) uint8 RGB in 0..255, one or more.
        spec: The detector's input rule.

    Returns:
        One canvas an image.

    Raises:
        ValueError: As :func:`fit_image`, for the first image that is wrong.
    """
    resampled = [_resampled(image, spec) for image in images]
    if len({image.shape for image in resampled}) > 1 or resampled[0].size > _TOGETHER:
        return [_placed(image, spec) for image in resampled]
    together: Sequence[NDArray[np.uint8]] = _placed(np.stack(resampled), spec)  # type: ignore[assignment]
    return together


def _resampled(image: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """Resample an image as far as the rule asks for it."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected an (H, W, 3) uint8 image, got {image.dtype} {image.shape}")
    if spec.fit == "native":
        if spec.resize_to is None:
            return image
        return _shortest(image, min(sides(spec.resize_to)), spec.interpolation)
    if spec.size is None:
        raise ValueError(f"the fit rule {spec.fit!r} needs a size")
    target = spec.size if spec.resize_to is None else spec.resize_to
    if spec.fit == "resize":
        return _resize(image, *sides(target), spec.interpolation)
    if spec.fit == "shortest-crop":
        return _shortest(image, min(sides(target)), spec.interpolation)
    return image


def _placed(images: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """Pad and crop images of one size, (..., H, W, 3), to canvases, (..., 3, h, w)."""
    if spec.fit != "native":
        assert spec.size is not None
        images = _centre(images, *sides(spec.size), spec)
    elif spec.view_size is not None:
        # A view must find room: what is smaller is padded as for a crop.
        images = _padded(images, *sides(spec.view_size), spec)
    return np.ascontiguousarray(np.moveaxis(images, -1, -3))


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
    images: NDArray[np.uint8], height: int, width: int, spec: InputSpec
) -> NDArray[np.uint8]:
    images = _padded(images, height, width, spec)
    top = _margin(images.shape[-3] - height, spec)
    left = _margin(images.shape[-2] - width, spec)
    return images[..., top : top + height, left : left + width, :]


def _padded(
    images: NDArray[np.uint8], height: int, width: int, spec: InputSpec
) -> NDArray[np.uint8]:
    rows, cols = max(0, height - images.shape[-3]), max(0, width - images.shape[-2])
    if not rows and not cols:
        return images
    top, left = (_before(missing, spec) for missing in (rows, cols))
    alone = [(0, 0)] * (images.ndim - 3)
    padding = (*alone, (top, rows - top), (left, cols - left), (0, 0))
    match spec.padding:
        case "mirror":
            return np.pad(images, padding, mode="symmetric")
        case "zero":
            return np.pad(images, padding, mode="constant")
        case "replicate":
            return np.pad(images, padding, mode="edge")


def _margin(surplus: int, spec: InputSpec) -> int:
    """What is cut in front of a crop: half margins round to even, as torchvision does, or down."""
    return round(surplus / 2) if spec.rounding == "even" else surplus // 2


def _before(missing: int, spec: InputSpec) -> int:
    """What is padded in front of an image; transformers, which rounds down, pads the odd pixel there."""
    return missing // 2 if spec.rounding == "even" else -(-missing // 2)
