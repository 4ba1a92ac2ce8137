"""Restarts, best iterate, early stop, several attacks at once, rounding in L2."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from attacks.apgd import APGD, APGDL2
from attacks.base import NotAttackableError
from attacks.budget import to_grid
from attacks.ensemble import Ensemble
from attacks.fgsm import FGSM
from attacks.gradient import margin_loss as hurt
from attacks.mifgsm import MIFGSM
from attacks.pgd import PGD, PGDL2
from attacks.square import Square

EVERY = [
    FGSM(), PGD(), PGD(stop="success"), PGD(restarts=2, steps=3), PGDL2(), MIFGSM(), APGD(), APGDL2(),
    Square(queries=40), Square(queries=40, stop="success"), Ensemble(members="fgsm+mifgsm"),
]  # fmt: skip


def run(attack, toy, **changes):
    inputs = {"canvas": toy.canvas, "labels": toy.labels, "seeds": toy.seeds, **changes}
    return attack(toy.logits, **inputs)


def harm(toy, images):
    with torch.no_grad():
        return hurt(toy.logits(images), toy.labels)


@pytest.mark.parametrize("attack", EVERY, ids=lambda a: f"{a.name}-{getattr(a, 'stop', '')}")
def test_budget_grid_and_goal_hold_for_every_attack(attack, toy):
    result = run(attack, toy)
    size = result.linf if attack.norm == "linf" else result.l2
    assert size.max() <= attack.eps * (1 + 1e-6)
    assert bool((size > 0).all())
    assert bool((result.steps > 0).all())
    levels = result.adversarial.double() * 255
    assert (levels - levels.round()).abs().max() < 1e-4
    fakes = run(type(attack)(**{**parameters(attack), "goal": "evade"}), toy)
    assert torch.equal(fakes.adversarial[toy.labels == 0], toy.canvas[toy.labels == 0])
    assert torch.equal(fakes.attacked, toy.labels == 1)


def parameters(attack):
    return {f.name: getattr(attack, f.name) for f in dataclasses.fields(attack)}


@pytest.mark.parametrize("attack", EVERY, ids=lambda a: f"{a.name}-{getattr(a, 'stop', '')}")
def test_an_image_does_not_care_for_its_neighbours(attack, toy):
    """One at a time and all at once: the same flags, whatever the batch size."""
    together = run(attack, toy)
    for row in (0, 3, 9):
        part = slice(row, row + 1)
        alone = attack(toy.logits, toy.canvas[part], toy.labels[part], toy.seeds[part])
        assert (alone.adversarial - together.adversarial[part]).abs().mean() < 1e-3
        assert toy.fooled(together.adversarial)[row] == toy.fooled(
            torch.cat([toy.canvas[:row], alone.adversarial, toy.canvas[row + 1 :]])
        )[row] | torch.tensor(False)


def test_the_best_iterate_is_never_worse_than_the_last(toy):
    """A logit that rises and falls along the gradient, so that long steps pass its summit."""

    def waves(images):
        return 10 * torch.sin(40 * images.mean((1, 2, 3)))

    def found(keep):
        attack = PGD(eps=0.1, steps=8, step=0.06, quantize=False, keep=keep)
        moved = attack(waves, toy.canvas, toy.labels, toy.seeds).adversarial
        return hurt(waves(moved), toy.labels)

    best, last = found("best"), found("last")
    assert bool((best >= last).all())
    assert bool((best > last + 0.1).any())


def test_more_restarts_are_never_worse_and_start_with_the_same_one(toy):
    common = {"eps": 1 / 255, "steps": 3, "quantize": False}
    one, four = (run(PGD(**common, restarts=n), toy) for n in (1, 4))
    assert bool((harm(toy, four.adversarial) >= harm(toy, one.adversarial)).all())
    assert bool((harm(toy, four.adversarial) > harm(toy, one.adversarial)).any())
    assert four.steps.tolist() == [12] * 32


@pytest.mark.parametrize("eps", [1 / 255, 4 / 255])
@pytest.mark.parametrize("restarts", [1, 2])
def test_of_one_logit_apgd_takes_the_same_steps_by_either_loss(toy, eps, restarts):
    """The cross-entropy rises with the margin, and APGD goes by the direction of the gradient alone."""
    plain = {"eps": eps, "restarts": restarts, "quantize": False}
    margin, entropy = (run(APGD(**plain, loss=loss), toy) for loss in ("margin", "ce"))
    assert torch.equal(margin.adversarial, entropy.adversarial)
    assert torch.equal(margin.steps, entropy.steps)
    # Ten times as sure, the same detector of the same verdicts: one attack goes on, the other must give up.
    sure = dataclasses.replace(toy, net=torch.nn.Sequential(toy.net, Times(10)))
    assert torch.equal(
        toy.fooled(run(APGD(**plain), sure).adversarial), toy.fooled(margin.adversarial)
    )
    with pytest.raises(NotAttackableError, match="cross-entropy is saturated"):
        run(APGD(**plain, loss="ce"), sure)


class Times(torch.nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, logits):
        return self.factor * logits


@pytest.mark.parametrize("kind", [PGD, PGDL2])
@pytest.mark.parametrize("scale", [0.5, 1, 4])
def test_early_stop_has_the_success_of_the_full_length_with_fewer_gradients(toy, kind, scale):
    eps = scale * (1 / 255 if kind is PGD else 0.15)
    attacks = [kind(eps=eps, quantize=scale >= 1, stop=stop) for stop in ("never", "success")]
    full, early = (run(attack, toy) for attack in attacks)
    assert toy.fooled(early.adversarial).sum() >= toy.fooled(full.adversarial).sum()
    assert bool((early.steps <= full.steps).all())
    if scale == 4:
        assert early.steps.float().mean() < 0.6 * full.steps.float().mean()
    assert [attack.stops_early for attack in attacks] == [False, True]


def test_square_needs_no_gradient_and_is_counted_in_queries(toy):
    canvas = (
        torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 255
    ).round() / 255
    labels = (rounded_logits(canvas) > 0).long()
    attack = Square(eps=16 / 255, queries=150, stop="success")
    assert attack.threat.knowledge == "black-box"
    result = attack(rounded_logits, canvas, labels, range(8))
    flipped = (rounded_logits(result.adversarial) > 0).long() != labels
    assert flipped.sum() >= 6
    assert bool((result.steps[flipped] < 150).any())
    assert bool((result.steps[~flipped] == 150).all())
    with pytest.raises(NotAttackableError):
        PGD()(rounded_logits, canvas, labels, range(8))


def rounded_logits(images):
    """No gradient, and no checkerboard either: red against blue, in whole levels."""
    levels = (images * 255).round()
    return levels[:, 0].mean((1, 2)) - levels[:, 2].mean((1, 2))


def test_an_ensemble_is_the_worst_of_its_members_image_by_image(toy):
    members = Ensemble(eps=1 / 255, members="fgsm+pgd:ce+apgd")
    assert [attack.name for attack in members.attacks()] == ["fgsm", "pgd", "apgd"]
    whole = run(members, toy)
    fgsm = run(FGSM(eps=1 / 255), toy)
    assert bool((harm(toy, whole.adversarial) >= harm(toy, fgsm.adversarial)).all())
    assert whole.steps.tolist() == [1 + 10 + 21] * 32


def test_rounding_in_l2_keeps_what_is_smaller_than_half_a_level(toy):
    """At 224 px an L2 budget of 0.5 is a third of a level a value: rounding alone would leave nothing."""
    canvas = (
        torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 200 + 20
    ).round()
    canvas /= 255
    direction = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    delta = 0.1 * direction / direction.flatten(1).norm(dim=1).reshape(3, 1, 1, 1)
    assert (delta.abs() * 255).max() < 1.5
    moved = to_grid(canvas + delta, canvas, 0.1, "l2") - canvas
    lengths = moved.flatten(1).norm(dim=1)
    assert bool((lengths <= 0.1 * (1 + 1e-6)).all())
    assert bool((lengths > 0.099).all())
    along = (moved * delta).flatten(1).sum(1) / (0.1 * 0.1)
    best = best_levels(delta[0], 0.1)
    assert along[0] >= 0.99 * float((best * delta[0]).sum() / 0.01)


def best_levels(delta, length):
    """The same by sorting: single levels in order of size, as many as the length holds."""
    flat = delta.flatten()
    order = flat.abs().argsort(descending=True)
    count = int((length * 255) ** 2)
    chosen = torch.zeros_like(flat)
    chosen[order[:count]] = flat[order[:count]].sign() / 255
    return chosen.reshape_as(delta)


def test_all_randomness_is_the_seeds(toy):
    for attack in EVERY:
        state = torch.get_rng_state()
        one, two = run(attack, toy), run(attack, toy)
        assert torch.equal(one.adversarial, two.adversarial)
        assert torch.equal(torch.get_rng_state(), state)


def test_averaged_gradients_see_through_a_detector_that_draws(toy):
    """Weights that swing far more than they are large: one gradient's signs are chance."""
    generator = torch.Generator().manual_seed(5)
    weights = torch.randn(toy.canvas.shape[1:], generator=generator)

    def drawn(images):
        swing = 5 * torch.randn(weights.shape, generator=generator)
        return ((weights + swing).to(images) * images).sum((1, 2, 3))

    common = {"eps": 4 / 255, "steps": 2, "random_start": False, "keep": "last"}

    def reached(attack):
        moved = attack(drawn, toy.canvas, toy.labels, toy.seeds).adversarial
        change = (weights.to(moved) * (moved - toy.canvas)).sum((1, 2, 3))
        return float(hurt(change, toy.labels).mean())

    one, many = PGD(**common), PGD(**common, samples=50)
    assert reached(many) > 3 * reached(one)
    assert many.passes == 50 * one.passes
