"""The studies' networks: layers counted by hand, shapes, frozen bodies, starting weights."""

from __future__ import annotations

import socket

import pytest
import torch

from bench import registry
from detectors.architectures.cifake_cnn import CifakeCNN
from detectors.architectures.resnet50_frozen import FrozenResNet50
from detectors.backbones import DETECTORS, timm_architecture
from detectors.pretrained import Pretrained, PretrainedError, imagenet_state, start_from


def count(network):
    return sum(p.numel() for p in network.parameters())


def conv(into, out):
    return into * out * 9 + out


@pytest.mark.parametrize(("side", "mapped"), [(256, 28), (240, 26), (44, 2), (36, 1)])
def test_the_cifake_network_has_the_layers_of_the_text(side, mapped):
    convs = sum(conv(i, o) + conv(o, o) + 4 * o for i, o in ((3, 32), (32, 64), (64, 128)))
    dense = 128 * mapped**2 * 512 + 512 + 512 * 256 + 256 + 256 + 1
    network = CifakeCNN(1, side).eval()
    assert count(network) == convs + dense
    assert network(torch.zeros(1, 3, side, side)).shape == (1, 1)


def test_a_canvas_too_small_for_its_pools_is_refused():
    with pytest.raises(ValueError, match="36 px at least, got 32"):
        registry.detectors()["cifake-cnn"].network(1, 32)


# Counts of the papers (with 1000 classes) less their classifier, plus ours of one output.
@pytest.mark.parametrize(
    ("name", "published", "features"),
    [
        ("resnet34", 21.797672, 512),
        ("resnet50", 25.557032, 2048),
        ("resnetv2_50", 25.549352, 2048),
        ("convnext_small", 50.223688, 768),
        ("mobilenetv2_100", 3.504872, 1280),
        ("googlenet", 6.624904, 1024),
    ],
)
def test_backbones_have_their_published_size(name, published, features):
    ours = count(DETECTORS[name].build(1)) / 1e6
    assert ours == pytest.approx(published - (999 * (features + 1)) / 1e6, abs=1e-6)


def test_a_frozen_body_keeps_its_weights_and_its_statistics():
    network = FrozenResNet50(1).train()
    assert count(network) - 23_508_032 == 2048 * 256 + 256 + 256 + 1
    trained = [name for name, p in network.named_parameters() if p.requires_grad]
    assert trained == ["head.0.weight", "head.0.bias", "head.3.weight", "head.3.bias"]
    before = network.body.bn1.running_mean.clone()
    network(torch.randn(4, 3, 32, 32)).sum().backward()
    assert torch.equal(network.body.bn1.running_mean, before)
    network.thaw()
    network.train()(torch.randn(4, 3, 32, 32))
    assert not torch.equal(network.body.bn1.running_mean, before)


def test_starting_weights_fill_all_but_the_head():
    arch = DETECTORS["resnet34"]
    donor, network = arch.build(1000), arch.build(1)
    head = network.fc.weight.clone()
    start_from(network, donor.state_dict(), arch.pretrained)
    assert torch.equal(network.layer4[0].conv1.weight, donor.layer4[0].conv1.weight)
    assert torch.equal(network.fc.weight, head)


def test_any_timm_classifier_says_where_its_weights_are():
    arch = timm_architecture("timm/resnet18.a1_in1k")
    assert arch.pretrained == Pretrained("timm", "resnet18.a1_in1k", head=("fc.",))
    network = arch.build(1)
    assert (
        start_from(network, arch.build(1000).state_dict(), arch.pretrained)
        == len(network.state_dict()) - 2
    )


def test_a_frozen_body_starts_from_plain_resnet50_keys():
    arch = registry.detectors()["resnet50-frozen"]
    donor, network = DETECTORS["resnet50"].build(1000), arch.build(1)
    start_from(network, donor.state_dict(), arch.pretrained)
    assert torch.equal(network.body.conv1.weight, donor.conv1.weight)


def test_starting_weights_of_another_network_are_refused():
    arch = DETECTORS["resnet34"]
    with pytest.raises(PretrainedError, match="another network"):
        start_from(arch.build(1), {"fc.weight": torch.zeros(1)}, arch.pretrained)
    odd = arch.build(1000).state_dict() | {"conv1.weight": torch.zeros(64, 3, 3, 3)}
    with pytest.raises(PretrainedError, match=r"shape \(64, 3, 3, 3\)"):
        start_from(arch.build(1), odd, Pretrained("timm", "resnet34", head=("fc.",)))


@pytest.mark.enable_socket
@pytest.mark.parametrize("there", [True, False])
def test_an_unreachable_hub_is_not_asked_again_and_again(there, monkeypatch):
    import timm
    from huggingface_hub import constants

    server = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
    monkeypatch.setattr("detectors.pretrained.getproxies", dict)
    if not there:
        server.close()
    asked = []

    def create_model(name, *, pretrained):
        asked.append((name, pretrained, constants.HF_HUB_OFFLINE))
        raise OSError("not in the cache")

    monkeypatch.setattr(timm, "create_model", create_model)
    before = constants.HF_HUB_OFFLINE
    with pytest.raises(PretrainedError, match=r"not in the cache.*--init FILE"):
        imagenet_state(Pretrained("timm", "vit", head=()))
    assert asked == [("vit", True, before or not there)]
    assert before == constants.HF_HUB_OFFLINE
    server.close()
