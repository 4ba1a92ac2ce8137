from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.inference.batches import auto_batch, batches


def canvases(n, side=4):
    return [np.full((3, side, side), i, np.uint8) for i in range(n)]


@pytest.mark.parametrize(("n", "size"), [(1, 1), (5, 1), (7, 3), (8, 4), (3, 32)])
def test_every_canvas_is_in_one_batch_and_all_batches_have_one_shape(n, size):
    found = list(batches(canvases(n), size))
    assert [row for batch in found for row in batch.rows] == list(range(n))
    assert {len(batch.images) for batch in found} == {max(size, 2)}
    for batch in found:
        assert np.array_equal(batch.images[:, 0, 0, 0], batch.index)
        assert np.array_equal(batch.index[: len(batch.rows)], batch.rows)


def test_gaps_are_left_out_and_shapes_kept_apart():
    mixed = [None, *canvases(3), None, *canvases(2, side=6)]
    found = [(list(b.rows), b.images.shape[-1]) for b in batches(mixed, 2)]
    assert found == [([1, 2], 4), ([3], 4), ([5, 6], 6)]


def test_pixels_become_unit_floats_and_floats_stay():
    batch = next(batches([np.full((3, 2, 2), 255, np.uint8)], 2))
    assert torch.equal(batch.tensor(torch.device("cpu")), torch.ones(2, 3, 2, 2))
    fine = np.full((3, 2, 2), 0.123456, np.float32)
    assert float(next(batches([fine], 2)).tensor(torch.device("cpu")).max()) == pytest.approx(
        0.123456
    )


def test_larger_canvases_come_in_smaller_batches_on_a_cpu():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert [auto_batch(side, cpu) for side in (32, 64, 224, 512, 4096, None)] == [
        32,
        32,
        16,
        4,
        2,
        8,
    ]
    assert auto_batch(224, cuda) == 128
