"""Statistics and seeding of the noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from corruptions.noise import CORRUPTIONS, Noise

GRAY = np.full((256, 256, 3), 128, np.uint8)


@pytest.mark.parametrize("sigma", [0.01, 0.05, 0.1])
def test_mean_and_deviation_are_as_stated(sigma):
    delta = (Noise(sigma=sigma)(GRAY, np.random.default_rng(1)).astype(float) - 128) / 255
    # Rounding to whole levels adds the variance of a uniform value one level wide.
    expected = np.sqrt(sigma**2 + 1 / 12 / 255**2)
    assert abs(delta.mean()) < 4 * expected / np.sqrt(delta.size)
    assert delta.std() == pytest.approx(expected, rel=0.01)


def test_values_follow_the_gaussian():
    delta = Noise(sigma=0.1)(GRAY, np.random.default_rng(2)).astype(float).ravel() - 128
    edges = np.array([-60.5, -40.5, -20.5, -5.5, 5.5, 20.5, 40.5, 60.5])
    seen = np.histogram(delta, np.r_[-np.inf, edges, np.inf])[0]
    expected = np.diff(np.r_[0, stats.norm.cdf(edges / 25.5), 1]) * delta.size
    assert stats.chisquare(seen, expected).pvalue > 0.001


def test_pixels_and_channels_are_independent():
    delta = Noise(sigma=0.1)(GRAY, np.random.default_rng(3)).astype(float) - 128
    channels = np.corrcoef(delta.reshape(-1, 3).T)
    neighbours = [
        np.corrcoef(delta[:, 1:].ravel(), delta[:, :-1].ravel())[0, 1],
        np.corrcoef(delta[1:].ravel(), delta[:-1].ravel())[0, 1],
    ]
    limit = 5 / 256
    assert np.abs(channels - np.eye(3)).max() < limit
    assert np.abs(neighbours).max() < limit


def test_clipped_not_wrapped():
    for level in (0, 255):
        out = Noise(sigma=0.1)(np.full_like(GRAY, level), np.random.default_rng(4)).astype(int)
        assert (out == level).mean() == pytest.approx(0.5, abs=0.02)
        assert np.abs(out - level).max() < 128


def test_the_seed_of_an_image_decides_whatever_came_before(photo):
    seeds = [11, 12, 13]
    forward = [Noise()(photo, np.random.default_rng(seed)) for seed in seeds]
    backward = [Noise()(photo, np.random.default_rng(seed)) for seed in reversed(seeds)]
    for one, other in zip(forward, reversed(backward), strict=True):
        assert np.array_equal(one, other)
    assert not np.array_equal(forward[0], forward[1])


def test_one_generator_goes_on(photo):
    rng = np.random.default_rng(11)
    assert not np.array_equal(Noise()(photo, rng), Noise()(photo, rng))


def test_zero_is_the_picture_and_says_so(photo, rng):
    assert np.array_equal(Noise(sigma=0)(photo, rng), photo)
    assert Noise(sigma=0).may_be_identity
    assert not Noise(sigma=0.001).may_be_identity
    assert not np.array_equal(Noise(sigma=0.001)(photo, rng), photo)


@pytest.mark.parametrize("sigma", [-0.1, 1.01, 12.75, float("nan"), "0.1", False, None])
def test_bad_parameters(sigma):
    with pytest.raises(ValueError, match="noise sigma must be a number from 0 to 1, got"):
        Noise(sigma=sigma)


def test_registered():
    assert list(CORRUPTIONS.items()) == [("noise", Noise)]
