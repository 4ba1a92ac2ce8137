"""Gaussian blur against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from corruptions.blur import CORRUPTIONS, Blur


def oracle(image: np.ndarray, sigma: float) -> np.ndarray:
    """scipy in float64, far out, rounded once."""
    blurred = gaussian_filter(
        image.astype(np.float64), (sigma, sigma, 0), mode="nearest", truncate=6
    )
    return np.rint(blurred).astype(int)


@pytest.mark.parametrize("sigma", [0.3, 0.5, 1, 1.7, 2, 3, 5, 20, 100])
def test_within_one_level_of_scipy(photo, rng, sigma):
    for image in (photo, photo[:5, :300], rng.integers(0, 256, (61, 47, 3), dtype=np.uint8)):
        gap = np.abs(Blur(sigma=sigma)(image, rng).astype(int) - oracle(image, sigma))
        assert gap.max() <= 1
        assert (gap > 0).mean() < 0.02


@pytest.mark.parametrize("sigma", [0.5, 1, 3])
def test_an_impulse_spreads_as_the_gaussian(rng, sigma):
    image = np.zeros((41, 41, 3), np.uint8)
    image[20, 20] = 255
    out = Blur(sigma=sigma)(image, rng)
    offset = np.arange(-20, 21)
    one = np.exp(-(offset**2) / (2 * sigma**2))
    expected = 255 * np.outer(one, one) / one.sum() ** 2
    assert np.abs(out - expected[:, :, None]).max() <= 0.51
    assert np.array_equal(out, out[::-1])
    assert np.array_equal(out, out[:, ::-1])
    assert np.array_equal(out, out.transpose(1, 0, 2))


def test_channels_do_not_mix(photo, rng):
    only_green = photo.copy()
    only_green[:, :, [0, 2]] = 0
    out = Blur(sigma=2)(only_green, rng)
    assert not out[:, :, [0, 2]].any()
    assert np.array_equal(out[:, :, 1], Blur(sigma=2)(photo, rng)[:, :, 1])


def test_rows_do_not_depend_on_how_the_picture_is_cut_into_blocks(photo, rng, monkeypatch):
    whole = Blur(sigma=2)(photo, rng)
    for size in (1, 321 * 12 * 7, 2**30):
        monkeypatch.setattr("corruptions.blur.BLOCK_BYTES", size)
        assert np.array_equal(Blur(sigma=2)(photo, rng), whole)


@pytest.mark.parametrize("sigma", [0, 0.05, 0.2])
def test_a_sigma_too_small_to_matter_says_so(photo, rng, sigma):
    blur = Blur(sigma=sigma)
    assert blur.may_be_identity
    assert np.abs(blur(photo, rng).astype(int) - photo).max() <= 1
    assert not Blur(sigma=0.3).may_be_identity
    assert not np.array_equal(Blur(sigma=0.3)(photo, rng), photo)


@pytest.mark.parametrize("sigma", [-1, 101, float("nan"), float("inf"), "1", True, None])
def test_bad_parameters(sigma):
    with pytest.raises(ValueError, match="blur sigma must be a number from 0 to 100, got"):
        Blur(sigma=sigma)


def test_registered_and_one_spelling_a_meaning():
    assert list(CORRUPTIONS.items()) == [("blur", Blur)]
    assert repr(Blur(sigma=1)) == repr(Blur()) == "Blur(sigma=1.0)"


@pytest.mark.parametrize("sigma", [0, 0.3, 1, 2, 40])
@pytest.mark.parametrize("size", [(32, 32), (17, 40), (1, 9)], ids=str)
def test_many_small_images_at_once_have_the_bits_of_each_alone(rng, sigma, size):
    images = rng.integers(0, 256, (9, *size, 3), dtype=np.uint8)
    blur = Blur(sigma=sigma)
    assert blur.batch_size(*size) >= len(images)
    for image, out in zip(images, blur.batch(list(images)), strict=True):
        assert np.array_equal(out, blur(image, rng))
        assert np.abs(out.astype(int) - (oracle(image, sigma) if sigma else image)).max() <= 1


def test_large_images_are_blurred_one_by_one():
    assert Blur().batch_size(97, 96) == 0
