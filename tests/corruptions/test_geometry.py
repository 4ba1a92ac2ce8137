"""Crops, bars, flips and rotations against numpy and Pillow by hand."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from corruptions.crop import Crop, Letterbox
from corruptions.geometry import Flip, Rotate


def test_crops_are_where_they_say(photo, rng):
    # 240 x 321 at 0.8 is 192 x 257: 48 rows and 64 columns are cut off.
    expected = {
        "centre": photo[24:216, 32:289],
        "top-left": photo[:192, :257],
        "top-right": photo[:192, 64:],
        "bottom-left": photo[48:, :257],
        "bottom-right": photo[48:, 64:],
    }
    for anchor, part in expected.items():
        assert np.array_equal(Crop(fraction=0.8, anchor=anchor)(photo, rng), part), anchor
        back = np.asarray(
            Image.fromarray(np.ascontiguousarray(part)).resize((321, 240), Image.BILINEAR)
        )
        assert np.array_equal(Crop(anchor=anchor, back=True)(photo, rng), back)
    assert Crop(size=100)(photo, rng).shape == (100, 100, 3)
    assert Crop(size=300)(photo, rng).shape == (240, 300, 3)


def test_random_crops_are_seeded_and_go_everywhere(rng):
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)[:, :, None].repeat(3, axis=2)
    crop = Crop(size=6, anchor="random")
    corners = {int(crop(image, np.random.default_rng(s))[0, 0, 0]) for s in range(200)}
    assert corners == {8 * y + x for y in range(3) for x in range(3)}
    assert np.array_equal(
        crop(image, np.random.default_rng(4)), crop(image, np.random.default_rng(4))
    )


@pytest.mark.parametrize("side", ["height", "width", "both"])
def test_letterbox_frames_the_untouched_picture(photo, rng, side):
    out = Letterbox(ratio=1.5, side=side, level=7)(photo, rng)
    tall, wide = (60 if side != "width" else 0), (80 if side != "height" else 0)
    odd = 1 if side != "height" else 0  # 321 becomes 482: 80 px on the left, 81 on the right
    padding = ((tall, tall), (wide, wide + odd), (0, 0))
    assert np.array_equal(out, np.pad(photo, padding, constant_values=7))


def test_flips_are_numpys(photo, rng):
    assert np.array_equal(Flip()(photo, rng), photo[:, ::-1])
    assert np.array_equal(Flip(axis="vertical")(photo, rng), photo[::-1])
    assert np.array_equal(Flip()(Flip()(photo, rng), rng), photo)


@pytest.mark.parametrize("angle", [0.5, 2, -8, 30, -45])
@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
def test_rotation_is_pillows_of_the_padded_picture(photo, rng, angle, kernel):
    padded = np.pad(photo, ((300, 300), (300, 300), (0, 0)), mode="edge")
    turned = Image.fromarray(padded).rotate(angle, getattr(Image, kernel.upper()))
    theirs = np.asarray(turned.crop((300, 300, 621, 540))).astype(int)
    assert np.abs(Rotate(angle=angle, kernel=kernel)(photo, rng) - theirs).max() <= 1


def test_rotation_is_scipys_counter_clockwise(photo, rng):
    image = np.ascontiguousarray(photo[:101, :101])
    theirs = ndimage.rotate(image.astype(float), 5, reshape=False, order=1, mode="nearest")
    inside = np.abs(Rotate(angle=5)(image, rng) - theirs)[10:-10, 10:-10]
    assert inside.mean() < 0.6  # Pillow's fixed point against scipy's floats
    assert np.abs(Rotate(angle=-5)(image, rng) - theirs)[10:-10, 10:-10].mean() > 5


@pytest.mark.parametrize(
    "corruption",
    [Crop(fraction=1), Crop(size=500), Letterbox(ratio=1), Rotate(angle=0)],
    ids=repr,
)
def test_what_keeps_the_picture_says_so(corruption, photo, rng):
    assert np.array_equal(corruption(photo, rng), photo)
    assert corruption.may_be_identity


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Crop(fraction=0.5, size=10), "fraction or size, not both"),
        (lambda: Crop(anchor="center"), "did you mean 'centre'"),
        (lambda: Letterbox(ratio=0.5), "nearest valid one is 1"),
        (lambda: Letterbox(side="top"), "must be one of height, width, both"),
        (lambda: Rotate(angle=90), "nearest valid one is 45"),
        (lambda: Rotate(kernel="lanczos"), "must be one of nearest, bilinear, bicubic"),
        (lambda: Flip(axis="x"), "must be one of horizontal, vertical"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()
