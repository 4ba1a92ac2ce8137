"""Laws of shot noise, salt and pepper, and speckle."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from skimage.util import random_noise

from corruptions.impulse import SaltPepper, ShotNoise, Speckle

GRAY = np.full((256, 256, 3), 128, np.uint8)


@pytest.mark.parametrize("photons", [60, 25, 12, 5, 3])
def test_shot_noise_counts_photons(photons):
    out = ShotNoise(photons=photons)(GRAY, np.random.default_rng(1))
    counts = np.arange(4 * photons)
    levels = np.rint(np.clip(counts / photons * 255, 0, 255)).astype(int)
    seen = np.bincount(out.ravel(), minlength=256)
    expected = np.zeros(256)
    np.add.at(expected, levels, stats.poisson.pmf(counts, 128 / 255 * photons) * GRAY.size)
    assert seen[expected < 1e-9].sum() == 0
    common = expected > 50
    assert (
        stats.chisquare(
            seen[common], expected[common] * seen[common].sum() / expected[common].sum()
        ).pvalue
        > 0.001
    )


@pytest.mark.parametrize("amount", [0.03, 0.06, 0.09, 0.17, 0.27])
def test_salt_and_pepper_come_half_and_half_as_in_skimage(amount):
    out = SaltPepper(amount=amount)(GRAY, np.random.default_rng(2))
    theirs = random_noise(GRAY / 255, mode="s&p", amount=amount, rng=3) * 255
    tolerance = 4 * np.sqrt(amount / GRAY.size)
    assert set(np.unique(out)) == {0, 128, 255}
    for level in (0, 255):
        share = (out == level).mean()
        assert share == pytest.approx(amount / 2, abs=tolerance)
        assert share == pytest.approx((theirs == level).mean(), abs=2 * tolerance)


@pytest.mark.parametrize("sigma", [0.05, 0.15, 0.2])
def test_speckle_grows_with_the_value(sigma):
    for level in (40, 128):
        image = np.full_like(GRAY, level)
        delta = Speckle(sigma=sigma)(image, np.random.default_rng(4)).astype(float) - level
        expected = np.sqrt((sigma * level) ** 2 + 1 / 12)
        assert abs(delta.mean()) < 4 * expected / np.sqrt(delta.size)
        assert delta.std() == pytest.approx(expected, rel=0.01)
    assert not Speckle(sigma=0.5)(np.zeros_like(GRAY), np.random.default_rng(5)).any()


@pytest.mark.parametrize("kind", [ShotNoise, SaltPepper, Speckle])
def test_the_seed_of_an_image_decides(kind, photo):
    first, again, other = (kind()(photo, np.random.default_rng(s)) for s in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ShotNoise(photons=0), "nearest valid one is 0.1"),
        (lambda: SaltPepper(amount=1.5), "nearest valid one is 1"),
        (lambda: Speckle(sigma=float("nan")), "got nan"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()
