"""WebP and AVIF against Pillow by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from corruptions.codecs import Avif, Webp

CROPS = [(240, 321), (64, 64), (9, 7), (1, 1), (1, 50)]


def by_hand(image: np.ndarray, **options) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, **options)
    return np.asarray(Image.open(buffer).convert("RGB"))


@pytest.mark.parametrize("crop", CROPS, ids=str)
@pytest.mark.parametrize(("quality", "method"), [(0, 4), (30, 4), (75, 4), (75, 0), (100, 6)])
def test_webp_is_pillow_bit_for_bit(photo, rng, crop, quality, method):
    image = np.ascontiguousarray(photo[: crop[0], : crop[1]])
    expected = by_hand(image, format="WEBP", quality=quality, method=method)
    assert np.array_equal(Webp(quality=quality, method=method)(image, rng), expected)


@pytest.mark.parametrize("crop", CROPS[1:], ids=str)
@pytest.mark.parametrize("quality", [0, 30, 75, 100])
@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
def test_avif_is_pillow_bit_for_bit(photo, rng, crop, quality, subsampling):
    image = np.ascontiguousarray(photo[: crop[0], : crop[1]])
    expected = by_hand(image, format="AVIF", quality=quality, subsampling=subsampling, speed=6)
    assert np.array_equal(Avif(quality=quality, subsampling=subsampling)(image, rng), expected)


def test_every_parameter_reaches_the_encoder(photo, rng):
    image = photo[:64, :64]
    outs = [
        Webp(quality=75),
        Webp(quality=76),
        Webp(quality=75, method=0),
        Avif(quality=75),
        Avif(quality=70),
        Avif(quality=75, speed=9),
        Avif(quality=75, subsampling="4:4:4"),
    ]
    assert len({out(image, rng).tobytes() for out in outs}) == len(outs)


def test_chroma_of_a_webp_is_halved(rng):
    """Independent of the encoder: one-pixel red and green columns cannot survive 4:2:0."""
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, ::2, 0], image[:, 1::2, 1] = 255, 255
    assert np.abs(Webp(quality=100)(image, rng).astype(int) - image).mean() > 20
    assert np.abs(Avif(quality=100, subsampling="4:4:4")(image, rng).astype(int) - image).mean() < 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Webp(quality=101), "webp quality must be a whole number from 0 to 100, got 101"),
        (lambda: Webp(method=7), "nearest valid one is 6"),
        (lambda: Avif(speed=11), "avif speed"),
        (lambda: Avif(subsampling="420"), "did you mean '4:2:0'"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_side_no_webp_can_hold(rng):
    with pytest.raises(
        ValueError, match="a WebP holds at most 16383 px a side, the image has 16384x1"
    ):
        Webp()(np.zeros((1, 16384, 3), np.uint8), rng)
    assert Webp()(np.zeros((1, 16383, 3), np.uint8), rng).shape == (1, 16383, 3)
