"""The faster form of a network gives the same logits within the stated tolerance, or is not used."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.resolve import DetectorRequest, resolve
from detectors import DetectorCard, InputSpec, NetworkDetector, fold
from detectors.fold import TOLERANCE

CPU = torch.device("cpu")


def batch(side, n=6):
    return (
        torch.randint(0, 256, (n, 3, side, side), generator=torch.Generator().manual_seed(1)) / 255
    )


@pytest.mark.parametrize("name", ["resnet50", "genimage-cnn"])
def test_shipped_detectors_fold_within_tolerance(name):
    plain, quick = (resolve(DetectorRequest(name)).to(CPU) for _ in range(2))
    assert quick.fold()
    assert not any(isinstance(m, nn.BatchNorm2d) for m in quick.network.modules())
    images = batch(plain.card.input.size)
    with torch.inference_mode():
        expected, found = plain.checked_logits(images), quick.checked_logits(images)
    assert float((expected - found).abs().max()) <= TOLERANCE * max(
        1.0, float(expected.abs().max())
    )


def test_folding_does_not_change_who_the_detector_is():
    plain, quick = (resolve(DetectorRequest("resnet50")).to(CPU) for _ in range(2))
    quick.fold()
    assert quick.identity() == plain.identity()
    assert quick.fold()


def detector(network):
    card = DetectorCard(name="t", arch="t", input=InputSpec(size=16, fit="crop"))
    return NetworkDetector(network, card).to(CPU)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 3)

    def forward(self, x):
        x = self.conv(x)
        return x.mean(dim=(1, 2, 3)) if bool(x.sum() > 0) else x.amax(dim=(1, 2, 3))


def test_a_network_that_cannot_be_traced_stays_as_it_is():
    made = detector(Branches())
    before = made.network
    assert not made.fold()
    assert made.network is before


def test_a_faster_form_whose_outputs_move_is_not_used(monkeypatch):
    def careless(network):
        class Off(nn.Module):
            def forward(self, x):
                return network(x) + 0.01

        return Off()

    monkeypatch.setattr(fold, "fuse", careless)
    torch.manual_seed(0)
    made = detector(nn.Sequential(nn.Conv2d(3, 1, 16), nn.Flatten()))
    before = made.network
    assert not made.fold()
    assert made.network is before


def test_gradients_flow_through_the_faster_form():
    quick = resolve(DetectorRequest("genimage-cnn")).to(CPU)
    quick.fold()
    images = batch(32).requires_grad_()
    (gradient,) = torch.autograd.grad(quick.logits(images).sum(), images)
    assert float(gradient.abs().max()) > 0
    assert not any(p.requires_grad for p in quick.network.parameters())
