"""OpenCV is a faster way to the same pixels, or it is not used."""

from __future__ import annotations

import numpy as np
import pytest

from corruptions import opencv
from corruptions.filters import Median
from corruptions.geometry import Flip

pytestmark = pytest.mark.skipif(not opencv.available(), reason="OpenCV is not installed")

SHAPES = [(64, 48), (1, 1), (1, 17), (33, 2), (3, 3)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "corruption",
    [Flip(), Flip(axis="vertical"), *(Median(size=k) for k in range(3, 16, 2))],
    ids=repr,
)
def test_with_and_without_opencv_every_pixel_is_the_same(corruption, shape, monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    fast = corruption(image, np.random.default_rng(0))
    monkeypatch.setattr(opencv, "_cv2", lambda: None)
    assert np.array_equal(fast, corruption(image, np.random.default_rng(0)))
