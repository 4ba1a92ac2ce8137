"""What an attack says it costs and what it is without a budget, for every registered attack."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from attacks.apgd import APGD, APGDL2
from attacks.base import FORWARDS_PER_GRADIENT
from attacks.ensemble import Ensemble
from attacks.fgsm import FGSM
from attacks.mifgsm import MIFGSM
from attacks.pgd import PGD, PGDL2
from attacks.square import Square
from attacks.transfer import Transfer
from bench.registry import attacks

SHORT = {"steps": 4, "queries": 12, "n_queries": 12, "nb_sample": 70, "num_iter_set": 3}


def short(name):
    kind = attacks()[name]
    fields = {field.name for field in dataclasses.fields(kind)}
    return kind(**{key: value for key, value in SHORT.items() if key in fields})


class Counted:
    """A linear detector so sure that nothing fools it, which counts what it is asked."""

    def __init__(self, bias=0.0):
        self.bias, self.gradients, self.queries = bias, 0, 0

    def __call__(self, images):
        if images.requires_grad and torch.is_grad_enabled():
            self.gradients += len(images)
        else:
            self.queries += len(images)
        weights = torch.linspace(-1, 1, images[0].numel()).reshape_as(images[0])
        return (weights * images).mean((1, 2, 3)) + self.bias


def cost(attack, logits):
    canvas = torch.full((1, 3, 15, 15), 128 / 255)
    attack(logits, canvas, torch.tensor([1]), [7])
    return logits.gradients, logits.queries


@pytest.mark.parametrize("name", attacks())
def test_an_image_that_stands_firm_costs_what_the_attack_says(name):
    attack = short(name)
    gradients, queries = cost(attack, Counted(bias=9.0))
    if name == "torchattacks/CW":  # gives up where its cost no longer falls
        assert (gradients, queries) <= (attack.gradients, attack.queries)
    else:
        assert (gradients, queries) == (attack.gradients, attack.queries)
    assert attack.passes == FORWARDS_PER_GRADIENT * attack.gradients + attack.queries > 0


@pytest.mark.parametrize("name", attacks())
def test_an_image_that_gives_way_costs_no_more(name):
    attack = short(name)
    gradients, queries = cost(attack, Counted(bias=0.001))
    assert gradients <= attack.gradients
    assert queries <= attack.queries
    if not attack.stops_early:
        assert (gradients, queries) == (attack.gradients, attack.queries)


@pytest.mark.parametrize(
    "attack",
    [
        PGD(steps=3, restarts=2), PGD(steps=3, restarts=2, keep="last"), PGD(steps=3, keep="last"),
        PGD(steps=3, samples=4), PGDL2(steps=3, samples=2, restarts=3), APGD(steps=3, restarts=2),
        APGDL2(steps=30), MIFGSM(steps=3), Square(queries=9), Ensemble(members="fgsm+pgd+square"),
        Transfer(method="apgd", steps=3), Transfer(method="fgsm"),
    ],
    ids=repr,
)  # fmt: skip
def test_restarts_samples_members_and_methods_are_counted(attack):
    assert cost(attack, Counted(bias=9.0)) == (attack.gradients, attack.queries)


@pytest.mark.parametrize("quantize", [True, False])
def test_an_early_stop_is_counted_at_its_longest(quantize):
    attack = PGD(steps=5, restarts=2, stop="success", quantize=quantize)
    assert attack.gradients == 10
    assert attack.queries == (12 if quantize else 2)
    gradients, queries = cost(attack, Counted(bias=0.001))
    assert 0 < gradients < attack.gradients
    assert queries < attack.queries


def test_only_one_step_attacks_are_not_iterative():
    one_step = {name for name, kind in attacks().items() if not kind.iterative}
    assert one_step == {"fgsm", "torchattacks/FGSM", "torchattacks/FFGSM"}


@pytest.mark.parametrize("name", attacks())
def test_without_a_budget_an_attack_has_the_whole_range(name):
    attack = attacks()[name](goal="evade")
    free = attack.unbounded(300)
    assert free.eps == (1.0 if attack.norm == "linf" else math.sqrt(300))
    assert isinstance(free, type(attack))
    assert free.goal == "evade"
    assert free.steps >= attack.steps


def test_without_a_budget_pgd_walks_from_the_image_in_small_steps():
    free = PGD(eps=8 / 255, step=0.01, restarts=3, steps=40, loss="ce").unbounded(300)
    assert free == PGD(eps=1.0, step=0.02, random_start=False, steps=40, loss="ce")
    assert PGDL2().unbounded(400) == PGDL2(eps=20.0, step=0.4, random_start=False, steps=25)
    assert MIFGSM().unbounded(300) == MIFGSM(eps=1.0, step=0.02, steps=25)
    members = Ensemble(members="fgsm+pgd").unbounded(300).attacks()
    assert members == [FGSM(eps=1.0), PGD().unbounded(300)]


@pytest.mark.parametrize("attack", [PGD(), PGDL2(), MIFGSM(), APGD(), APGDL2(steps=5)], ids=repr)
def test_without_a_budget_a_detector_that_stood_firm_gives_way(toy, attack):
    def sure(images):
        return toy.logits(images) + 4 * (2 * toy.labels - 1)

    free = attack.unbounded(toy.canvas[0].numel())
    moved = free(sure, toy.canvas, toy.labels, toy.seeds).adversarial
    with torch.no_grad():
        wrong = (sure(moved) > 0) != (toy.labels == 1)
    assert bool(wrong.all())


def test_a_search_that_keeps_the_last_iterate_may_stop_early():
    """All images fooled before the last step: nothing is left to move."""
    attack = PGD(eps=0.5, keep="last", stop="success")
    result = attack(
        Counted(0.001), torch.full((3, 3, 8, 8), 128 / 255), torch.ones(3).long(), range(3)
    )
    assert bool((result.steps < attack.steps).all())
