"""Attacks of torchattacks by name: the published result, with our budget, seeds and refusals."""

from __future__ import annotations

import inspect
import random

import numpy as np
import pytest
import torch
import torchattacks

from attacks.base import NotAttackableError
from attacks.catalogue import ATTACKS, PREFIX, REFUSED, refusal
from bench.errors import BenchError
from bench.protocol.condition import parse

QUICK = {"SPSA": {"nb_sample": 8}, "Square": {"n_queries": 30}}


def make(name, **parameters):
    return ATTACKS[PREFIX + name](**{**QUICK.get(name, {}), **parameters})


def test_every_attack_of_the_library_is_offered_or_refused_with_a_reason():
    offered = {name.removeprefix(PREFIX) for name in ATTACKS}
    published = {
        name
        for name, value in vars(torchattacks).items()
        if inspect.isclass(value) and name != "Attack"
    }
    assert offered | set(REFUSED) == published
    assert not offered & set(REFUSED)


@pytest.mark.parametrize("name", [name.removeprefix(PREFIX) for name in ATTACKS])
def test_defaults_are_the_published_ones(name):
    signature = inspect.signature(getattr(torchattacks, name)).parameters
    renamed = {"eps": "max_epsilon"} if name.startswith("PIFGSM") else {}
    attack = ATTACKS[PREFIX + name]()
    for field in attack.__dataclass_fields__:
        published = signature.get(renamed.get(field, field))
        if published is not None and field != "norm":
            assert getattr(attack, field) == pytest.approx(published.default), field


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_work_is_refused_with_the_reason(name):
    with pytest.raises(BenchError, match="is not offered: "):
        parse(f"torchattacks/{name}")
    assert refusal(PREFIX + name)
    assert refusal("pgd") is None


def test_a_misspelt_one_suggests_the_nearest():
    with pytest.raises(BenchError, match="torchattacks/CW"):
        parse("torchattacks/CV")


@pytest.mark.parametrize("name", ["BIM", "MIFGSM", "PGDL2", "VMIFGSM", "NIFGSM"])
def test_results_are_those_of_the_library_on_each_image_alone(toy, name):
    given = {"random_start": False} if name == "PGDL2" else {}
    attack = make(name, quantize=False, **given)
    rows = slice(0, 4)
    ours = attack(toy.logits, toy.canvas[rows], toy.labels[rows], toy.seeds[rows]).adversarial
    for row in range(4):
        part = slice(row, row + 1)
        oracle = getattr(torchattacks, name)(toy.two_logits(), **given)
        theirs = oracle(toy.canvas[part], toy.labels[part])
        assert torch.allclose(ours[part], theirs, atol=1e-6)


@pytest.mark.parametrize("name", [name.removeprefix(PREFIX) for name in ATTACKS])
def test_randomness_is_the_images_own_and_the_callers_is_left_alone(toy, name):
    rows = slice(0, 3)
    attack = make(name)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    python_state = random.getstate()
    several = attack(toy.logits, toy.canvas[rows], toy.labels[rows], toy.seeds[rows])
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert random.getstate() == python_state
    assert all(p.grad is None for p in toy.net.parameters())
    torch.rand(5)
    part = slice(2, 3)
    alone = attack(toy.logits, toy.canvas[part], toy.labels[part], toy.seeds[part])
    assert torch.equal(alone.adversarial, several.adversarial[part])
    size = several.linf if attack.norm == "linf" else several.l2
    assert size.max() <= attack.eps * (1 + 1e-6)
    assert bool((several.steps > 0).all())


@pytest.mark.parametrize("name", ["CW", "DeepFool"])
def test_minimal_attacks_fool_after_rounding_too(toy, name):
    rows = slice(0, 12)
    attack = make(name, eps=2.0)
    assert attack.stops_early
    moved = attack(toy.logits, toy.canvas[rows], toy.labels[rows], toy.seeds[rows])
    whole = torch.cat([moved.adversarial, toy.canvas[12:]])
    oracle = getattr(torchattacks, name)(toy.two_logits())
    one_by_one = [oracle(toy.canvas[i : i + 1], toy.labels[i : i + 1]) for i in range(12)]
    theirs = toy.fooled(torch.cat([*one_by_one, toy.canvas[12:]])).sum()
    assert toy.fooled(whole).sum() >= theirs > 3
    assert moved.l2.median() < 1.0


@pytest.mark.parametrize("name", ["PGD", "CW", "BIM", "FAB"])
def test_a_dead_gradient_is_no_robustness_here_either(toy, name):
    with pytest.raises(NotAttackableError, match="zero"):
        make(name)(lambda x: toy.logits((x * 255).round()), toy.canvas, toy.labels, toy.seeds)


def test_saturated_cross_entropy_is_no_robustness_here_either(toy):
    with pytest.raises(NotAttackableError, match="saturated"):
        make("PGD")(lambda x: 1e6 * toy.logits(x), toy.canvas, toy.labels, toy.seeds)
