"""JPEG without a bit stream: batches against Pillow, one image after the other."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dct

from corruptions.base import Corruption
from corruptions.blocks.roundtrip import forward, inverse
from corruptions.blocks.tables import FRACTION, cosines, quantisation
from corruptions.jpeg import SUBSAMPLINGS, Jpeg, equals_pillow
from corruptions.noise import Noise

SIZES = [(1, 1), (2, 5), (3, 4), (9, 1), (7, 8), (8, 17), (16, 16), (31, 33), (32, 32), (61, 40)]


def by_pillow(image: np.ndarray, **options) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", **options)
    return np.asarray(Image.open(buffer))


def pictures(photo: np.ndarray, height: int, width: int) -> np.ndarray:
    """Two cuts of a photo, noise, black-and-white noise, and red beside blue: what overflows first."""
    rng = np.random.default_rng(height * 100 + width)
    noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    stripes = np.zeros((height, width, 3), np.uint8)
    stripes[:, ::2, 0], stripes[:, 1::2, 2] = 255, 255
    cuts = [photo[:height, :width], photo[-height:, -width:]]
    return np.stack([*cuts, noise, noise // 128 * 255, stripes])


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_batch_equals_pillow_bit_for_bit(photo, size, subsampling):
    images = pictures(photo, *size)
    coefficients = forward(images, subsampling)
    for quality in (1, 2, 10, 29, 50, 51, 75, 88, 95, 99, 100):
        outs = inverse(coefficients, quality)
        assert outs.dtype == np.uint8
        assert outs.shape == images.shape
        for image, out in zip(images, outs, strict=True):
            expected = by_pillow(image, quality=quality, subsampling=subsampling)
            assert np.array_equal(out, expected), quality


def test_quantisation_tables_are_those_pillow_writes():
    for quality in range(1, 101):
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8)).save(buffer, "JPEG", quality=quality)
        written = Image.open(buffer).quantization
        ours = quantisation(quality).reshape(2, 64).astype(int).tolist()
        assert ours == [list(written[0]), list(written[1])], quality


def test_the_matrix_is_the_cosine_transform_to_thirteen_bits():
    exact = dct(np.eye(8), axis=0, norm="ortho") * np.sqrt(8) * 2**FRACTION
    # Up to three constants, each rounded to a whole number, add up to an entry.
    assert np.abs(cosines() - exact).max() <= 1.5
    assert np.array_equal(cosines(), np.round(cosines()))


def test_a_batch_of_the_corruption_is_what_it_does_to_each(photo, rng):
    images = list(pictures(photo, 32, 32))
    memo: dict = {}
    for quality in (30, 75):
        jpeg = Jpeg(quality=quality)
        outs = jpeg.batch(images, memo)
        assert all(np.array_equal(jpeg(i, rng), o) for i, o in zip(images, outs, strict=True))
        assert all(out.flags.c_contiguous for out in outs)
    assert len(memo) == 1  # both qualities share one transform
    jpeg = Jpeg(quality=75, subsampling="4:4:4")
    outs = jpeg.batch(images, memo)
    assert all(np.array_equal(jpeg(i, rng), o) for i, o in zip(images, outs, strict=True))


def test_only_small_images_go_together():
    assert Jpeg().batch_size(32, 32) == 64
    assert Jpeg().batch_size(64, 64) == 16
    assert Jpeg().batch_size(1, 1) == 64
    assert Jpeg().batch_size(65, 64) == 0


def test_another_libjpeg_is_noticed_and_left_to_pillow(monkeypatch):
    assert equals_pillow(75, "4:2:0")

    def elsewhere(image, quality, subsampling):
        out = by_pillow(image, quality=quality, subsampling=subsampling).copy()
        out[-1, -1, 2] ^= 1
        return out

    monkeypatch.setattr("corruptions.jpeg._saved", elsewhere)
    equals_pillow.cache_clear()
    try:
        assert Jpeg(quality=75).batch_size(32, 32) == 0
    finally:
        equals_pillow.cache_clear()


def test_what_draws_is_never_batched(photo):
    with pytest.raises(ValueError, match="noise draws, for every image alone"):
        Noise().batch([photo])


def test_a_corruption_without_a_batch_says_so(photo):
    class Same(Corruption):
        name, draws = "same", False

        def apply(self, image, _rng, /):
            return image

    assert Same().batch_size(32, 32) == 0
    with pytest.raises(NotImplementedError, match="same takes one image at a time"):
        Same().batch([photo])


def test_images_of_a_batch_are_checked_as_one_is(photo):
    with pytest.raises(ValueError, match="jpeg works on a height x width x 3 uint8 array"):
        Jpeg().batch([photo, photo.astype(np.float32)])
    with pytest.raises(ValueError, match="same shape"):
        Jpeg().batch([photo, photo[:-1]])
