"""Defended detectors in a run: named like any other, attacked through the defence."""

from __future__ import annotations

import pandas as pd
import pytest

import bench
from bench.inference.detector import DetectorRequest
from bench.protocol.suite import Suite


def test_a_defended_detector_is_a_line_of_its_own_and_is_attacked_adaptively(tree, toy, tmp_path):
    suite = Suite(
        name="d", slices=["generator"], conditions=["clean", "mifgsm(eps=16/255,steps=2)"]
    )
    drawing = f"defended({toy()},resizing(eot=2))"
    common = {"suite": suite, "data": tree, "limit": 8}
    names = [f"defended({toy()}, jpeg(quality=50))", drawing]
    rows = bench.run(names, out=tmp_path / "both", threads=1, **common).board.rows
    labels = ["defended(Toy,jpeg(quality=50))", "defended(Toy,resizing(eot=2))"]
    assert list(dict.fromkeys(rows["detector"])) == labels
    assert set(rows["status"]) == {"ok"}
    attacked = rows[rows["condition"] != "clean"]
    assert (attacked["attack_success"] > 0.5).all()
    # What the detector inside has seen in training stays seen.
    assert set(rows[rows["generator"] == "alpha"]["seen"]) == {"seen"}
    # Draws hang on pictures alone: other threads and batches give the same scores.
    again = bench.run(drawing, out=tmp_path / "one", threads=2, batch_size=3, **common).board.rows
    first = rows[rows["detector"] == labels[1]].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, first, rtol=1e-4)


def test_paths_inside_are_made_absolute_and_names_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    request = DetectorRequest("defended(mine.py:Toy,jpeg)")
    assert request.label == "defended(Toy,jpeg)"
    assert request.absolute().name == f"defended({tmp_path / 'mine.py'}:Toy,jpeg)"
    nested = DetectorRequest("defended(defended(resnet50,median),jpeg(quality=50))")
    assert nested.label == nested.name == nested.absolute().name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("defended(resnet50,jpg(quality=75))", "no defence called 'jpg'"),
        ("defended(resnet50,jpeg(quality=750))", "jpeg quality must be a whole number"),
        ("defended(resnet5,jpeg(quality=75))", "no detector called 'resnet5'"),
        ("defended(genimage-cnn,resizing,smoothing)", "both draw"),
    ],
)
def test_a_dry_run_refuses_what_a_run_refuses(cli, tree, name, said):
    args = ("run", "-d", name, "--data", tree, "--suite", "smoke")
    for more in ((), ("--dry-run",)):
        code, _, err = cli(*args, *more)
        assert (code, said in err) == (2, True), err
