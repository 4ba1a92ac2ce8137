"""The faster form of a network gives the same logits within the stated tolerance, or is not used."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.inference.detector import DetectorRequest, resolve
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


def test_the_plain_network_is_left_as_it_is_and_what_stays_the_same_is_held_once():
    torch.manual_seed(0)
    conv, alone, head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(4, 1)
    network = nn.Sequential(
        conv, nn.BatchNorm2d(4), nn.ReLU(), alone, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head
    )
    network.eval().requires_grad_(requires_grad=False)
    before = {key: (value.clone(), value.stride()) for key, value in network.state_dict().items()}
    quick = fold.folded(network, 16, CPU)
    assert quick is not None
    assert quick.get_parameter("3.weight").is_contiguous(memory_format=torch.channels_last)
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key][0]), key
        assert value.stride() == before[key][1], key
    assert quick.get_parameter("6.weight").data_ptr() == head.weight.data_ptr()
    assert isinstance(network[1], nn.BatchNorm2d)


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
