"""Randomised smoothing against its closed form on a linear detector."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binom, norm

from attacks.smoothing import Smoothing

SIDE = 8
WEIGHTS = torch.randn(3 * SIDE * SIDE, generator=torch.Generator().manual_seed(3))


def linear(images):
    return (images - 0.5).flatten(1) @ WEIGHTS


def images(count, spread=0.25):
    noise = torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    return ((0.5 + spread * noise).clamp(0, 1) * 255).round() / 255


def test_the_share_of_votes_on_a_linear_detector_is_the_normal_integral():
    """P(w x + w noise > 0) = Phi(w x / (sigma |w|)) for each of 200 images."""
    smoothing = Smoothing(sigma=0.25, n=400, n0=50, clip=False)
    canvases = images(200)
    truth = norm.cdf(linear(canvases) / (smoothing.sigma * WEIGHTS.norm()))
    votes = [smoothing.votes(linear, c, i, batch_size=64) for i, c in enumerate(canvases)]
    main, pilot = (np.array([getattr(vote, name) for vote in votes]) for name in ("main", "pilot"))
    for counts, copies in ((main, 400), (pilot, 50)):
        low, high = binom.interval(1 - 1e-4 / 200, copies, truth)
        assert ((low <= counts) & (counts <= high)).all()
        # Together they leave no room for a bias of half a percent.
        z = (counts - copies * truth).sum() / np.sqrt((copies * truth * (1 - truth)).sum())
        assert abs(z) < 3.5
    assert truth.min() < 0.05
    assert truth.max() > 0.95


def test_clipping_shows_the_detector_no_value_outside_its_range():
    ranges = []

    def spy(copies):
        ranges.append((float(copies.min()), float(copies.max()), len(copies)))
        return linear(copies)

    canvas = images(1)[0]
    Smoothing(sigma=1.0, n=20, n0=5).votes(spy, canvas, 0, batch_size=8)
    assert all((low, high) == (0.0, 1.0) for low, high, _ in ranges)
    assert [size for *_, size in ranges] == [8, 8, 8, 8]
    ranges.clear()
    Smoothing(sigma=1.0, n=20, n0=5, clip=False).votes(spy, canvas, 0, batch_size=1)
    assert min(low for low, *_ in ranges) < -1
    assert {size for *_, size in ranges} == {2}


def test_votes_hang_on_the_seed_and_the_threshold_alone():
    smoothing, canvas = Smoothing(sigma=0.25, n=60, n0=10, clip=False), images(1)[0]
    one = smoothing.votes(linear, canvas, 7, batch_size=16)
    torch.manual_seed(0)
    assert smoothing.votes(linear, canvas, 7, batch_size=16) == one
    assert any(smoothing.votes(linear, canvas, seed, batch_size=16) != one for seed in range(5))
    assert smoothing.votes(linear, canvas, 7, batch_size=16, threshold=1e9) == (0, 0)
    assert smoothing.votes(linear, canvas, 7, batch_size=16, threshold=-1e9) == (10, 60)


def test_a_logit_that_is_not_finite_is_an_error_and_no_vote():
    def broken(copies):
        return torch.full((len(copies),), float("nan"))

    with pytest.raises(ValueError, match="not finite"):
        Smoothing(n=10, n0=5).votes(broken, images(1)[0], 0, batch_size=4)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sigma": 0}, "sigma must be a number from 0.001"),
        ({"n": 5}, "n must be a whole number from 10"),
        ({"n0": 0}, "n0 must be a whole number from 1"),
        ({"alpha": 0.7}, "alpha must be a number"),
        ({"clip": 1}, "clip must be true or false"),
    ],
)
def test_parameters_are_checked(wrong, said):
    with pytest.raises(ValueError, match=said):
        Smoothing(**wrong)
