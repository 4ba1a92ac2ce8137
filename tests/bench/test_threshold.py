"""Threshold policies, from their spelling to the board."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

import bench
from bench.errors import BenchError
from bench.protocol.suite import Suite
from bench.protocol.threshold import parse_policy
from bench.results.board import report
from bench.store.seal import sealed

CONDITIONS = ["clean", "noise(sigma=0.05)", "pgd(eps=1/255,steps=2)"]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("oracle", "oracle"),
        ("calibrate(split=val, by=balanced-accuracy)", "calibrate(split=val,by=balanced-accuracy)"),
        ("calibrate", "calibrate(split=val,by=balanced-accuracy)"),
        ("fpr(0.01, split=val)", "fpr(0.01,split=val)"),
        ("fpr(.05,split=dev)", "fpr(0.05,split=dev)"),
    ],
)
def test_policies_have_one_spelling(text, canonical):
    assert str(parse_policy(text)) == canonical
    assert str(parse_policy(canonical)) == canonical


@pytest.mark.parametrize(
    "text",
    ["", "nan", "fpr", "fpr(2)", "fpr(x)", "fpr(0.1, 0.2)", "oracle(1)", "calibrate(by=f1)", "calibrate(x=1)",
     "calibrate(split=a b)", "best"],
)  # fmt: skip
def test_other_words_are_refused_with_those_there_are(text):
    with pytest.raises(ValueError, match=r"write a logit such as 0 or 0\.385"):
        parse_policy(text)


@pytest.fixture
def data(tree):
    """The tree with every second image in split val, as a manifest."""
    rows = [
        {
            "path": str(path.relative_to(tree)),
            "label": "fake" if "fake" in path.parts else "real",
            "generator": path.parts[-3] if "fake" in path.parts else "",
            "split": "val" if int(path.stem) % 2 else "test",
        }
        for path in sorted(tree.rglob("*.png"))
    ]
    manifest = tree / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return manifest


def run(toy, data, out, policy, **more):
    suite = Suite(name="mini", slices=["generator"], conditions=CONDITIONS, threshold=policy)
    return bench.run(toy("Shifted"), suite=suite, data=data, out=out, **more)


@pytest.fixture
def shifted(toy, tmp_path):
    """A detector whose decision point is 3 logits off, and that knows what it was trained on."""
    path = tmp_path / "toy.py"
    path.write_text(
        path.read_text() + "\nclass Shifted(Toy):\n    def logits(self, batch):\n"
        "        return super().logits(batch) + 3\n"
    )
    return toy


def rows_of(run):
    return list(csv.DictReader(io.StringIO(run.board.to_csv())))


def spec_of(folder):
    return json.loads((folder / "run.json").read_text())


def test_a_calibrated_threshold_is_chosen_on_validation_and_carried_everywhere(
    shifted, data, tmp_path
):
    done = run(shifted, data, tmp_path / "out", "calibrate(split=val)")
    record = spec_of(tmp_path / "out")["thresholds"]["Shifted"]
    # The card names alpha as training data: its six fakes and the reals they are paired with count.
    assert (record["n_fake"], record["generators"]) == (6, ["alpha"])
    assert 1 < record["value"] < 5
    rows = rows_of(done)
    assert {float(r["threshold"]) for r in rows} == {record["value"]}
    assert {r["threshold_policy"] for r in rows} == {"calibrate(split=val,by=balanced-accuracy)"}
    zero = run(shifted, data, tmp_path / "zero", "0")
    clean = [
        np.mean([float(r["balanced_accuracy"]) for r in rows_of(x) if r["condition"] == "clean"])
        for x in (done, zero)
    ]
    assert clean[0] > clean[1]
    text = done.board.to_markdown()
    assert "largest balanced accuracy on clean images of split 'val'" in text
    assert f"threshold {record['value']:.6g}, chosen on" in text
    assert "ORACLE" not in text


def test_an_attack_knows_the_threshold_it_has_to_cross(shifted, data, tmp_path):
    zero = run(shifted, data, tmp_path / "a", "0", store=tmp_path / "s")
    moved = run(shifted, data, tmp_path / "b", "calibrate", store=tmp_path / "s")
    # Shared store: 24 validation images clean, and the attack anew; clean and noise are stored.
    assert zero.counts.scored == 24 * 3
    assert moved.counts.scored == 24 + 24


def test_a_second_run_scores_nothing_and_the_board_is_rebuilt(shifted, data, tmp_path):
    first = run(shifted, data, tmp_path / "out", "fpr(0.2, split=val)")
    again = run(shifted, data, tmp_path / "out", "fpr(0.2, split=val)")
    assert again.counts.scored == again.counts.decoded == 0
    assert report(tmp_path / "out").board.to_csv() == first.board.to_csv()


def test_an_oracle_is_labelled_wherever_it_shows(shifted, data, tmp_path):
    done = run(shifted, data, tmp_path / "out", "oracle")
    assert done.counts.scored == 24 * 3
    text = done.board.to_markdown()
    titles = [line for line in text.splitlines() if line.startswith("#")]
    assert titles[0].endswith("(ORACLE threshold)")
    for title in titles:
        if "ccuracy" in title or "success" in title or "False-positive" in title or "Rank" in title:
            assert "(ORACLE threshold)" in title, title
        if ": AUC" in title:
            assert "ORACLE" not in title
    assert {r["threshold_policy"] for r in rows_of(done)} == {"oracle"}


@pytest.mark.parametrize(
    ("policy", "more", "says"),
    [
        ("calibrate(split=dev)", {}, "needs split 'dev'"),
        ("calibrate(split=val)", {"split": "val"}, "images that are scored"),
        ("calibrate(split=val)", {"split": ""}, "images that are scored"),
    ],
)
def test_a_threshold_is_never_fitted_on_what_is_scored(shifted, data, tmp_path, policy, more, says):
    with pytest.raises(BenchError, match=says):
        run(shifted, data, tmp_path / "out", policy, **more)


def test_a_set_without_splits_cannot_calibrate(shifted, tree, tmp_path):
    with pytest.raises(BenchError, match="needs split 'val'"):
        run(shifted, tree, tmp_path / "out", "calibrate")


def test_too_few_reals_for_the_rate_fail_the_cells_and_say_so(shifted, data, tmp_path):
    done = run(shifted, data, tmp_path / "out", "fpr(0.01, split=val)")
    assert {r["status"] for r in rows_of(done)} == {"failed"}
    assert "needs 100" in rows_of(done)[0]["reason"]
    assert {r["threshold"] for r in rows_of(done)} == {"n/a"}


def test_a_killed_run_without_thresholds_can_be_looked_at(shifted, data, tmp_path):
    run(shifted, data, tmp_path / "out", "calibrate")
    spec = spec_of(tmp_path / "out")
    spec["thresholds"] = {}
    (tmp_path / "out" / "run.json").write_text(json.dumps(sealed(spec)))
    board = report(tmp_path / "out").board
    assert {r["status"] for r in rows_of(type("R", (), {"board": board}))} == {"failed"}
    assert "not chosen yet" in board.to_markdown()


def test_the_command_line_overrides_the_suite():
    suite = Suite(name="x", slices=["generator"], conditions=["clean"])
    assert suite.with_threshold("oracle").threshold == "oracle"
    with pytest.raises(BenchError, match="no threshold policy"):
        suite.with_threshold("best")
