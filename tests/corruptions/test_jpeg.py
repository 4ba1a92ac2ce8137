"""JPEG against Pillow by hand."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from corruptions.jpeg import CORRUPTIONS, Jpeg

SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")


def encoded(image: np.ndarray, quality: int, subsampling: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("quality", [1, 30, 50, 75, 90, 95, 100])
@pytest.mark.parametrize("crop", [(240, 321), (64, 64), (9, 7), (1, 1), (1, 50)], ids=str)
def test_equal_bit_for_bit_to_pillow_by_hand(photo, rng, quality, subsampling, crop):
    image = np.ascontiguousarray(photo[: crop[0], : crop[1]])
    expected = np.asarray(Image.open(io.BytesIO(encoded(image, quality, subsampling))))
    out = Jpeg(quality=quality, subsampling=subsampling)(image, rng)
    assert np.array_equal(out, expected)


def test_equal_to_a_file_on_disk(photo, rng, tmp_path):
    Image.fromarray(photo).save(tmp_path / "a.jpg", quality=40, subsampling="4:2:0")
    with Image.open(tmp_path / "a.jpg") as on_disk:
        assert np.array_equal(np.asarray(on_disk), Jpeg(quality=40)(photo, rng))


def test_quality_and_subsampling_reach_the_encoder(photo, rng):
    outs = {
        (quality, subsampling): Jpeg(quality=quality, subsampling=subsampling)(photo, rng)
        for quality in (30, 50, 74, 75, 76, 95)
        for subsampling in SUBSAMPLINGS
    }
    for (first, a), (second, b) in itertools.combinations(outs.items(), 2):
        assert not np.array_equal(a, b), (first, second)


def test_quantisation_tables_are_those_of_the_quality(photo):
    """Independent of Pillow's decoder: libjpeg's scaling of Annex K's first luma entry, 16."""
    for quality, expected in ((50, 16), (75, 8), (25, 32), (90, 3)):
        with Image.open(io.BytesIO(encoded(photo, quality, "4:2:0"))) as file:
            assert file.quantization[0][0] == expected


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"quality": 0}, "from 1 to 100, got 0; the nearest valid one is 1"),
        ({"quality": 101}, "nearest valid one is 100"),
        ({"quality": 75.0}, "whole number"),
        ({"quality": True}, "whole number"),
        ({"quality": "75"}, "whole number"),
        ({"subsampling": "420"}, "did you mean '4:2:0'"),
        ({"subsampling": 2}, "must be one of 4:4:4, 4:2:2, 4:2:0, got 2"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        Jpeg(**parameters)


def test_a_side_no_jpeg_can_hold(rng):
    with pytest.raises(ValueError, match="at most 65500 px a side, the image has 1x65501"):
        Jpeg()(np.zeros((65501, 1, 3), np.uint8), rng)


def test_registered():
    assert list(CORRUPTIONS.items()) == [("jpeg", Jpeg)]
    assert Jpeg() == Jpeg(quality=np.int64(75), subsampling="4:2:0")
