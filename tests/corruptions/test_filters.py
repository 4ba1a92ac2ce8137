"""Median, pixelate and sharpen against scipy and Pillow."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from corruptions import ranks
from corruptions.blur import Blur
from corruptions.filters import Median, Pixelate, Sharpen


@pytest.mark.parametrize("size", [3, 5, 7, 9, 11, 15])
def test_median_is_scipy_bit_for_bit(photo, rng, size):
    pictures = [
        photo[:50, :70],
        photo[:1, :9],
        photo[:2, :3],
        rng.integers(0, 256, (30, 31, 3), np.uint8),
    ]
    for image in pictures:
        theirs = ndimage.median_filter(image, (size, size, 1), mode="nearest")
        assert np.array_equal(Median(size=size)(np.ascontiguousarray(image), rng), theirs)


def test_median_does_not_depend_on_blocks(photo, rng, monkeypatch):
    whole = Median(size=5)(photo, rng)
    for size in (1, 10_000, 2**30):
        monkeypatch.setattr(ranks, "CACHE_BYTES", size)
        assert np.array_equal(Median(size=5)(photo, rng), whole)


def test_merges_sort_every_pair_of_sorted_runs():
    """A network that sorts all 0-1 inputs sorts everything (Knuth, volume 3, section 5.3.4)."""
    for left, right in itertools.product(range(1, 9), repeat=2):
        network = ranks._merge(list(range(left)), list(range(left, left + right)))
        for ones in itertools.product(range(left + 1), range(right + 1)):
            values = (
                [0] * (left - ones[0]) + [1] * ones[0] + [0] * (right - ones[1]) + [1] * ones[1]
            )
            for low, high in network:
                if values[low] > values[high]:
                    values[low], values[high] = values[high], values[low]
            assert values == sorted(values)


@pytest.mark.parametrize("scale", [0.6, 0.5, 0.4, 0.3, 0.25])
def test_pixelate_is_the_papers_bit_for_bit(photo, rng, scale):
    image = np.ascontiguousarray(photo[:224, :224])
    small = Image.fromarray(image).resize((int(224 * scale), int(224 * scale)), Image.BOX)
    assert np.array_equal(
        Pixelate(scale=scale)(image, rng), np.asarray(small.resize((224, 224), Image.BOX))
    )


@pytest.mark.parametrize(("amount", "sigma"), [(0.5, 1), (1, 2), (3, 1)])
def test_sharpen_is_the_unsharp_mask(photo, rng, amount, sigma):
    blurred = ndimage.gaussian_filter(
        photo.astype(np.float64), (sigma, sigma, 0), mode="nearest", truncate=6
    )
    theirs = np.clip(photo + amount * (photo - blurred), 0, 255)
    gap = np.abs(Sharpen(amount=amount, sigma=sigma)(photo, rng) - theirs)
    assert gap.max() <= 0.51 + amount  # the blur is rounded to half a level, one where it ties
    assert np.array_equal(Sharpen(amount=0)(photo, rng), photo)
    assert not np.array_equal(Blur(sigma=sigma)(photo, rng), photo)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Median(size=4), "must be odd, got 4; the nearest valid ones are 3 and 5"),
        (lambda: Median(size=1), "from 3 to 15, got 1"),
        (lambda: Pixelate(scale=0), "nearest valid one is 0.001"),
        (lambda: Sharpen(amount=-1), "nearest valid one is 0"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()
