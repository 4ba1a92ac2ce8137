"""What must hold for every corruption, whatever it does."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import pkgutil

import numpy as np
import pytest

import corruptions
from corruptions.blur import Blur
from corruptions.codecs import Avif, Webp
from corruptions.color import Brightness
from corruptions.crop import Crop, Letterbox
from corruptions.geometry import Flip, Rotate
from corruptions.jpeg import Jpeg
from corruptions.lens import MotionBlur
from corruptions.noise import Noise
from corruptions.resize import Resize
from corruptions.screen import Overlay
from corruptions.upload import PLATFORMS, Upload

MODULES = [
    importlib.import_module(f"corruptions.{info.name}")
    for info in pkgutil.iter_modules(corruptions.__path__)
]
KINDS = [kind for module in MODULES for kind in getattr(module, "CORRUPTIONS", {}).values()]
# Those that must leave a flat gray picture flat: nothing random, nothing drawn, no change of tone.
SMOOTH = {
    "jpeg", "webp", "avif", "upload", "resize", "crop", "blur", "defocus-blur", "motion-blur",
    "contrast", "saturation", "grayscale", "pixelate", "sharpen", "median", "rotate", "flip",
}  # fmt: skip
CODECS = {"jpeg", "webp", "avif", "upload"}
VARIANTS = [
    *(
        kind.at_severity(severity)
        for kind in KINDS
        for severity in ((1,) if kind.one_strength else (1, 5))
    ),
    Webp(quality=0, method=0),
    Avif(quality=10, subsampling="4:4:4", speed=10),
    Brightness(value=0.2),
    Crop(anchor="random"),
    Crop(size=20, anchor="top-left", back=True),
    Crop(anchor="bottom-right"),
    Letterbox(side="both", level=90),
    Rotate(angle=-45, kernel="nearest"),
    Flip(axis="vertical"),
    MotionBlur(angle=90),
    Overlay(mark="logo", position="centre"),
    *(Upload(platform=name, times=2) for name in PLATFORMS),
    Jpeg(quality=1, subsampling="4:4:4"),
    Resize(size=17),
    Resize(scale=2.0, back=False, kernel="lanczos"),
    Resize(scale=0.3, back=False, kernel="nearest"),
    Blur(sigma=30),
    Noise(sigma=1),
]


def by_repr(value: object) -> str:
    return repr(value)


RESIZING = {"crop", "letterbox", "screenshot", "upload"}
STEPPED = [kind for kind in KINDS if not kind.one_strength and kind().keeps_size]


def test_every_family_is_here():
    assert sorted(kind.name for kind in KINDS) == sorted([
        "jpeg", "webp", "avif", "resize", "crop", "letterbox", "blur", "motion-blur", "defocus-blur",
        "noise", "shot-noise", "salt-pepper", "speckle", "brightness", "contrast", "saturation", "gamma",
        "grayscale", "posterize", "pixelate", "sharpen", "median", "screenshot", "rotate", "flip",
        "overlay", "upload", "jpeg2000", "collage", "thumbnail", "deep-fry", "super-resolution", "denoise",
        "camera", "spectrum", "local-statistics", "clahe", "white-balance", "hdr-tone", "night-mode",
        "retouch",
    ])  # fmt: skip


@pytest.mark.parametrize("kind", STEPPED)
def test_severities_harm_a_real_picture_more_and_more(kind, photo):
    harm = []
    for severity in range(1, 6):
        corruption = kind.at_severity(severity)
        assert corruption.keeps_size
        out = corruption(photo, np.random.default_rng(0))
        harm.append(np.abs(out.astype(int) - photo).mean())
    assert harm[0] > 0
    assert all(mild < harsh for mild, harsh in itertools.pairwise(harm)), harm
    for wrong in (0, 6, True):
        with pytest.raises(ValueError, match="severities 1 to 5"):
            kind.at_severity(wrong)


@pytest.mark.parametrize("corruption", VARIANTS, ids=by_repr)
@pytest.mark.parametrize("shape", [(1, 1), (1, 37), (37, 1), (2, 3), (8, 8), (63, 65)])
def test_any_shape_comes_out_whole(corruption, shape, rng):
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    before = image.copy()
    out = corruption(image, rng)
    assert out.dtype == np.uint8
    assert out.ndim == 3
    assert out.shape[2] == 3
    assert min(out.shape) >= 1
    assert out.flags.c_contiguous
    assert out.flags.writeable
    if corruption.keeps_size:
        assert out.shape == image.shape
    assert not np.may_share_memory(out, image)
    assert np.array_equal(image, before)


@pytest.mark.parametrize("corruption", [v for v in VARIANTS if v.name in SMOOTH], ids=by_repr)
@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_flat_gray_stays_flat_gray(corruption, level, rng):
    out = corruption(np.full((40, 50, 3), level, dtype=np.uint8), rng)
    tolerance = 2 if corruption.name in CODECS else 0  # a DC coefficient at quality 1 is coarse
    if corruption in (Jpeg(quality=1, subsampling="4:4:4"), Webp(quality=0, method=0)):
        tolerance = 16
    assert np.abs(out.astype(int) - level).max() <= tolerance


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_picture_works(kind, rng):
    image = np.tile(rng.integers(0, 256, (50, 64, 3), dtype=np.uint8), (40, 40, 1))
    out = kind()(image, rng)
    assert (out.shape == image.shape) == (kind.name not in RESIZING)
    assert out.size > 100_000


@pytest.mark.parametrize("corruption", VARIANTS, ids=by_repr)
def test_memory_layout_and_call_order_do_not_matter(corruption, photo):
    image = photo[:60, :50]
    strided = np.asfortranarray(image)[:, ::1]
    alone = corruption(np.ascontiguousarray(image), np.random.default_rng(5))
    corruption(photo, np.random.default_rng(6))
    assert np.array_equal(corruption(image, np.random.default_rng(5)), alone)
    assert np.array_equal(corruption(strided, np.random.default_rng(5)), alone)


@pytest.mark.parametrize("corruption", VARIANTS, ids=by_repr)
def test_the_global_generator_is_neither_read_nor_moved(corruption, photo):
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    first = corruption(photo[:40, :40], np.random.default_rng(3))
    assert np.array_equal(np.random.get_state()[1], before)
    np.random.seed(2)
    assert np.array_equal(corruption(photo[:40, :40], np.random.default_rng(3)), first)


@pytest.mark.parametrize("corruption", VARIANTS, ids=by_repr)
def test_unchanged_only_where_the_parameters_say_so(corruption, photo):
    out = corruption(photo, np.random.default_rng(0))
    assert not np.array_equal(out, photo)


@pytest.mark.parametrize("corruption", VARIANTS, ids=by_repr)
def test_parameters_are_plain_and_rebuild_the_corruption(corruption):
    parameters = {f.name: getattr(corruption, f.name) for f in dataclasses.fields(corruption)}
    assert all(type(v) in (int, float, str, bool, type(None)) for v in parameters.values())
    assert type(corruption)(**parameters) == corruption
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
        setattr(corruption, next(iter(parameters), "new"), 1)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((3, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        [[0, 0, 0]],
    ],
    ids=lambda image: str(getattr(image, "shape", "list")),
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_rgb_image_is_refused(kind, image, rng):
    with pytest.raises(ValueError, match=r"height x width x 3 uint8 array"):
        kind()(image, rng)
