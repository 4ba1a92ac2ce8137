"""FGSM and PGD against torchattacks on a two-logit wrapper of the same detector."""

from __future__ import annotations

import pytest
import torch
import torchattacks

from attacks.fgsm import FGSM
from attacks.pgd import PGD


def assert_same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Bit for bit on the CPU; a GPU's convolutions may turn the sign of a gradient near zero."""
    if ours.device.type == "cpu":
        assert torch.equal(ours, theirs)
    else:
        assert (torch.isclose(ours, theirs, atol=1e-6, rtol=0)).float().mean() > 0.999


@pytest.mark.parametrize("count", [1, 7, 32])
@pytest.mark.parametrize("eps", [1 / 255, 8 / 255, 0.05])
def test_fgsm_is_equal(make_random_toy, count, eps):
    toy = make_random_toy(count)
    theirs = torchattacks.FGSM(toy.two_logits(), eps=eps)(toy.canvas, toy.labels)
    attack = FGSM(eps=eps, quantize=False, loss="ce")
    ours = attack(toy.logits, toy.canvas, toy.labels, toy.seeds).adversarial
    assert_same(ours, theirs)


@pytest.mark.parametrize("count", [1, 7, 32])
@pytest.mark.parametrize(
    ("eps", "step", "steps"),
    [(8 / 255, 2 / 255, 10), (1 / 255, 0.25 / 255, 10), (16 / 255, 0.05, 10), (0.05, 0.013, 3)],
)
def test_pgd_is_equal(make_random_toy, count, eps, step, steps):
    toy = make_random_toy(count)
    oracle = torchattacks.PGD(
        toy.two_logits(), eps=eps, alpha=step, steps=steps, random_start=False
    )
    attack = PGD(eps=eps, step=step, steps=steps, random_start=False, quantize=False, loss="ce")
    ours = attack(toy.logits, toy.canvas, toy.labels, toy.seeds).adversarial
    assert_same(ours, oracle(toy.canvas, toy.labels))


def test_equal_on_a_trained_detector_with_the_default_step(toy):
    oracle = torchattacks.PGD(toy.two_logits(), random_start=False)
    attack = PGD(random_start=False, quantize=False, loss="ce")
    ours = attack(toy.logits, toy.canvas, toy.labels, toy.seeds).adversarial
    assert_same(ours, oracle(toy.canvas, toy.labels))


@pytest.mark.parametrize("levels", [0.5, 1, 2, 4])
def test_the_margin_loss_is_at_least_as_successful(toy, levels):
    eps = levels / 255
    theirs = torchattacks.PGD(toy.two_logits(), eps=eps, alpha=eps / 4, random_start=False)
    attack = PGD(eps=eps, random_start=False, quantize=False)
    ours = attack(toy.logits, toy.canvas, toy.labels, toy.seeds).adversarial
    success = toy.fooled(ours).sum()
    assert success >= toy.fooled(theirs(toy.canvas, toy.labels)).sum()


def test_the_margin_loss_goes_on_where_cross_entropy_is_saturated(toy):
    """A surer detector, same decisions: torchattacks gives the fakes back as they were."""

    class Sure(torch.nn.Module):
        def forward(self, images):
            z = 1e4 * toy.logits(images)
            return torch.stack([torch.zeros_like(z), z], 1)

    theirs = torchattacks.PGD(Sure().to(toy.canvas.device), random_start=False)
    theirs.device = toy.canvas.device
    stuck = theirs(toy.canvas, toy.labels)
    ours = PGD(random_start=False)(
        lambda x: 1e4 * toy.logits(x), toy.canvas, toy.labels, toy.seeds
    ).adversarial
    assert toy.fooled(ours).sum() > 2 * toy.fooled(stuck).sum()
