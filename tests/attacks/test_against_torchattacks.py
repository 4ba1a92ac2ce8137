"""FGSM, PGD, MI-FGSM, APGD and Square against torchattacks on a two-logit wrapper of the same detector."""

from __future__ import annotations

import pytest
import torch
import torchattacks

from attacks.apgd import APGD, APGDL2
from attacks.fgsm import FGSM
from attacks.mifgsm import MIFGSM
from attacks.pgd import PGD, PGDL2
from attacks.square import Square


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
    attack = PGD(
        eps=eps, step=step, steps=steps, random_start=False, quantize=False, loss="ce", keep="last"
    )
    ours = attack(toy.logits, toy.canvas, toy.labels, toy.seeds).adversarial
    assert_same(ours, oracle(toy.canvas, toy.labels))


def test_equal_on_a_trained_detector_with_the_default_step(toy):
    oracle = torchattacks.PGD(toy.two_logits(), random_start=False)
    attack = PGD(random_start=False, quantize=False, loss="ce", keep="last")
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


@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize(("eps", "step"), [(8 / 255, 2 / 255), (0.05, 0.02)])
def test_mifgsm_is_equal(make_random_toy, count, eps, step):
    toy = make_random_toy(count)
    oracle = torchattacks.MIFGSM(toy.two_logits(), eps=eps, alpha=step, steps=7, decay=0.9)
    attack = MIFGSM(eps=eps, step=step, steps=7, decay=0.9, quantize=False, loss="ce")
    ours = attack(toy.logits, toy.canvas, toy.labels, toy.seeds).adversarial
    assert_same(ours, oracle(toy.canvas, toy.labels))


@pytest.mark.parametrize("eps", [0.2, 0.5, 1.0])
def test_pgd_l2_is_equal_to_float_tolerance(toy, eps):
    oracle = torchattacks.PGDL2(
        toy.two_logits(), eps=eps, alpha=eps / 4, steps=10, random_start=False, eps_for_division=0
    )
    theirs = oracle(toy.canvas, toy.labels)
    attack = PGDL2(eps=eps, random_start=False, quantize=False, loss="ce", keep="last")
    ours = attack(toy.logits, toy.canvas, toy.labels, toy.seeds).adversarial
    assert torch.allclose(ours, theirs, atol=2e-5)


def successes(toy, attack, oracle):
    """How many images each fools."""
    result = attack(toy.logits, toy.canvas, toy.labels, toy.seeds)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = oracle(toy.canvas, toy.labels)
    return int(toy.fooled(result.adversarial).sum()), int(toy.fooled(theirs).sum())


@pytest.mark.parametrize("eps", [0.1, 0.15, 0.2, 0.3, 0.5])
def test_pgd_l2_is_at_least_as_successful(toy, eps):
    oracle = torchattacks.PGDL2(toy.two_logits(), eps=eps, alpha=eps / 4, steps=10)
    ours, theirs = successes(toy, PGDL2(eps=eps, quantize=False), oracle)
    assert ours >= theirs


@pytest.mark.parametrize("eps", [0.15, 0.2, 0.3, 0.5])
def test_rounding_costs_pgd_l2_at_most_a_twentieth_of_its_budget(toy, eps):
    less = 0.95 * eps
    oracle = torchattacks.PGDL2(toy.two_logits(), eps=less, alpha=less / 4, steps=10)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = toy.fooled(oracle(toy.canvas, toy.labels))
    rounded = PGDL2(eps=eps)(toy.logits, toy.canvas, toy.labels, toy.seeds).adversarial
    assert not bool((theirs & ~toy.fooled(rounded)).any())


@pytest.mark.parametrize("loss", ["margin", "ce"])
@pytest.mark.parametrize("levels", [0.5, 1, 2, 4])
def test_apgd_is_at_least_as_successful(toy, levels, loss):
    eps = levels / 255
    oracle = torchattacks.APGD(toy.two_logits(), eps=eps, steps=20)
    ours, theirs = successes(toy, APGD(eps=eps, loss=loss, quantize=False), oracle)
    assert ours >= theirs


@pytest.mark.parametrize("eps", [0.1, 0.2, 0.3])
def test_apgd_l2_is_at_least_as_successful(toy, eps):
    oracle = torchattacks.APGD(toy.two_logits(), norm="L2", eps=eps, steps=20)
    ours, theirs = successes(toy, APGDL2(eps=eps, quantize=False), oracle)
    assert ours >= theirs


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_square_is_about_as_successful(make_random_toy, levels):
    """Both draw at random: two images of 24 are allowed between them."""
    toy = make_random_toy(24)
    with torch.no_grad():
        logits = toy.logits(toy.canvas)
        toy.net[-1].bias -= logits.median()
        toy.labels.copy_((logits > logits.median()).long())
    oracle = torchattacks.Square(
        toy.two_logits(), eps=levels / 255, n_queries=150, resc_schedule=True
    )
    ours, theirs = successes(toy, Square(eps=levels / 255, queries=150), oracle)
    assert ours >= theirs - 2
    assert ours >= 3
