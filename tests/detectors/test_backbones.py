from __future__ import annotations

import pytest
import timm
import torch

from detectors.backbones import DETECTORS, timm_architecture
from detectors.paper_cnns import GenImageCNN


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


def test_genimage_cnn_is_the_network_of_the_study():
    network = GenImageCNN(2).eval()
    count = sum(p.numel() for p in network.parameters())
    convs = 3 * 32 * 9 + 32 + 32 * 64 * 9 + 64 + 64 * 128 * 9 + 128
    assert count == convs + 2048 * 128 + 128 + 128 * 2 + 2
    assert network(torch.zeros(5, 3, 32, 32)).shape == (5, 2)
