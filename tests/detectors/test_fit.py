"""Geometry against Pillow by hand and against torchvision's own transforms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from detectors.card import InputSpec
from detectors.fit import fit_image

RNG = np.random.default_rng(0)


def image(height, width):
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("height", "width"), [(300, 400), (400, 300), (224, 224), (100, 333), (257, 225)]
)
@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
def test_shortest_crop_equals_torchvision_on_a_pillow_image(height, width, kernel):
    pixels = image(height, width)
    steps = v2.Compose(
        [
            v2.Resize(224, interpolation=v2.InterpolationMode(kernel)),
            v2.CenterCrop(224),
            v2.PILToTensor(),
        ]
    )
    expected = steps(Image.fromarray(pixels)).numpy()
    found = fit_image(pixels, InputSpec(size=224, fit="shortest-crop", interpolation=kernel))
    assert np.array_equal(found, expected)


def test_resize_equals_pillow():
    pixels = image(90, 130)
    expected = np.asarray(Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR))
    spec = InputSpec(size=32, fit="resize", interpolation="bilinear")
    assert np.array_equal(fit_image(pixels, spec), expected.transpose(2, 0, 1))


def test_crop_never_resamples():
    pixels = image(101, 64)
    assert np.array_equal(
        fit_image(pixels, InputSpec(size=64, fit="crop")), pixels[18:82].transpose(2, 0, 1)
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (7, 3), (32, 32), (63, 65), (2000, 3)])
@pytest.mark.parametrize("fit", ["resize", "shortest-crop", "crop"])
def test_any_size_becomes_the_canvas(shape, fit):
    found = fit_image(image(*shape), InputSpec(size=64, fit=fit))
    assert found.shape == (3, 64, 64)
    assert found.dtype == np.uint8
    assert found.flags["C_CONTIGUOUS"]


def test_a_small_image_is_mirrored_not_framed_in_black():
    found = fit_image(np.full((10, 10, 3), 200, np.uint8), InputSpec(size=64, fit="crop"))
    assert (found == 200).all()


def test_native_leaves_the_size_alone():
    pixels = image(33, 70)
    spec = InputSpec(size=None, fit="native")
    assert np.array_equal(fit_image(pixels, spec), pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_what_is_no_image_is_refused(wrong):
    with pytest.raises(ValueError, match="uint8"):
        fit_image(wrong, InputSpec())


def test_normalisation_happens_inside_the_detector():
    from detectors import DetectorCard, NetworkDetector

    class Mean(torch.nn.Module):
        def forward(self, x):
            return x.mean(dim=(1, 2, 3))

    spec = InputSpec(size=8, fit="resize", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    detector = NetworkDetector(Mean(), DetectorCard(name="m", arch="m", input=spec))
    assert detector.logits(torch.full((2, 3, 8, 8), 0.75)).tolist() == pytest.approx([1.0, 1.0])
