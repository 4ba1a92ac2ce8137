"""Laundering without a network: thumbnail, collage, deep-fry, JPEG 2000, super-resolution, denoising."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.signal import wiener

from corruptions.codecs import Jpeg2000
from corruptions.denoise import Denoise
from corruptions.repost import Collage, DeepFry, Thumbnail
from corruptions.superresolution import SuperResolution


@pytest.mark.parametrize("crop", [(240, 321), (64, 64), (9, 7), (1, 1)], ids=str)
@pytest.mark.parametrize("rate", [4.0, 20.0, 64.0])
def test_jpeg2000_is_pillow_bit_for_bit(photo, rng, crop, rate):
    image = np.ascontiguousarray(photo[: crop[0], : crop[1]])
    buffer = io.BytesIO()
    Image.fromarray(image).save(
        buffer, "JPEG2000", quality_mode="rates", quality_layers=[rate], irreversible=True
    )
    expected = np.asarray(Image.open(buffer).convert("RGB"))
    assert np.array_equal(Jpeg2000(rate=rate)(image, rng), expected)


def test_a_jpeg2000_of_a_large_picture_keeps_its_rate(photo):
    """Independent of the pixels: the file is as small as the rate says, within its header."""
    buffer = io.BytesIO()
    Image.fromarray(photo).save(
        buffer, "JPEG2000", quality_mode="rates", quality_layers=[16.0], irreversible=True
    )
    assert photo.nbytes / 18 < len(buffer.getvalue()) < photo.nbytes / 16 + 500


def test_thumbnail_is_pillow_by_hand(photo, rng):
    height, width = photo.shape[:2]
    small = Image.fromarray(photo).resize(
        (int(width * 0.25 + 0.5), int(height * 0.25 + 0.5)), Image.Resampling.BICUBIC
    )
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=60, subsampling="4:2:0")
    back = Image.open(buffer).resize((width, height), Image.Resampling.BICUBIC)
    assert np.array_equal(Thumbnail(scale=0.25, quality=60)(photo, rng), np.asarray(back))
    side = min(height, width)
    assert np.array_equal(
        Thumbnail(size=side // 4)(photo[:side, :side], rng),
        Thumbnail(scale=(side // 4) / side)(photo[:side, :side], rng),
    )


def test_tiles_of_a_collage_are_the_picture_shrunk_and_mirrored(photo, rng):
    image = np.ascontiguousarray(photo[:200, :240])
    out = Collage(gap=0)(image, rng)
    tile = np.asarray(Image.fromarray(image).resize((120, 100), Image.Resampling.LANCZOS))
    assert np.array_equal(out[:100, :120], tile)
    assert np.array_equal(out[:100, 120:], tile[:, ::-1])
    assert np.array_equal(out[100:, :120], tile[:, ::-1])
    assert np.array_equal(out[100:, 120:], tile)
    spaced = Collage(grid=3, gap=0.05, level=7)(image, rng)
    assert (spaced[:, 70:80] == 7).all()
    assert (spaced[56:66] == 7).all()
    assert (spaced[-1] != 7).any()


def test_deep_fry_is_its_chain_by_pillow_and_numpy(photo, rng):
    image = np.ascontiguousarray(photo[:96, :96])
    fried = DeepFry(contrast=1.4, saturation=1, amount=0, quality=25, rounds=2)(image, rng)
    expected = image
    for _ in range(2):
        means = expected.mean(axis=(0, 1))
        stretched = np.rint(np.clip(means + (expected - means) * 1.4, 0, 255)).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(stretched).save(buffer, "JPEG", quality=25, subsampling="4:2:0")
        expected = np.asarray(Image.open(buffer))
    assert np.array_equal(fried, expected)


def test_super_resolution_shrinks_to_what_was_kept(photo, rng):
    """Back-projection's own claim, held by Pillow: nearer to the small picture than bicubic is."""
    image = np.ascontiguousarray(photo[:120, :160] // 2 + 60)  # Pillow clips between its two passes
    small = np.asarray(Image.fromarray(image).resize((80, 60), Image.Resampling.LANCZOS)).astype(
        int
    )

    def error(iterations):
        large = SuperResolution(scale=0.5, iterations=iterations)(image, rng)
        again = Image.fromarray(large).resize((80, 60), Image.Resampling.LANCZOS)
        return np.abs(np.asarray(again).astype(int) - small).mean()

    bicubic = Image.fromarray(small.astype(np.uint8)).resize((160, 120), Image.Resampling.BICUBIC)
    plain = SuperResolution(scale=0.5, iterations=0)(image, rng)
    assert (
        np.abs(plain.astype(int) - np.asarray(bicubic)).max() <= 2
    )  # Pillow rounds between passes
    assert error(5) < error(1) < error(0)
    assert error(5) < 0.5


def test_denoise_is_scipys_wiener_inside(photo, rng):
    image = np.ascontiguousarray(photo[:80, :90])
    out = Denoise(sigma=12, window=5)(image, rng)
    for channel in range(3):
        expected = wiener(image[..., channel].astype(np.float64), 5, noise=12.0**2)
        inside = np.abs(out[2:-2, 2:-2, channel] - expected[2:-2, 2:-2])
        assert inside.max() <= 0.51


def test_denoise_takes_noise_off(photo, rng):
    flat = np.full((64, 64, 3), 120.0)
    noisy = np.clip(flat + rng.normal(0, 10, flat.shape), 0, 255).astype(np.uint8)
    assert Denoise(sigma=10)(noisy, rng).std() < 0.45 * noisy.std()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Jpeg2000(rate=0), "jpeg2000 rate must be a number from 1 to 1000, got 0"),
        (lambda: Thumbnail(scale=0.5, size=64), "scale or size, not both"),
        (lambda: Thumbnail(size=0), "must be a whole number from 1 to 16384"),
        (lambda: Collage(grid=1), "collage grid must be a whole number from 2 to 16"),
        (lambda: DeepFry(contrast=0.5), "the nearest valid one is 1"),
        (lambda: SuperResolution(scale=2), "super-resolution scale"),
        (lambda: Denoise(window=4), "denoise window must be odd, got 4"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()
