"""Resizing against Pillow by hand."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from corruptions.resize import CORRUPTIONS, Resize

KERNELS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("parameters", "small"),  # of a picture 321 px wide and 240 px high
    [
        ({}, (161, 120)),
        ({"scale": 0.25}, (80, 60)),
        ({"scale": 1.5}, (482, 360)),
        ({"size": 112}, (150, 112)),
        ({"size": 64}, (86, 64)),
        ({"size": 480}, (642, 480)),
        ({"scale": 0.001}, (1, 1)),
    ],
    ids=str,
)
def test_equal_bit_for_bit_to_pillow_by_hand(photo, rng, kernel, parameters, small):
    there = Image.fromarray(photo).resize(small, KERNELS[kernel])
    back = there.resize((321, 240), KERNELS[kernel])
    one_way = Resize(kernel=kernel, back=False, **parameters)
    assert np.array_equal(one_way(photo, rng), np.asarray(there))
    assert not one_way.keeps_size
    both_ways = Resize(kernel=kernel, **parameters)
    assert np.array_equal(both_ways(photo, rng), np.asarray(back))
    assert both_ways.keeps_size


def test_the_short_side_is_the_size_either_way_up(photo, rng):
    resize = Resize(size=100, back=False)
    assert resize(photo, rng).shape == (100, 134, 3)
    assert resize(photo.transpose(1, 0, 2), rng).shape == (134, 100, 3)


def test_kernels_differ(photo, rng):
    outs = [Resize(kernel=kernel)(photo, rng).tobytes() for kernel in KERNELS]
    assert len(set(outs)) == len(KERNELS)


@pytest.mark.parametrize(
    "resize",
    [
        Resize(scale=1),
        Resize(scale=1, back=False),
        Resize(scale=0.999),
        Resize(size=240),
        Resize(scale=2, kernel="nearest"),
        Resize(scale=3, kernel="box"),
        Resize(scale=1.7, kernel="nearest"),
    ],
    ids=repr,
)
def test_what_can_leave_a_picture_alone_says_so(photo, rng, resize):
    assert np.array_equal(resize(photo, rng), photo)
    assert resize.may_be_identity


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("scale", [0.125, 0.5, 0.9, 1.1, 2.0])
def test_what_says_it_changes_a_picture_does(photo, rng, scale, kernel):
    resize = Resize(scale=scale, kernel=kernel)
    if not resize.may_be_identity:
        for side in (8, 9, 33, 64):
            assert not np.array_equal(resize(photo[:side, :side], rng), photo[:side, :side])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"scale": 0.5, "size": 64}, "scale or size, not both"),
        ({"scale": 0}, "from 0.001 to 16, got 0; the nearest valid one is 0.001"),
        ({"scale": -0.5}, "nearest valid one is 0.001"),
        ({"scale": 17}, "nearest valid one is 16"),
        ({"scale": float("nan")}, "got nan"),
        ({"scale": "0.5"}, "got '0.5'"),
        ({"size": 0}, "nearest valid one is 1"),
        ({"size": 64.0}, "whole number"),
        ({"kernel": "bicubik"}, "did you mean 'bicubic'"),
        ({"back": 1}, "true or false, got 1"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        Resize(**parameters)


def test_growth_without_bound_is_refused(rng):
    thin = np.zeros((1, 20_000, 3), np.uint8)
    with pytest.raises(ValueError, match="20000x1 px into 10240000x512 px"):
        Resize(size=512)(thin, rng)


def test_registered_and_one_spelling_a_meaning():
    assert list(CORRUPTIONS.items()) == [("resize", Resize)]
    assert Resize() == Resize(scale=0.5)
    assert repr(Resize(scale=1)) == repr(Resize(scale=1.0))


@pytest.mark.parametrize("kernel", [name for name in KERNELS if name != "nearest"])
@pytest.mark.parametrize(
    ("parameters", "size", "small"),  # width and height
    [
        ({"scale": 0.25}, (32, 32), (8, 8)),
        ({"scale": 0.75}, (33, 17), (25, 13)),
        ({"scale": 1.4}, (31, 32), (43, 45)),
        ({"size": 20}, (20, 30), (20, 30)),
        ({"size": 20}, (9, 11), (20, 24)),
        ({"scale": 0.5}, (1, 32), (1, 16)),
        ({"scale": 0.01}, (48, 40), (1, 1)),
    ],
)
def test_many_small_images_at_once_equal_pillow_one_by_one(rng, kernel, parameters, size, small):
    width, height = size
    images = rng.integers(0, 256, (11, height, width, 3), dtype=np.uint8)
    images[5:] = images[5:] // 128 * 255  # overshoots of bicubic and lanczos are cut at 0 and 255
    for back in (False, True):
        resize = Resize(kernel=kernel, back=back, **parameters)
        assert resize.batch_size(height, width) >= len(images)
        for image, out in zip(images, resize.batch(list(images)), strict=True):
            expected = Image.fromarray(image).resize(small, KERNELS[kernel])
            expected = expected.resize(size, KERNELS[kernel]) if back else expected
            assert np.array_equal(out, np.asarray(expected))


def test_what_gains_nothing_together_goes_one_by_one():
    assert Resize(kernel="nearest").batch_size(32, 32) == 0
    assert Resize(size=64).batch_size(32, 32) == 0
    assert Resize().batch_size(64, 32) == 0
