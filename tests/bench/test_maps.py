"""Filters and activation maps: what is drawn is what the network computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from bench.cli.show import _draw
from bench.errors import BenchError
from bench.inference.detector import DetectorRequest, resolve
from bench.pictures.activation_maps import MAPS, draw_maps, first_layer, mosaic, stretch
from detectors.base import Detector
from detectors.card import DetectorCard, InputSpec
from detectors.network import NetworkDetector


def card(outputs: int = 1) -> DetectorCard:
    direction = "z" if outputs == 1 else "z1-z0"
    spec = InputSpec(size=16, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    return DetectorCard(
        name="mine", arch="mine", reference="here", input=spec, fake_logit=direction
    )


def detector(*layers: nn.Module) -> NetworkDetector:
    torch.manual_seed(0)
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(1))
    network(torch.zeros(2, 3, 16, 16))
    return NetworkDetector(network.eval(), card())


@pytest.fixture
def canvases(rng=np.random.default_rng(3)):  # noqa: B008
    return [rng.integers(0, 256, (3, 16, 16), dtype=np.uint8) for _ in range(2)]


def test_maps_are_the_first_convolutions_after_its_activation(canvases):
    first = nn.Conv2d(3, 5, 3, padding=1)
    made = detector(
        first, nn.BatchNorm2d(5), nn.ReLU(inplace=True), nn.Conv2d(5, 5, 3), nn.Sigmoid()
    )
    layer = first_layer(made, canvases)
    assert layer.after == "ReLU"
    np.testing.assert_array_equal(layer.filters, first.weight.detach().numpy())
    for canvas, maps in zip(canvases, layer.maps, strict=True):
        batch = torch.from_numpy(canvas[None]).float() / 255
        with torch.no_grad():
            expected = made.network[2](made.network[1](first((batch - 0.5) / 0.5)))[0]
        np.testing.assert_allclose(maps, expected.numpy(), atol=1e-6)
    assert not any(m._forward_hooks for m in made.network.modules())


def test_an_activation_behind_another_convolution_is_not_the_first_ones(canvases):
    first = nn.Conv2d(3, 4, 3)
    layer = first_layer(detector(first, nn.Conv2d(4, 4, 3), nn.ReLU()), canvases)
    assert layer.after == "convolution"
    assert layer.maps[0].shape == (4, 14, 14)
    assert layer.maps[0].min() < 0


class Tokens(nn.Module):
    """A patch embedding as vision transformers have it: its activations act on tokens."""

    def __init__(self):
        super().__init__()
        self.embed, self.act, self.head = nn.Conv2d(3, 16, 4, stride=4), nn.GELU(), nn.Linear(16, 1)

    def forward(self, batch):
        return self.head(self.act(self.embed(batch).flatten(2).transpose(1, 2)).mean(1))


def test_what_acts_on_tokens_is_no_map_of_the_patch_embedding(canvases):
    layer = first_layer(NetworkDetector(Tokens().eval(), card()), canvases)
    assert layer.after == "convolution"
    assert layer.maps[0].shape == (16, 4, 4)


@pytest.mark.parametrize("name", ["vit", "resnet50", "mobilenetv2_100", "dalle2-art-cnn"])
def test_shipped_networks_have_a_first_layer(name):
    made = resolve(DetectorRequest(name))
    side = made.card.input.size
    layer = first_layer(made, [np.full((3, side, side), 90, np.uint8)])
    assert layer.filters.shape[1] == 3
    assert layer.maps[0].shape[0] == len(layer.filters)
    assert layer.after in {"ReLU", "ReLU6"}


class Colour(Detector):
    """Scores by the mean of red, with no layer at all."""

    card = card()

    def logits(self, batch):
        return batch[:, 0].mean(dim=(1, 2))


def test_no_convolution_is_said_and_not_drawn(canvases, tmp_path):
    with pytest.raises(BenchError, match="mine has no convolution over RGB pixels"):
        first_layer(Colour(), canvases)
    assert not list(tmp_path.iterdir())


def test_the_sheet_holds_a_row_for_each_picture(tmp_path):
    rng = np.random.default_rng(0)
    pictures = [(f"no. {i} $", rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)) for i in range(3)]
    made = detector(nn.Conv2d(3, 2 * MAPS, 3), nn.ReLU())
    heights = []
    for count in (1, 3):
        draw_maps(made, pictures[:count], tmp_path / "maps.png", title="a $ title")
        with Image.open(tmp_path / "maps.png") as drawn:
            heights.append(drawn.height)
            assert len(np.unique(np.asarray(drawn))) > 50
    assert heights[1] > heights[0] + 350


def test_tiles_are_laid_in_order_and_stretched_to_the_whole_range():
    tiles = [np.full((2, 2), value, np.float32) for value in (0.1, 0.2, 0.3)]
    whole = mosaic(tiles, 2)
    assert whole.shape == (5, 5)
    np.testing.assert_array_equal(whole[:, 0], np.float32([0.1, 0.1, 1, 0.3, 0.3]))
    np.testing.assert_array_equal(whole[0], np.float32([0.1, 0.1, 1, 0.2, 0.2]))
    np.testing.assert_array_equal(whole[3:, 3:], 1)
    np.testing.assert_array_equal(stretch(np.float32([2, 3, 4]), 2, 4), [0, 0.5, 1])
    np.testing.assert_array_equal(stretch(np.float32([2, 2]), 2, 2), [0.5, 0.5])


def test_show_draws_a_detector(tmp_path):
    drawn = _draw("detector", "genimage-cnn", tmp_path / "sheet.png")
    assert drawn[0] == "photo"
    assert {"diffusion", "vqgan"} <= set(drawn)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height > sheet.width
    with pytest.raises(BenchError, match=r"ends in \.png"):
        _draw("detector", "genimage-cnn", tmp_path / "sheet.gif")
    with pytest.raises(BenchError, match="no trained weights"):
        _draw("detector", "googlenet", tmp_path / "sheet.png")
