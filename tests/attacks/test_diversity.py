"""DI- and TI-FGSM against torchattacks, an image at a time since its draws are a batch's."""

from __future__ import annotations

import pytest
import torch

from attacks.mifgsm import DIFGSM, MIFGSM, TIFGSM
from attacks.transfer import Transfer

PUBLISHED = {"alpha": 2 / 255, "steps": 4}
OURS = {"step": 2 / 255, "steps": 4, "loss": "ce", "quantize": False}


@pytest.mark.parametrize("decay", [0.0, 1.0])
@pytest.mark.parametrize(("kind", "name"), [(DIFGSM, "DIFGSM"), (TIFGSM, "TIFGSM")])
def test_equals_torchattacks(kind, name, decay, toy):
    torchattacks = pytest.importorskip("torchattacks")
    for row in range(3):
        one = slice(row, row + 1)
        published = getattr(torchattacks, name)(
            toy.two_logits(), decay=decay, diversity_prob=0.7, resize_rate=0.8, **PUBLISHED
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(row)
            theirs = published(toy.canvas[one], toy.labels[one])
        attack = kind(decay=decay, diversity=0.7, shrink=0.8, **OURS)
        ours = attack(toy.logits, toy.canvas[one], toy.labels[one], [row]).adversarial
        # A last bit of the smoothed gradient may turn the sign where it is all but zero.
        assert ((ours - theirs).abs() > 1e-6).float().mean() < 0.002


def test_without_variety_it_is_mifgsm(toy):
    plain = MIFGSM(steps=3)(toy.logits, toy.canvas, toy.labels, toy.seeds)
    same = DIFGSM(steps=3, diversity=0.0)(toy.logits, toy.canvas, toy.labels, toy.seeds)
    point = TIFGSM(steps=3, diversity=0.0, kernel=1)(toy.logits, toy.canvas, toy.labels, toy.seeds)
    assert torch.equal(plain.adversarial, same.adversarial)
    assert torch.equal(plain.adversarial, point.adversarial)


@pytest.mark.parametrize("shape", [(24, 20), (20, 24), (16, 16), (1, 9)])
def test_any_shape_is_varied_by_the_images_own_draws(shape):
    canvas = torch.randint(0, 256, (4, 3, *shape)).float() / 255
    labels = torch.tensor([0, 1, 0, 1])

    def logits(images):
        assert images.shape[1:] == canvas.shape[1:]
        return (images * torch.linspace(-1, 1, shape[1])).mean((1, 2, 3))

    attack = DIFGSM(steps=2, diversity=1.0)
    whole = attack(logits, canvas, labels, range(4)).adversarial
    alone = [
        attack(logits, canvas[i : i + 1], labels[i : i + 1], [i]).adversarial for i in range(4)
    ]
    assert torch.equal(whole, torch.cat(alone))


@pytest.mark.parametrize("method", ["difgsm", "tifgsm"])
def test_transfer_takes_them_as_methods(method, toy):
    carried = Transfer(method=method, steps=2, surrogate="other")
    direct = carried.inner()
    result = carried(toy.logits, toy.canvas, toy.labels, toy.seeds)
    plain = direct(toy.logits, toy.canvas, toy.labels, toy.seeds)
    assert torch.equal(result.adversarial, plain.adversarial)
    assert result.linf.max() <= 8 / 255 + 1e-6
