"""``--save-adversarial``: the pictures are those that were scored, and the difference is theirs."""

from __future__ import annotations

import json

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


def test_a_report_shows_the_pairs_that_were_kept(tree, toy, cli, tmp_path):
    asked = request(tree, toy(), tmp_path / "out", "clean", "fgsm(eps=2/255)")
    execute(asked)
    kept = tmp_path / "kept"
    save_adversarial(prepare(asked, Silent()), 3, kept)
    target = tmp_path / "r.html"
    assert cli("report", tmp_path / "out", "-o", target)[0] == 0
    bare = target.read_text(encoding="utf-8")
    assert "Adversarial images" not in bare
    assert "--save-adversarial 4 out/adversarial" in bare
    assert cli("report", tmp_path / "out", "-o", target, "--adversarial", kept)[0] == 0
    text = target.read_text(encoding="utf-8")
    assert text.count("amplified 64 times</span>") == 3, "two levels fill half the range"
    assert text.count('alt="The same image, attacked by fgsm(eps=2/255)"') == 3
    # Inside the run's own folder they are shown by themselves.
    kept.rename(tmp_path / "out" / "adversarial")
    assert cli("report", tmp_path / "out", "-o", target)[0] == 0
    assert target.read_text(encoding="utf-8") == text
    assert "amplified" not in _bare(cli, tmp_path / "out", target)
    kept = tmp_path / "out" / "adversarial"
    listed = json.loads((kept / "pairs.json").read_text())
    for change, said in (
        ({"manifest_digest": "0"}, "belongs to none of the runs"),
        (
            {"pairs": [{**listed["pairs"][0], "clean": "../../secret.png"}]},
            "lies outside its folder",
        ),
        ({"pairs": [{**listed["pairs"][0], "largest": "many"}]}, "is damaged"),
    ):
        (kept / "pairs.json").write_text(json.dumps({**listed, **change}))
        code, _, err = cli("report", tmp_path / "out", "-o", target, "--adversarial", kept)
        assert code == 2
        assert said in err
    code, _, err = cli("report", tmp_path / "out", "-o", target, "--adversarial", tree)
    assert code == 2
    assert "holds no pairs.json" in err


def _bare(cli, run, target):
    assert cli("report", run, "-o", target, "--no-images")[0] == 0
    return target.read_text(encoding="utf-8")
