"""FerretNet-S with its published weights on its authors' images, where BENCH_TEST_PUBLISHED names them."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from bench import api
from bench.inference.detector import DetectorRequest, resolve

FOLDER = Path(os.environ.get("BENCH_TEST_PUBLISHED", ""))
WEIGHTS = FOLDER / "ferretnet-s-median-3.pth"
REQUEST = DetectorRequest("ferretnet-s", WEIGHTS)
SUITE = """
name = "truth"
description = "One JPEG, laundering, evasion and one attack."
slices = ["generator"]
conditions = [
  "clean", "jpeg(quality=75)", "only(fakes)+camera(severity=1)", "only(reals)+camera(severity=1)",
  "autoencoder(weights=FOLDER/taef2_encoder.pth)", "pgd(eps=1/255)",
]
"""

pytestmark = pytest.mark.skipif(
    not os.environ.get("BENCH_TEST_PUBLISHED"),
    reason="BENCH_TEST_PUBLISHED names no folder with ferretnet-s-median-3.pth",
)


def test_logits_are_those_of_the_authors_code():
    expected = json.loads((FOLDER / "ferretnet-s.json").read_text())["logits"]
    ours = {Path(p.path).name: p.logit for p in api.predict(FOLDER / "images", REQUEST)}
    assert ours == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
def test_one_jpeg_hides_every_fake_and_one_level_fools_it_everywhere(tmp_path):
    for image in sorted((FOLDER / "images").iterdir()):
        kind = "real" if image.name.startswith("real") else "fake"
        folder = tmp_path / "data" / "authors" / kind
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, folder)
    suite = tmp_path / "truth.toml"
    suite.write_text(SUITE.replace("FOLDER", str(FOLDER)))
    api.run(REQUEST, suite=str(suite), data=tmp_path / "data", out=tmp_path / "run", device="cpu")
    with (tmp_path / "run" / "leaderboard.csv").open(newline="") as stream:
        rows = {row["condition"]: row for row in csv.DictReader(stream)}
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert float(rows["clean"]["accuracy"]) == 1
    assert float(rows["jpeg(quality=75)"]["fake_recall"]) == 0
    assert float(rows["pgd(eps=1/255)"]["attack_success"]) == 1
    # A camera hides every fake and accuses nobody; an autoencoder hides two of six.
    camera, laundered = (
        {name: row for name, row in rows.items() if step in name}
        for step in ("camera", "autoencoder")
    )
    for name, row in camera.items():
        changed, other = (
            ("fake_recall", "real_recall") if "fakes" in name else ("real_recall", "fake_recall")
        )
        assert float(row[changed]) == ("reals" in name)
        assert row[other] == "n/a"
        assert float(row["median_psnr"]) > 20
    (row,) = laundered.values()
    assert float(row["fake_recall"]) == pytest.approx(4 / 6)
    assert float(row["real_recall"]) == 1
    assert float(rows["pgd(eps=1/255)"]["median_linf"]) <= 1 / 255 + 1e-6
    # Trained on ProGAN alone, by the card of the published file.
    assert rows["clean"]["seen"] == "unseen"


def test_the_gradient_of_the_logit_is_that_of_finite_differences():
    detector = resolve(REQUEST).to(torch.device("cpu"))
    network = detector.network.double()
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, 48, 48, generator=generator, dtype=torch.float64).requires_grad_()
    direction = torch.randn(image.shape, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(network(image)[0, 0], image)
    step = 1e-7
    with torch.no_grad():
        ends = [network(image + sign * step * direction)[0, 0] for sign in (1, -1)]
    slope = float((ends[0] - ends[1]) / (2 * step))
    assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-4)
