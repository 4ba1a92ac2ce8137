"""``--save-adversarial``: the pictures are those that were scored, and the difference is theirs."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bench.errors import BenchError
from bench.inference.detector import DetectorRequest
from bench.pictures.adversarial_images import difference, save_adversarial
from bench.protocol.suite import Suite
from bench.runs.prepare import prepare
from bench.runs.request import RunRequest
from bench.runs.runner import execute
from bench.store.rundir import RunDir
from bench.store.shards import Store
from bench.support.progress import Silent


def request(tree, name, out, *conditions):
    suite = Suite(name="mini", slices=["generator"], conditions=list(conditions))
    return RunRequest(detectors=(DetectorRequest(name),), suite=suite, data=str(tree), out=out)


def test_saved_pictures_are_the_scored_ones(tree, toy, tmp_path):
    asked = request(
        tree, toy(), tmp_path / "out", "clean", "pgd(eps=4/255)", "fgsm(eps=2/255)+jpeg(quality=80)"
    )
    run = execute(asked)
    written = save_adversarial(prepare(asked, Silent()), 3, tmp_path / "png")
    assert len(written) == 2 * 3 * 3
    folder = RunDir(run.folder)
    unit = next(u for u in folder.units().to_pylist() if u["condition"] == "pgd(eps=4/255)")
    stored = Store(folder.store(folder.spec())).read(unit["fingerprint"]).to_pylist()
    place = tmp_path / "png" / "Toy" / "pgd(eps=4_255)"
    for row, path in zip(stored[:3], sorted(place.glob("*-adversarial.png")), strict=True):
        moved = np.asarray(Image.open(path)).astype(float)
        logit = 40 * (moved[..., 0].mean() - moved[..., 2].mean()) / 255
        assert logit == pytest.approx(row["logit"], abs=1e-4)
        clean = np.asarray(Image.open(str(path).replace("adversarial", "clean"))).astype(int)
        assert np.abs(moved - clean).max() == 4
        told = np.asarray(Image.open(str(path).replace("adversarial", "difference"))).astype(int)
        assert np.array_equal(np.sign(told - 128), np.sign(moved - clean))


def test_the_difference_is_grey_where_nothing_changed():
    clean = np.full((3, 2, 2), 100, dtype=np.uint8)
    moved = clean.copy()
    assert (difference(clean, moved) == 128).all()
    moved[0, 0, 0], moved[1, 1, 1] = 104, 98
    told = difference(clean, moved)
    assert (told[0, 0, 0], told[1, 1, 1], told[2, 0, 0]) == (255, 64, 128)


def test_nothing_to_save_is_said(tree, toy, tmp_path):
    with pytest.raises(BenchError, match="holds no attack"):
        save_adversarial(
            prepare(request(tree, toy(), tmp_path / "o", "clean"), Silent()), 1, tmp_path
        )
    with pytest.raises(BenchError, match="at least 1"):
        save_adversarial(
            prepare(request(tree, toy(), tmp_path / "o", "pgd"), Silent()), 0, tmp_path
        )
