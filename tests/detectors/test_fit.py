"""Geometry against Pillow by hand and against torchvision's own transforms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from detectors import DetectorCard, NetworkDetector
from detectors.card import InputSpec
from detectors.fit import fit_image, fit_images
from detectors.inputs.views import views

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


SIDES = st.integers(1, 90)
SHAPES = st.tuples(SIDES, SIDES)


def torchvision_says(pixels, *steps):
    return v2.Compose([*steps, v2.PILToTensor()])(Image.fromarray(pixels)).numpy()


@given(shape=SHAPES, resize_to=st.integers(1, 70), crop=st.integers(1, 70) | SHAPES)
@settings(max_examples=80, deadline=None)
def test_a_short_side_and_another_crop_equal_torchvision_with_its_black_frame(
    shape, resize_to, crop
):
    pixels = image(*shape)
    if max(shape) * resize_to / min(shape) > 2000:
        return
    spec = InputSpec(size=crop, fit="shortest-crop", resize_to=resize_to, padding="zero")
    bicubic = v2.InterpolationMode.BICUBIC
    expected = torchvision_says(pixels, v2.Resize(resize_to, bicubic), v2.CenterCrop(crop))
    assert np.array_equal(fit_image(pixels, spec), expected)


@given(shape=SHAPES, resize_to=SHAPES, crop=SHAPES)
@settings(max_examples=60, deadline=None)
def test_both_sides_and_another_crop_equal_torchvision(shape, resize_to, crop):
    pixels = image(*shape)
    spec = InputSpec(
        size=crop, fit="resize", resize_to=resize_to, padding="zero", interpolation="bilinear"
    )
    expected = torchvision_says(pixels, v2.Resize(resize_to), v2.CenterCrop(crop))
    assert np.array_equal(fit_image(pixels, spec), expected)
    plain = InputSpec(size=crop, fit="resize", interpolation="bilinear")
    assert np.array_equal(fit_image(pixels, plain), torchvision_says(pixels, v2.Resize(crop)))


@given(shape=SHAPES, crop=SHAPES)
@settings(max_examples=60, deadline=None)
def test_a_crop_of_a_rectangle_equals_torchvision(shape, crop):
    pixels = image(*shape)
    spec = InputSpec(size=crop, fit="crop", padding="zero")
    assert np.array_equal(fit_image(pixels, spec), torchvision_says(pixels, v2.CenterCrop(crop)))


@pytest.mark.parametrize(
    ("padding", "mode"), [("mirror", "symmetric"), ("replicate", "edge"), ("zero", "constant")]
)
@pytest.mark.parametrize(("rounding", "before"), [("even", (1, 2)), ("floor", (2, 3))])
def test_what_is_smaller_is_framed_as_the_rule_says(padding, mode, rounding, before):
    pixels = image(5, 4)
    spec = InputSpec(size=(8, 9), fit="crop", padding=padding, rounding=rounding)
    after = (3 - before[0], 5 - before[1])
    frame = ((before[0], after[0]), (before[1], after[1]), (0, 0))
    assert np.array_equal(fit_image(pixels, spec), np.pad(pixels, frame, mode).transpose(2, 0, 1))


@pytest.mark.parametrize("many", [5, 10])
@pytest.mark.parametrize("shape", [(31, 40), (57, 33), (24, 24), (20, 61)])
def test_five_and_ten_views_are_torchvisions_crops_of_the_whole_image(many, shape):
    pixels = image(*shape)
    spec = InputSpec(
        size=None,
        fit="native",
        resize_to=30,
        views="five" if many == 5 else "ten",
        view_size=(24, 27),
    )
    crops = (v2.FiveCrop if many == 5 else v2.TenCrop)((24, 27))
    resized = v2.Resize(30, v2.InterpolationMode.BICUBIC)(Image.fromarray(pixels))
    expected = [np.asarray(crop).transpose(2, 0, 1) for crop in crops(resized)]
    canvas = torch.from_numpy(fit_image(pixels, spec))[None]
    got = [view[0].numpy() for view in views(canvas, spec)]
    assert len(got) == many
    assert all(np.array_equal(a, b) for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize(
    ("shape", "stride"), [((9, 9), 3), ((10, 7), 2), ((5, 5), 5), ((17, 5), 4)]
)
def test_sliding_windows_leave_no_pixel_out(shape, stride):
    spec = InputSpec(size=shape, fit="crop", views="slide", view_size=5, stride=stride)
    canvas = torch.arange(shape[0] * shape[1]).reshape(1, 1, *shape)
    windows = [view[0, 0] for view in views(canvas, spec)]
    assert {int(v) for window in windows for v in window.ravel()} == set(range(canvas.numel()))
    assert len(windows) == spec.count_views(shape)
    assert len({int(window[0, 0]) for window in windows}) == len(windows)
    assert torch.equal(windows[0], canvas[0, 0, :5, :5])
    assert torch.equal(windows[-1], canvas[0, 0, -5:, -5:])


class Corner(torch.nn.Module):
    """The value of a view's first pixel: views tell by their logits where they were cut."""

    def forward(self, x):
        return x[:, 0, 0, 0]


@pytest.mark.parametrize(
    ("pool", "pooled"), [("mean", np.mean), ("max", np.max), ("median", np.median)]
)
def test_views_are_pooled_per_image_and_gradients_reach_the_canvas(pool, pooled):
    spec = InputSpec(
        size=6, fit="crop", mean=(0, 0, 0), std=(1, 1, 1),
        views="slide", view_size=4, stride=2, pool=pool,
    )  # fmt: skip
    detector = NetworkDetector(Corner(), DetectorCard(name="c", arch="c", input=spec))
    batch = torch.rand(3, 3, 6, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    logits = detector.checked_logits(batch)
    corners = batch[:, 0, ::2, ::2][:, :2, :2].reshape(3, 4).detach().numpy()
    assert logits.tolist() == pytest.approx(pooled(corners, axis=1).tolist())
    logits.sum().backward()
    assert set(np.argwhere(batch.grad.numpy().sum((0, 1)) > 0).ravel()) <= {0, 2}
    assert batch.grad.sum().item() == pytest.approx(3)


def test_a_canvas_without_room_for_a_view_is_refused_and_never_made():
    spec = InputSpec(size=None, fit="native", views="five", view_size=8)
    assert fit_image(image(3, 20), spec).shape == (3, 8, 20)
    with pytest.raises(ValueError, match="no room"):
        list(views(torch.zeros(1, 3, 7, 20), spec))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "short side to 224 px (bicubic), centre crop 224 px"),
        ({"size": 224, "resize_to": 256}, "short side to 256 px (bicubic), centre crop 224 px"),
        ({"size": 64, "fit": "crop"}, "centre crop 64 px"),
        ({"size": (245, 255), "fit": "resize", "interpolation": "box"}, "resize to 245 x 255 px (box)"),
        (
            {"size": 384, "fit": "resize", "resize_to": 440, "padding": "zero"},
            "resize to 440 px (bicubic), centre crop 384 px, framed in black where smaller",
        ),
        ({"size": None, "fit": "native"}, "native size"),
        (
            {"size": None, "fit": "native", "resize_to": 256, "views": "ten", "view_size": 224},
            "short side to 256 px (bicubic), "
            "mean logit of ten views of 224 px (corners, centre, and mirrored)",
        ),
        (
            {"size": 64, "fit": "crop", "views": "slide", "view_size": 32, "stride": 16, "pool": "max"},
            "centre crop 64 px, max logit of windows of 32 px every 16 px",
        ),
    ],
)  # fmt: skip
def test_a_rule_is_described_in_plain_words(fields, words):
    assert InputSpec(**fields).describe() == words


def test_what_shares_a_geometry_shares_canvases_and_nothing_else_does():
    base = InputSpec(size=32, fit="crop")
    same = [{"mean": (0, 0, 0)}, {"views": "five", "view_size": 8}]
    other = [
        {"size": 33}, {"size": (32, 31)}, {"padding": "zero"}, {"rounding": "floor"},
        {"fit": "shortest-crop"}, {"fit": "native", "size": None},
    ]  # fmt: skip
    for fields in same:
        assert InputSpec(**{"size": 32, "fit": "crop", **fields}).geometry == base.geometry
    for fields in other:
        assert InputSpec(**{"size": 32, "fit": "crop", **fields}).geometry != base.geometry


@given(
    shape=SHAPES,
    fit=st.sampled_from(["resize", "crop", "shortest-crop", "native"]),
    padding=st.sampled_from(["mirror", "zero", "replicate"]),
    rounding=st.sampled_from(["even", "floor"]),
    size=st.integers(1, 90),
    odd=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_images_that_go_together_have_the_canvases_they_have_alone(
    shape, fit, padding, rounding, size, odd
):
    spec = InputSpec(
        size=None if fit == "native" else size, fit=fit, padding=padding, rounding=rounding
    )
    rng = np.random.default_rng(size)
    shapes = [shape] * 4 + [(7, 9)] * odd
    images = [rng.integers(0, 256, (*each, 3), dtype=np.uint8) for each in shapes]
    found = fit_images(images, spec)
    assert len(found) == len(images)
    for canvas, each in zip(found, images, strict=True):
        assert canvas.dtype == np.uint8
        assert canvas.flags.c_contiguous
        assert np.array_equal(canvas, fit_image(each, spec))


def test_the_first_wrong_image_of_several_is_named():
    right = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="float64"):
        fit_images([right, right.astype(float), right[..., :1]], InputSpec(size=8, fit="crop"))
    with pytest.raises(ValueError, match="needs a size"):
        fit_images([right, right], InputSpec(size=None, fit="crop"))
