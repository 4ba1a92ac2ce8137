"""Pre-steps of published methods against plain numpy and scipy, and their gradients against differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from detectors.published.residuals import (
    diagonal_gradient,
    median_residual,
    resampling_residual,
)

STEPS = [diagonal_gradient, median_residual, resampling_residual]


def image(height, width, seed=0):
    return np.random.default_rng(seed).normal(size=(2, 3, height, width)).astype(np.float32)


def plain_resampling(array):
    out = np.empty_like(array)
    for row in range(array.shape[2]):
        for column in range(array.shape[3]):
            corner = array[:, :, row - row % 2, column - column % 2]
            out[:, :, row, column] = array[:, :, row, column] - corner
    return out


def plain_median(array):
    height, width = array.shape[2:]
    out = np.empty_like(array)
    for row in range(height):
        for column in range(width):
            window = np.zeros((*array.shape[:2], 3, 3), dtype=array.dtype)
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    r, c = row + down, column + right
                    if (down, right) != (0, 0) and 0 <= r < height and 0 <= c < width:
                        window[:, :, down + 1, right + 1] = array[:, :, r, c]
            middle = np.sort(window.reshape(*array.shape[:2], 9))[..., 4]
            out[:, :, row, column] = array[:, :, row, column] - middle
    return out


def plain_gradient(array):
    kernel = np.array([[-2, -1, 0], [-1, 0, 1], [0, 1, 2]], dtype=np.float32)
    return np.stack(
        [
            [ndimage.correlate(channel, kernel, mode="constant", cval=0.0) for channel in one]
            for one in array
        ]
    )


@pytest.mark.parametrize(
    ("step", "plain", "size"),
    [
        (resampling_residual, plain_resampling, (8, 6)),
        (resampling_residual, plain_resampling, (2, 2)),
        (median_residual, plain_median, (7, 9)),
        (median_residual, plain_median, (1, 1)),
        (diagonal_gradient, plain_gradient, (7, 9)),
    ],
)
def test_a_pre_step_is_what_plain_numpy_says(step, plain, size):
    array = image(*size)
    expected = plain(array)
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(step(torch.from_numpy(array)).numpy(), expected, atol=1e-6)


def test_a_median_of_equal_values_is_that_value():
    levels = torch.full((1, 3, 5, 5), 0.25)
    assert median_residual(levels)[..., 1:-1, 1:-1].abs().max() == 0


@pytest.mark.parametrize("sides", [(7, 8), (8, 7)])
def test_odd_sides_have_no_round_trip(sides):
    with pytest.raises(ValueError, match="even sides, got"):
        resampling_residual(torch.zeros(1, 3, *sides))


@pytest.mark.parametrize("step", STEPS)
def test_gradients_are_those_of_finite_differences(step):
    """In float64; drawn values are far enough apart that no step of 1e-6 changes which one is the median."""
    pixels = torch.from_numpy(image(6, 6, seed=4)).double().requires_grad_()
    assert torch.autograd.gradcheck(step, (pixels,), eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("step", STEPS)
def test_a_batch_is_what_its_images_are_alone(step):
    pixels = torch.from_numpy(image(6, 8))
    alone = torch.cat([step(one[None]) for one in pixels])
    assert torch.equal(step(pixels), alone)
