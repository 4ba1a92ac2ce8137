"""Kept pixels are those of decoding and fitting; batches are a function of seed, epoch and step."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from bench.datasets import index, load
from bench.support.progress import Silent
from bench.training.images.batches import AllSteps, EpochSteps, TrainingImages
from bench.training.images.pixels import Decoded, Fitted, Kept, open_pixels, prune
from bench.training.settings import Settings
from detectors.card import InputSpec
from detectors.fit import fit_image

SPEC = InputSpec(size=24, fit="shortest-crop")


@pytest.fixture
def manifest(lay):
    lay({"real": (0, 7)}, side=40)
    return index(lay({"fake": (1, 7)}, side=32))


@pytest.mark.parametrize(
    ("fitted", "most", "kind"),
    [(True, 1 << 20, Fitted), (False, 1 << 20, Kept), (True, 10, Decoded)],
)
def test_every_way_to_keep_pixels_gives_those_of_decoding(manifest, tmp_path, fitted, most, kind):
    rows = np.array([3, 0, 12, 7])
    for _ in range(2):  # the second time from what was kept
        pixels = open_pixels(
            manifest, rows, SPEC, Silent(), fitted=fitted, cache=tmp_path, most=most
        )
        assert isinstance(pixels, kind)
        images = [load(manifest.root, record) for record in manifest.records(rows.tolist())]
        wanted = np.stack([fit_image(image, SPEC) for image in images])
        np.testing.assert_array_equal(pixels.canvases(np.arange(4)), wanted)
        np.testing.assert_array_equal(pixels.canvases(np.array([2, 1])), wanted[[2, 1]])
        if kind is Kept:
            np.testing.assert_array_equal(pixels.image(2), images[2])


def test_what_was_longest_unused_makes_room(manifest, tmp_path):
    rows, now = np.arange(4), time.time()
    folder = tmp_path / "pixels"
    folder.mkdir()
    for name, days in (("old", 30), ("older", 40), ("lately", 2), (".tmp-dead", 50)):
        for suffix in (".u8", ".npy"):
            (folder / name).with_suffix(suffix).write_bytes(bytes(1000))
            os.utime((folder / name).with_suffix(suffix), (now - days * 86_400,) * 2)
    pixels = open_pixels(manifest, rows, SPEC, Silent(), fitted=True, cache=tmp_path)
    (used,) = {p.stem for p in folder.glob("*.u8")} - {"old", "older", "lately", ".tmp-dead"}
    own = (folder / used).with_suffix(".u8")
    prune(own, own.stat().st_size + 2000)
    assert {p.stem for p in folder.iterdir()} == {used, "old", "lately"}
    prune(own, 0)  # what a training may still read stays
    assert {p.stem for p in folder.iterdir()} == {used, "lately"}
    os.utime(own, (now - 60 * 86_400,) * 2)
    open_pixels(manifest, rows, SPEC, Silent(), fitted=True, cache=tmp_path)
    assert time.time() - own.stat().st_mtime < 60
    assert pixels.canvases(rows).any()


def test_flips_of_canvases_are_flips_of_images(manifest, tmp_path):
    rows, labels = np.arange(14), manifest.table["label"].to_numpy().astype(np.int64)
    kept = {}
    for fitted in (True, False):
        settings = Settings(detector="x", augment=("flip@0.5", "flip(axis=vertical)@0.5"), seed=4)
        pixels = open_pixels(manifest, rows, SPEC, Silent(), fitted=fitted, cache=tmp_path)
        images = TrainingImages(pixels, labels, settings, SPEC)
        images._plain = fitted  # the slow way must agree with the quick one
        kept[fitted] = images[next(iter(EpochSteps(labels, settings)))][0].numpy()
    np.testing.assert_array_equal(kept[True], kept[False])


def test_an_epoch_shows_every_image_once_in_another_order_each_time():
    labels = np.arange(20) % 2
    steps = EpochSteps(labels, Settings(detector="x", batch=5, seed=1))
    seen = []
    for epoch in (0, 1, 0):
        steps.set_epoch(epoch)
        seen.append(np.concatenate([step.rows for step in steps]).tolist())
    assert sorted(seen[0]) == sorted(seen[1]) == list(range(20))
    assert seen[0] == seen[2] != seen[1]


def test_processes_share_every_batch_and_miss_nothing():
    labels = np.arange(21) % 2
    settings = Settings(detector="x", batch=6, seed=1)
    alone = [step.rows for step in EpochSteps(labels, settings)]
    shared = [list(EpochSteps(labels, settings, rank=r, world=2)) for r in (0, 1)]
    for batch, a, b in zip(alone, *shared, strict=True):
        assert sorted(batch) == sorted([*a.rows, *b.rows])
    assert sorted(
        r for k in (0, 1) for s in AllSteps(21, 4, rank=k, world=2) for r in s.rows
    ) == list(range(21))


def test_balanced_batches_hold_half_of_each_class():
    labels = (np.arange(40) < 30).astype(np.int64)
    steps = EpochSteps(labels, Settings(detector="x", batch=8, balanced=True))
    assert len(steps) == 2
    assert all(labels[step.rows].sum() == 4 for step in steps)
