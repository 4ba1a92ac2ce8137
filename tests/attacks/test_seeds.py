"""An image's result depends on the image and its seed, not on its company."""

from __future__ import annotations

import pytest
import torch

from attacks.fgsm import FGSM
from attacks.mifgsm import MIFGSM
from attacks.pgd import PGD
from attacks.search import uniform_start
from bench import registry


def attack_in_batches(attack, toy, size, order):
    """First inputs the detector saw and the final images, put back in manifest order."""
    starts = torch.empty_like(toy.canvas)
    finals = torch.empty_like(toy.canvas)
    for rows in torch.tensor(order).split(size):
        seen = []

        def spied(images, seen=seen):
            seen.append(images.detach().clone())
            return toy.logits(images)

        seeds = [toy.seeds[i] for i in rows.tolist()]
        result = attack(spied, toy.canvas[rows], toy.labels[rows], seeds)
        starts[rows] = seen[0]
        finals[rows] = result.adversarial
    return starts, finals


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_batch_size_and_order_change_neither_start_nor_success(toy, levels):
    attack = PGD(eps=levels / 255)
    order = list(range(32))
    shuffled = torch.randperm(32, generator=torch.Generator().manual_seed(0)).tolist()
    starts, finals = attack_in_batches(attack, toy, 32, order)
    flags = toy.fooled(finals)
    with torch.no_grad():
        logits = toy.logits(finals)
    for size, rows in ((1, order), (32, shuffled), (5, shuffled), (1, shuffled[::-1])):
        other_starts, other_finals = attack_in_batches(attack, toy, size, rows)
        assert torch.equal(other_starts, starts)
        assert torch.equal(toy.fooled(other_finals), flags)
        with torch.no_grad():
            assert (toy.logits(other_finals) - logits).abs().max() < 0.05


def test_starts_fill_the_budget_and_differ_by_seed(toy):
    eps = 8 / 255
    start = uniform_start(toy.canvas, toy.seeds, eps)
    assert start.dtype == torch.float32
    assert start.device == toy.canvas.device
    assert start.abs().max() <= eps
    assert start.abs().max() > 0.99 * eps
    assert start.mean().abs() < 4 * eps / 3**0.5 / start.numel() ** 0.5
    assert start.std().item() == pytest.approx(eps / 3**0.5, rel=0.01)
    assert len({row.cpu().numpy().tobytes() for row in start}) == len(start)
    again = uniform_start(toy.canvas[:2], [toy.seeds[5], toy.seeds[0]], eps)
    assert torch.equal(again, start[[5, 0]])


def test_the_same_seeds_repeat_and_others_do_not(toy):
    attack = PGD(quantize=False)
    run = [
        attack(toy.logits, toy.canvas, toy.labels, seeds).adversarial
        for seeds in (toy.seeds, torch.tensor(toy.seeds), [-s for s in toy.seeds])
    ]
    assert torch.equal(run[0], run[1])
    assert not torch.equal(run[0], run[2])


def test_a_goal_does_not_shift_the_seeds(toy):
    starts = {}
    for goal in ("both", "evade"):
        seen = []

        def spied(images, seen=seen):
            seen.append(images.detach().clone())
            return toy.logits(images)

        PGD(goal=goal, steps=1)(spied, toy.canvas, toy.labels, toy.seeds)
        starts[goal] = seen[0]
    assert torch.equal(starts["evade"], starts["both"][toy.labels == 1])


def test_without_random_start_the_first_point_is_the_image(toy):
    attack = PGD(random_start=False, steps=1)
    starts, _ = attack_in_batches(attack, toy, 8, list(range(32)))
    assert torch.equal(starts, toy.canvas)


def test_padding_by_repeating_an_image_changes_no_success(toy):
    attack = PGD(eps=2 / 255)
    rows = [0, 1, 2, 3, 4] + [4] * 27
    padded = attack(
        toy.logits, toy.canvas[rows], toy.labels[rows], [toy.seeds[i] for i in rows]
    ).adversarial
    whole = attack(toy.logits, toy.canvas, toy.labels, toy.seeds).adversarial
    filled = toy.canvas.clone()
    filled[:5] = padded[:5]
    assert torch.equal(toy.fooled(filled)[:5], toy.fooled(whole)[:5])


@pytest.mark.parametrize("attack", [FGSM(), MIFGSM(), PGD(random_start=False)])
def test_what_says_that_it_draws_nothing_does_not_depend_on_the_seed(toy, attack):
    assert not attack.draws
    one, other = (
        attack(toy.logits, toy.canvas, toy.labels, range(first, first + len(toy.canvas)))
        for first in (0, 1000)
    )
    assert torch.equal(one.adversarial, other.adversarial)


def test_what_starts_at_random_or_does_not_say_draws():
    drawing = {name for name, attack in registry.attacks().items() if attack().draws}
    assert {"pgd", "pgd-l2", "apgd", "square"} <= drawing
    assert not {"fgsm", "mifgsm"} & drawing
