"""Minimal-norm attacks: distances against closed forms and published code, as 8-bit pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attacks.base import NotAttackableError
from attacks.ddn import DDN
from attacks.deepfool import DeepFool
from attacks.fmn import FMN, FMNL2

KINDS = [FMN, FMNL2, DDN, DeepFool]
WEIGHTS = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(4))


def linear(images):
    """A linear detector, whose border is at |z| over the dual norm of the weights."""
    return ((images - 0.5) * WEIGHTS).flatten(1).sum(1)


def photos(count=8, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(90, 166, (count, 3, 16, 16), generator=generator) / 255


def of_norm(attack, result):
    return result.linf if attack.norm == "linf" else result.l2


def is_fooled(logits, labels):
    return (logits > 0) != (labels == 1)


@pytest.mark.parametrize("kind", KINDS)
def test_distances_of_a_linear_detector_are_those_of_the_closed_form(kind):
    images = photos()
    logits = linear(images)
    labels = (logits > 0).long()
    exact = logits.abs() / (
        WEIGHTS.abs().sum() if kind.norm == "linf" else torch.linalg.vector_norm(WEIGHTS)
    )
    attack = kind(quantize=False)
    result = attack(linear, images, labels, range(8))
    assert is_fooled(linear(result.adversarial), labels).all()
    found = of_norm(attack, result)
    assert (found >= exact * (1 - 1e-4)).all()  # no smaller change can
    # FMN's last step of a hundredth is coarse beside distances of a thousandth.
    assert (found <= exact * 1.03 + 2e-3 * (kind is not DeepFool)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_next_to_the_border_is_fooled_by_one_level(kind):
    images = photos()
    at_border = linear(images) - 1e-4  # a float's breadth above zero
    labels = torch.ones(8).long()

    def logits(pictures):
        return linear(pictures) - at_border

    attack = kind(steps=20)
    result = attack(logits, images, labels, range(8))
    assert is_fooled(logits(result.adversarial), labels).all()
    if kind.norm == "linf":
        assert torch.allclose(result.linf, torch.full((8,), 1 / 255))


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_8_bit_and_fool_as_handed_in(kind, toy):
    attack = kind(steps=30)
    result = attack(toy.logits, toy.canvas, toy.labels, toy.seeds)
    levels = result.adversarial.double() * 255
    assert (levels - levels.round()).abs().max() < 1e-4
    with torch.no_grad():
        clean = is_fooled(toy.logits(toy.canvas), toy.labels)
        assert is_fooled(toy.logits(result.adversarial), toy.labels).all()
    distances = of_norm(attack, result)
    assert (distances[clean] == 0).all()
    assert (distances[~clean] > 0).all()
    plain = kind(steps=30, quantize=False)(toy.logits, toy.canvas, toy.labels, toy.seeds)
    floats = of_norm(attack, plain)
    # Rounding costs at most the next level in L-inf, and here some per cent in L2.
    slack = 1 / 255 if kind.norm == "linf" else 0.15 * float(floats.median())
    assert float(distances.median()) <= float(floats.median()) + slack


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_that_nothing_fools_is_not_called_fooled(kind):
    def sure(images):
        return 1 + 0.1 * images.mean((1, 2, 3))

    labels = torch.tensor([1, 0] * 4)
    result = kind(steps=10)(sure, photos(), labels, range(8))
    assert (sure(result.adversarial)[labels == 1] > 0).all()
    assert not of_norm(kind(), result)[labels == 0].any()  # wrong as they are
    toward = sure(result.adversarial) <= sure(photos())
    assert toward[labels == 1].all()


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_has_its_distance_in_any_company(kind, toy):
    attack = kind(steps=12)
    order = torch.randperm(len(toy.labels), generator=torch.Generator().manual_seed(0))
    whole = attack(toy.logits, toy.canvas, toy.labels, toy.seeds)
    mixed = attack(toy.logits, toy.canvas[order], toy.labels[order], toy.seeds)
    assert torch.equal(whole.adversarial[order], mixed.adversarial)
    assert torch.equal(whole.steps[order], mixed.steps)


def test_eps_is_as_far_as_it_looks(toy):
    result = FMN(eps=1 / 255, steps=20)(toy.logits, toy.canvas, toy.labels, toy.seeds)
    assert result.linf.max() <= 1 / 255 + 1e-7
    with torch.no_grad():
        assert not is_fooled(toy.logits(result.adversarial), toy.labels).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_gradient_is_no_distance(kind):
    with pytest.raises(NotAttackableError, match="zero"):
        kind()(lambda x: 1 + 0 * x.sum((1, 2, 3)), photos(), torch.ones(8).long(), range(8))


def test_deepfool_is_as_near_as_torchattacks(toy):
    torchattacks = pytest.importorskip("torchattacks")
    published = torchattacks.DeepFool(toy.two_logits(), steps=50, overshoot=0.02)
    theirs = published(toy.canvas, toy.labels)
    ours = DeepFool(quantize=False)(toy.logits, toy.canvas, toy.labels, toy.seeds)
    lengths = (theirs - toy.canvas).flatten(1).norm(dim=1)
    # Ours may be nearer: it halves along the last change.
    assert 0.9 < float(ours.l2.median()) / float(lengths.median()) <= 1.0


@pytest.mark.parametrize(
    ("kind", "name", "order"),
    [(FMN, "LInfFMNAttack", np.inf), (FMNL2, "L2FMNAttack", 2), (DDN, "DDNAttack", 2)],
)
def test_distances_are_no_larger_than_those_of_foolbox(kind, name, order, toy):
    foolbox = pytest.importorskip("foolbox")
    model = foolbox.PyTorchModel(toy.two_logits(), bounds=(0, 1), device=toy.canvas.device)
    published = getattr(foolbox.attacks, name)(steps=40)
    theirs, _, found = published(model, toy.canvas, toy.labels, epsilons=None)
    assert found.all()
    lengths = torch.linalg.vector_norm((theirs - toy.canvas).flatten(1), ord=order, dim=1)
    attack = kind(steps=40, quantize=False)
    ours = of_norm(attack, attack(toy.logits, toy.canvas, toy.labels, toy.seeds))
    assert float(ours.median()) <= 1.02 * float(lengths.median())
