"""Tone and colour against scikit-image, torchvision and Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from skimage import color, exposure
from torchvision.transforms.v2 import functional

from corruptions.color import Brightness, Contrast, Gamma, Grayscale, Posterize, Saturation


def gap(ours: np.ndarray, theirs: np.ndarray) -> int:
    return int(np.abs(ours.astype(int) - theirs).max())


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)


def array(image: torch.Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy()


@pytest.fixture
def pictures(photo, rng):
    return [photo, rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)]


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.1, 1.3, 2.0, 3.0])
def test_brightness_factor_is_torchvision_within_one_level(pictures, rng, factor):
    for image in pictures:
        theirs = array(functional.adjust_brightness(tensor(image), factor))
        assert gap(Brightness(factor=factor)(image, rng), theirs) <= 1


@pytest.mark.parametrize("value", [0.1, 0.2, 0.3, 0.4, 0.5, -0.25])
def test_brightness_value_is_skimage_hsv_within_one_level(pictures, rng, value):
    for image in pictures:
        hsv = color.rgb2hsv(image / 255)
        hsv[..., 2] = np.clip(hsv[..., 2] + value, 0, 1)
        theirs = np.rint(color.hsv2rgb(hsv) * 255)
        assert gap(Brightness(value=value)(image, rng), theirs) <= 1


@pytest.mark.parametrize("factor", [0.4, 0.3, 0.2, 0.1, 0.05, 1.5])
def test_contrast_is_the_papers_formula(pictures, rng, factor):
    for image in pictures:
        x = image / 255.0
        means = np.mean(x, axis=(0, 1), keepdims=True)
        theirs = np.rint(np.clip((x - means) * factor + means, 0, 1) * 255)
        assert gap(Contrast(factor=factor)(image, rng), theirs) <= 1


@pytest.mark.parametrize("factor", [0.0, 0.5, 0.8, 1.5])
def test_saturation_is_pillow_within_one_level(pictures, rng, factor):
    for image in pictures:
        theirs = np.asarray(ImageEnhance.Color(Image.fromarray(image)).enhance(factor))
        assert gap(Saturation(factor=factor)(image, rng), theirs) <= 1


@pytest.mark.parametrize("gamma", [0.5, 1.2, 1.5, 3.5])
def test_gamma_is_skimage_within_one_level(pictures, rng, gamma):
    for image in pictures:
        theirs = np.rint(exposure.adjust_gamma(image / 255, gamma) * 255)
        assert gap(Gamma(gamma=gamma)(image, rng), theirs) <= 1


def test_grayscale_and_posterize_are_pillow_bit_for_bit(pictures, rng):
    for image in pictures:
        picture = Image.fromarray(image)
        assert np.array_equal(
            Grayscale()(image, rng), np.asarray(picture.convert("L").convert("RGB"))
        )
        assert np.array_equal(Saturation(factor=0)(image, rng), Grayscale()(image, rng))
        for bits in range(1, 8):
            theirs = np.asarray(ImageOps.posterize(picture, bits))
            assert np.array_equal(Posterize(bits=bits)(image, rng), theirs)


def test_black_grows_gray_and_white_stays(rng):
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert (Brightness(value=0.2)(black, rng) == 51).all()
    assert (Brightness(value=0.2)(white, rng) == 255).all()
    assert (Brightness(factor=2)(black, rng) == 0).all()


@pytest.mark.parametrize(
    "corruption",
    [
        Brightness(factor=1),
        Brightness(value=0),
        Contrast(factor=1),
        Saturation(factor=1),
        Gamma(gamma=1),
        Posterize(bits=8),
    ],
    ids=repr,
)
def test_what_keeps_the_picture_says_so(corruption, photo, rng):
    assert np.array_equal(corruption(photo, rng), photo)
    assert corruption.may_be_identity


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Brightness(factor=1.2, value=0.1), "factor or value, not both"),
        (lambda: Brightness(value=2), "from -1 to 1, got 2"),
        (lambda: Contrast(factor=-0.1), "nearest valid one is 0"),
        (lambda: Gamma(gamma=0), "nearest valid one is 0.01"),
        (lambda: Posterize(bits=0), "whole number from 1 to 8"),
        (lambda: Saturation(factor=True), "must be a number"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_one_meaning_one_spelling():
    assert Brightness() == Brightness(factor=1.3)
    assert repr(Contrast(factor=1)) == repr(Contrast(factor=1.0))
