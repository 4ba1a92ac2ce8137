"""Screenshots, overlays and upload chains against Pillow by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from corruptions.screen import Overlay, Screenshot
from corruptions.upload import PLATFORMS, Upload


def encoded(image: Image.Image, **options) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return Image.open(buffer).convert("RGB")


def test_an_upload_is_pillow_by_hand(rng):
    image = np.tile(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8), (20, 30, 1))  # 2400 x 1200
    small = Image.fromarray(image).resize((1920, 960), Image.LANCZOS)
    once = encoded(small, format="JPEG", quality=80, subsampling="4:2:0")
    twice = encoded(once, format="JPEG", quality=80, subsampling="4:2:0")
    assert np.array_equal(Upload(platform="facebook")(image, rng), np.asarray(once))
    assert np.array_equal(Upload(platform="facebook", times=2)(image, rng), np.asarray(twice))
    webp = encoded(
        Image.fromarray(image).resize((1080, 540), Image.LANCZOS),
        format="WEBP",
        quality=75,
        method=4,
    )
    assert np.array_equal(Upload(platform="reddit")(image, rng), np.asarray(webp))


def test_a_limit_on_pixels_keeps_the_aspect():
    width, height = 6000, 3000
    scale = PLATFORMS["mastodon"].scale(width, height)
    assert width * scale * height * scale == pytest.approx(8_294_400)
    assert PLATFORMS["mastodon"].scale(3840, 2160) == 1


@pytest.mark.parametrize("platform", PLATFORMS)
def test_no_platform_enlarges_and_each_says_what_it_rests_on(photo, rng, platform):
    assert Upload(platform=platform)(photo, rng).shape == photo.shape
    row = PLATFORMS[platform]
    assert row.sourced
    assert row.assumed
    assert (row.max_side is None) != (row.max_pixels is None)
    assert str(row.codec.quality) in Upload(platform=platform).as_done


def test_a_second_upload_changes_pixels_again(photo, rng):
    once, twice = (Upload(platform="whatsapp", times=n)(photo, rng) for n in (1, 2))
    assert not np.array_equal(once, twice)


def test_a_screenshot_is_a_resize_with_a_frame(photo, rng):
    out = Screenshot(scale=0.5, frame=0.1, level=9)(photo, rng)
    inside = np.asarray(Image.fromarray(photo).resize((161, 120), Image.BILINEAR))
    assert np.array_equal(out, np.pad(inside, ((12, 12), (12, 12), (0, 0)), constant_values=9))


@pytest.mark.parametrize("mark", ["text", "logo"])
@pytest.mark.parametrize("position", ["centre", "top-left", "bottom-right"])
def test_an_overlay_touches_only_its_place(rng, mark, position):
    image = np.full((200, 300, 3), 50, np.uint8)
    out = Overlay(size=0.2, opacity=0.5, mark=mark, position=position)(image, rng)
    changed = np.argwhere((out != 50).any(axis=2))
    (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0)
    assert 25 <= bottom - top + 1 <= 70
    assert out.max() == 50 + round(205 * 0.5)
    if position == "top-left":
        assert top < 20
        assert left < 20
    elif position == "bottom-right":
        assert bottom >= 180
        assert right >= 280
    else:
        assert abs((top + bottom) / 2 - 99.5) < 3
        assert abs((left + right) / 2 - 149.5) < 3


def test_text_and_opacity_matter(photo, rng):
    outs = [
        Overlay(),
        Overlay(text="other"),
        Overlay(opacity=0.4),
        Overlay(level=0),
        Overlay(mark="logo"),
    ]
    assert len({o(photo, rng).tobytes() for o in outs}) == len(outs)
    assert np.array_equal(Overlay(opacity=0)(photo, rng), photo)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Upload(platform="facebok"), "did you mean 'facebook'"),
        (lambda: Upload(times=0), "nearest valid one is 1"),
        (lambda: Overlay(text="a+b"), "overlay text must be"),
        (lambda: Overlay(text="f(x)"), "overlay text must be"),
        (lambda: Overlay(text=" padded"), "overlay text must be"),
        (lambda: Overlay(text=""), "overlay text must be"),
        (lambda: Overlay(position="left"), "must be one of centre"),
        (lambda: Screenshot(scale=0), "nearest valid one is 0.01"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()
