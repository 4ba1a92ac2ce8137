"""Defocus and motion blur against scipy with the kernels of the papers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from corruptions.lens import DefocusBlur, MotionBlur

IMAGENET_C = [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)]


def imagenet_c_disk(radius: int, alias: float) -> np.ndarray:
    """ImageNet-C's kernel, on an array large enough that the softening loses nothing."""
    taps = np.arange(-radius - 2, radius + 3)
    x, y = np.meshgrid(taps, taps)
    disk = (x**2 + y**2 <= radius**2).astype(np.float64)
    disk /= disk.sum()
    half = 1 if radius <= 8 else 2
    gaussian = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * alias**2))
    gaussian /= gaussian.sum()
    disk = ndimage.convolve1d(disk, gaussian, axis=0, mode="constant")
    return ndimage.convolve1d(disk, gaussian, axis=1, mode="constant")


def filtered(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    channels = [
        ndimage.convolve(image[..., c].astype(np.float64), kernel, mode="nearest") for c in range(3)
    ]
    return np.rint(np.stack(channels, axis=-1))


@pytest.mark.parametrize(("radius", "alias"), [*IMAGENET_C, (1, 0.5), (5, 0)])
def test_defocus_is_scipy_within_one_level(photo, rng, radius, alias):
    kernel = imagenet_c_disk(radius, max(alias, 1e-3))
    assert kernel.sum() == pytest.approx(1)
    for image in (
        photo[:90, :120],
        photo[:3, :40],
        rng.integers(0, 256, (31, 33, 3), dtype=np.uint8),
    ):
        ours = DefocusBlur(radius=radius, alias=alias)(np.ascontiguousarray(image), rng)
        gap = np.abs(ours - filtered(image, kernel))
        assert gap.max() <= 1
        assert (gap > 0).mean() < 0.01


@pytest.mark.parametrize(("radius", "sigma"), [(10, 3), (15, 5), (20, 15)])
@pytest.mark.parametrize("angle", [0, 20, -45, 90, 180])
def test_motion_is_scipy_within_one_level(photo, rng, radius, sigma, angle):
    reach = 2 * radius
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for i in range(2 * radius + 1):
        turn = math.radians(angle)
        # A convolution looks the other way: the tap that is read on the right stands on the left.
        y, x = reach - round(i * math.sin(turn)), reach - round(i * math.cos(turn))
        kernel[y, x] += math.exp(-(i**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    image = np.ascontiguousarray(photo[:70, :90])
    gap = np.abs(
        MotionBlur(radius=radius, sigma=sigma, angle=angle)(image, rng) - filtered(image, kernel)
    )
    assert gap.max() <= 1
    assert (gap > 0).mean() < 0.01


def test_an_impulse_becomes_the_disk(rng):
    image = np.zeros((41, 41, 3), np.uint8)
    image[20, 20] = 255
    out = DefocusBlur(radius=2, alias=0)(image, rng)
    y, x = np.mgrid[-20:21, -20:21]
    assert np.array_equal(out[..., 0] > 0, x**2 + y**2 <= 4)
    assert set(np.unique(out)) == {0, round(255 / 13)}


def test_the_angle_is_drawn_per_image_and_seed(photo):
    blur = MotionBlur(radius=10, sigma=5)
    image = np.ascontiguousarray(photo[:60, :60])
    first, again, other = (blur(image, np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    angle = np.random.default_rng(1).uniform(-45, 45)
    fixed = MotionBlur(radius=10, sigma=5, angle=angle)(image, np.random.default_rng(9))
    assert np.array_equal(first, fixed)


def test_rows_do_not_depend_on_blocks(photo, rng, monkeypatch):
    corruptions = [DefocusBlur(radius=3), MotionBlur(radius=5, sigma=2, angle=30)]
    whole = [c(photo, rng) for c in corruptions]
    for size in (1, 321 * 12 * 7, 2**30):
        monkeypatch.setattr("corruptions.lens.BLOCK_BYTES", size)
        assert all(
            np.array_equal(c(photo, rng), w) for c, w in zip(corruptions, whole, strict=True)
        )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DefocusBlur(radius=0), "defocus-blur radius must be a whole number from 1 to 100"),
        (lambda: DefocusBlur(alias=-1), "nearest valid one is 0"),
        (lambda: MotionBlur(radius=1.5), "whole number"),
        (lambda: MotionBlur(sigma=0), "nearest valid one is 0.1"),
        (lambda: MotionBlur(angle=200), "nearest valid one is 180"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()
