"""The published CIFAKE folders, where a copy is at hand (BENCH_TEST_CIFAKE)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.datasets import index, load

ROOT = os.environ.get("BENCH_TEST_CIFAKE", "")

pytestmark = pytest.mark.skipif(not ROOT, reason="BENCH_TEST_CIFAKE names no folder")


def test_the_test_split_is_recognised_and_labelled(tmp_path):
    manifest = index(ROOT, split="test", cache_dir=tmp_path)
    assert (manifest.layout, manifest.name) == ("cifake", "cifake")
    on_disk = {c: len(list((Path(ROOT) / "test" / c).iterdir())) for c in ("REAL", "FAKE")}
    counts = manifest.counts().set_index("label")["images"]
    assert counts.to_dict() == {0: on_disk["REAL"], 1: on_disk["FAKE"]}
    assert manifest.bad.num_rows == 0
    for record in manifest.records():
        assert record.label == (1 if "/FAKE/" in record.sample_id else 0)
        assert (record.format, record.width, record.height) == ("JPEG", 32, 32)
        assert record.split == "test"


def test_pixels_are_pillows(tmp_path):
    manifest = index(ROOT, split="test", cache_dir=tmp_path)
    for record in manifest.records(range(0, len(manifest), max(1, len(manifest) // 50))):
        with Image.open(manifest.root / record.locator) as image:
            np.testing.assert_array_equal(load(manifest.root, record), np.asarray(image))
