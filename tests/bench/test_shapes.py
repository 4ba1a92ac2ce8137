"""Canvases that are no squares, of many shapes, or scored by views: through runs, attacks, predictions."""

from __future__ import annotations

import json
import textwrap

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

import bench
from bench.inference.batches import auto_batch, batches
from bench.protocol.suite import Suite
from bench.store.rundir import RunDir
from bench.store.shards import Store

CODE = '''
import torch
from detectors import Detector, DetectorCard, InputSpec, NetworkDetector

PLAIN = dict(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

class Net(torch.nn.Module):
    """Red against blue, the left of the image counting most: a gradient that sees where it is."""

    def forward(self, batch):
        weight = torch.linspace(2, 1, batch.shape[-1])
        means = (batch * weight).mean(dim=(2, 3))
        return 40 * (means[:, 0] - means[:, 2])[:, None]

def made(name, **rule):
    return NetworkDetector(Net(), DetectorCard(name=name, arch="net", input=InputSpec(**rule, **PLAIN)))

def rectangle():
    return made("rectangle", size=(20, 33), fit="resize", interpolation="bilinear")

def native():
    return made("native", size=None, fit="native")

def views():
    return made(
        "views", size=None, fit="native", resize_to=30, interpolation="bilinear", views="ten",
        view_size=(24, 27), pool="median",
    )
'''


@pytest.fixture
def made(tmp_path):
    path = tmp_path / "shapes.py"
    path.write_text(textwrap.dedent(CODE))
    return lambda name: f"{path}:{name}"


@pytest.fixture
def mixed(tmp_path):
    """Eight reals and eight fakes of six sizes, two of them smaller than a view."""
    rng = np.random.default_rng(0)
    sizes = [(40, 48), (48, 40), (31, 64), (40, 48), (20, 21), (64, 64), (25, 19), (40, 48)]
    for kind in ("real", "fake"):
        for i, size in enumerate(sizes):
            pixels = rng.normal(120, 30, (*size, 3))
            pixels[..., 0] += 6 if kind == "fake" else -6
            path = tmp_path / "mixed" / "alpha" / kind / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
    return tmp_path / "mixed"


def net(pixels):
    """The network once more, in numpy: (3, h, w) in 0..1."""
    weight = np.linspace(2, 1, pixels.shape[-1])
    red, _, blue = (pixels * weight).mean((1, 2))
    return 40 * (red - blue)


def by_hand(name, path):
    image = Image.open(path)
    if name == "rectangle":
        return net(np.asarray(v2.Resize((20, 33))(image)).transpose(2, 0, 1) / 255)
    if name == "native":
        return net(np.asarray(image).transpose(2, 0, 1) / 255)
    crops = v2.TenCrop((24, 27))(v2.Resize(30)(image))
    return np.median([net(np.asarray(crop).transpose(2, 0, 1) / 255) for crop in crops])


@pytest.mark.parametrize("name", ["rectangle", "native", "views"])
def test_a_run_scores_every_shape_as_by_hand_and_attacks_it(name, made, mixed, tmp_path):
    suite = Suite(
        name="shapes",
        slices=["generator"],
        conditions=["clean", "fgsm(eps=2/255)", "pgd(eps=2/255,steps=3)"],
    )
    run = bench.run(made(name), suite=suite, data=mixed, out=tmp_path / "out")
    assert not run.report.incomplete
    folder = RunDir(run.folder)
    store, manifest = Store(folder.store(folder.spec())), folder.manifest().to_pylist()
    logits = {}
    for unit in folder.units().to_pylist():
        rows = store.read(unit["fingerprint"]).to_pylist()
        logits.setdefault(unit["condition"].partition("(")[0], []).extend(r["logit"] for r in rows)
    expected = [by_hand(name, mixed / row["sample_id"]) for row in manifest]
    assert logits["clean"] == pytest.approx(expected, abs=2e-5)
    fake = np.array([row["label"] for row in manifest]) == 1
    for attack in ("fgsm", "pgd"):
        moved = np.array(logits[attack]) - np.array(logits["clean"])
        assert (np.where(fake, -moved, moved) > 0.1).all()


def test_predictions_are_made_of_every_shape(made, mixed, cli):
    code, out, _ = cli("predict", mixed, "-d", made("views"), "--device", "cpu", "--json")
    assert code == 0
    for row in json.loads(out):
        assert row["logit"] == pytest.approx(by_hand("views", row["path"]), abs=2e-5)


def test_a_lone_shape_is_not_padded_to_a_whole_batch_where_shapes_vary():
    canvases = [np.zeros((3, 4, 4 + (i > 4) * i), np.uint8) for i in range(7)]
    assert [(len(b.rows), len(b.images)) for b in batches(canvases, 32)] == [(5, 8), (1, 2), (1, 2)]
    assert [(len(b.rows), len(b.images)) for b in batches(canvases, 4)] == [
        (4, 4),
        (1, 2),
        (1, 2),
        (1, 2),
    ]
    assert [len(b.images) for b in batches(canvases[:5], 32)] == [32]


def test_rectangles_and_views_come_in_batches_as_large_as_their_pixels_allow():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert auto_batch((112, 448), cpu) == auto_batch(224, cpu) == 16
    assert auto_batch(224, cpu, views=10) == 2
    assert auto_batch(224, cuda, views=10) == 8
