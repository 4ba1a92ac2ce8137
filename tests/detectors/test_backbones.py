from __future__ import annotations

import pytest
import timm
import torch

from detectors.architectures import small_vit
from detectors.architectures.dalle2_art_cnn import Dalle2ArtCNN
from detectors.architectures.genimage_cnn import GenImageCNN
from detectors.backbones import DETECTORS, timm_architecture


def test_any_timm_classifier_brings_its_own_input_rule():
    arch = timm_architecture("timm/mobilenetv3_small_050.lamb_in1k")
    cfg = timm.get_pretrained_cfg("mobilenetv3_small_050.lamb_in1k")
    assert arch.input.size == cfg.input_size[-1]
    assert arch.input.mean == tuple(cfg.mean)
    assert arch.build(2)(torch.zeros(2, 3, 64, 64)).shape == (2, 2)


def test_an_unknown_timm_name_suggests_near_ones():
    with pytest.raises(ValueError, match="timm/resnet"):
        timm_architecture("timm/resnet5000")


@pytest.mark.parametrize(("name", "millions"), [("resnet50", 23.5), ("mobilenetv2_100", 2.2)])
def test_named_backbones_have_their_papers_size(name, millions):
    network = DETECTORS[name].build(1)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)


def test_dalle2_art_cnn_is_the_network_of_the_study():
    network = Dalle2ArtCNN(2).eval()
    convs = (3 * 9 + 1) * 64 + 9 * (64 * 9 + 1) * 64 + 10 * 2 * 64
    heads = (64 * 7 * 7 + 1) * 128 + (128 + 1) * 64 + (64 + 1) * 2
    assert sum(p.numel() for p in network.parameters()) == convs + heads
    # At the study's own size the map is 7 x 7 as it comes, so the pooling changes nothing.
    images = torch.rand(2, 3, 245, 255)
    assert torch.equal(network(images), network.classifier(network.features(images)))
    assert network(torch.rand(3, 3, 64, 64)).shape == (3, 2)


def test_vit_is_small_and_takes_small_canvases():
    network = small_vit.build(1).eval()
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(1.3, abs=0.05)
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 1)


def test_genimage_cnn_is_the_network_of_the_study():
    network = GenImageCNN(2).eval()
    count = sum(p.numel() for p in network.parameters())
    convs = 3 * 32 * 9 + 32 + 32 * 64 * 9 + 64 + 64 * 128 * 9 + 128
    assert count == convs + 2048 * 128 + 128 + 128 * 2 + 2
    assert network(torch.zeros(5, 3, 32, 32)).shape == (5, 2)
