"""Query attacks: verdicts alone are enough, and each image says after how many it fell."""

from __future__ import annotations

import pytest
import torch

from attacks.rays import RayS
from attacks.square import Square

# Quarters of the picture, another sign each: what a low-frequency change moves.
QUARTERS = torch.kron(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]), torch.ones(8, 8))
IMAGES = torch.randint(60, 196, (16, 3, 16, 16), generator=torch.Generator().manual_seed(2)) / 255


def quarters(images):
    moved = ((images - 0.5) * QUARTERS).mean((1, 2, 3))
    return moved + 5 * moved**3


LABELS = (quarters(IMAGES) > 0).long()  # all are right


def run(attack, logit_fn=quarters, rows=slice(None)):
    return attack(logit_fn, IMAGES[rows], LABELS[rows], list(range(16))[rows])


def fallen(result, rows=slice(None)):
    return (quarters(result.adversarial) > 0) != (LABELS[rows] == 1)


def test_rays_goes_by_verdicts_alone():
    attack = RayS(eps=2 / 255, queries=60)
    told = run(attack, lambda images: torch.where(quarters(images) > 0, 1.0, -1.0))
    assert torch.equal(told.adversarial, run(attack).adversarial)
    assert fallen(told).sum() >= 4


@pytest.mark.parametrize("kind", [RayS, Square])
def test_the_queries_of_an_image_are_those_until_it_fell(kind):
    options = {} if kind is RayS else {"stop": "success"}
    attack = kind(eps=2 / 255, queries=40, **options)
    whole = run(attack)
    fell = fallen(whole)
    assert fell.any()
    assert (whole.steps[~fell] == 40).all()
    row = int((fell & (whole.steps > 1)).nonzero()[0])
    asked = []

    def counted(images):
        asked.append(len(images))
        return quarters(images)

    one = slice(row, row + 1)
    alone = run(attack, counted, one)
    assert asked == [1] * int(alone.steps)
    assert int(alone.steps) == int(whole.steps[row])
    if kind is RayS:  # its path does not depend on the budget of queries
        needed = int(whole.steps[row])
        assert fallen(run(RayS(eps=2 / 255, queries=needed)))[row]


def test_rays_finds_the_ray_of_a_linear_detector():
    """Signs of halves and quarters are all there is to find: the border is at |z| over the L1 norm."""
    signs = torch.ones(3, 16, 16)
    signs[:, :8] = -1
    signs[0, 8:, 8:] = -1

    def linear(images):
        return ((images - 0.5) * signs).flatten(1).sum(1)

    images = torch.full((2, 3, 16, 16), 128 / 255)
    images[:, :, 8:] = 138 / 255
    labels = (linear(images) > 0).long()
    border = float(linear(images)[0].abs()) / signs.numel()
    eps = (int(border * 255) + 2) / 255
    done = RayS(eps=eps, queries=300)(linear, images, labels, [0, 1])
    assert ((linear(done.adversarial) > 0) != (labels == 1)).all()
