"""Augmentations are the corruptions themselves: the same pixels, drawn by (seed, epoch, image) alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from bench.errors import BenchError
from bench.training.images.augment import Draws, parse_augmentation


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (32, 40, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("jpeg(30..100)", "jpeg(quality=30..100)"),
        (" jpeg( quality = 30 .. 100 ) @ .5", "jpeg(quality=30..100)@0.5"),
        ("flip@0.5", "flip@0.5"),
        ("rotate(angle=-15..15)", "rotate(angle=-15..15)"),
        ("crop(fraction=0.8..1,back=true)", "crop(back=true,fraction=0.8..1)"),
        ("jpeg(75)", "jpeg(quality=75)"),
    ],
)
def test_every_spelling_has_one_canonical_form(text, canonical):
    assert str(parse_augmentation(text)) == canonical
    assert str(parse_augmentation(canonical)) == canonical


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("jpg(30..100)", "did you mean 'jpeg'"),
        ("jpeg(0..100)", "jpeg quality"),
        ("jpeg(30..101)", "jpeg quality"),
        ("jpeg(100..30)", "runs backwards"),
        ("flip@1.5", "above 0 and at most 1"),
        ("flip@0", "above 0 and at most 1"),
        ("blur(size=1..2)", "no parameter 'size'"),
        ("fgsm(eps=1..2)", "no corruption called 'fgsm'"),
        ("jpeg(30..100", "write name"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_training(text, says):
    with pytest.raises(BenchError, match=says):
        parse_augmentation(text)


def test_a_drawn_jpeg_is_pillow_s_at_some_whole_quality_of_the_range():
    draws = Draws([parse_augmentation("jpeg(30..33)")], seed=1, epoch=0, count=64)
    image = picture()

    def pillow(quality):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
        return np.asarray(Image.open(buffer)).tobytes()

    known = {pillow(q): q for q in range(30, 34)}
    found = [known[draws.apply(image, row).tobytes()] for row in range(64)]
    assert set(found) == {30, 31, 32, 33}


def test_the_probability_is_that_of_the_images():
    draws = Draws([parse_augmentation("flip@0.3")], seed=2, epoch=0, count=4000)
    share = draws.wanted(np.arange(4000), 0).mean()
    assert abs(share - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 4000)


def test_draws_depend_on_seed_epoch_and_image_only():
    chain = [
        parse_augmentation("noise(sigma=0.02..0.1)@0.5"),
        parse_augmentation("rotate(-10..10)"),
    ]
    image = picture(3)
    first = Draws(chain, 5, 2, 20)
    forwards = [first.apply(image, row) for row in range(20)]
    again = Draws(chain, 5, 2, 20)
    backwards = [again.apply(image, row) for row in reversed(range(20))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forwards, backwards, strict=True))
    other = Draws(chain, 5, 3, 20)
    assert not np.array_equal(other.apply(image, 0), forwards[0])
