"""``standard-v1`` as a suite, and a run of a protocol in parts."""

from __future__ import annotations

import json
import tomllib

import pandas as pd
import pytest
from pydantic import ValidationError

import bench
from bench.protocol.suite import Part, Suite, load_suite
from bench.store.rundir import RunDir
from bench.store.shards import Store


def test_the_suite_runs_every_condition_of_its_parts_and_says_what_is_quoted():
    suite = load_suite("standard-v1")
    wanted = {text for part in suite.parts for text in part.conditions}
    assert set(suite.conditions) == {"clean", *wanted}
    assert len(suite.conditions) == len(set(suite.conditions))
    assert [part.headline for part in suite.parts if part.headline] == [
        "Balanced accuracy, worst delivery", "Robust accuracy, 2/255",
    ]  # fmt: skip
    for part in suite.parts:
        # What a budget names is what its attacks are allowed; of distances, those count that lie within.
        attacks = [c.attack for c in suite.parsed if str(c) in part.conditions and c.attack]
        assert all(a.eps == part.eps for a in attacks if not a.finds_distance)
        assert all(a.eps == 4 / 255 for a in attacks if a.finds_distance)
        assert sorted(a.name for a in attacks) == ["apgd", "fmn", "square"] * bool(attacks)
        assert bool(attacks) == (part.eps is not None)
    # The cross-entropy's gradient is exactly zero where a detector is very sure: no number then.
    assert all(getattr(c.attack, "loss", "margin") == "margin" for c in suite.parsed)
    assert any("version 1" in line for line in suite.remarks)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"eps": "two"}, "is not a number"),
        ({"conditions": []}, "at least 1"),
        ({"radius": -1.0}, "greater than 0"),
        ({"conditions": ["jepg"]}, "jpeg"),
        # A limit that no condition keeps would be claimed all the same.
        ({"radius": 0.25}, "jpeg.* certifies nothing"),
        (
            {"radius": 0.25, "conditions": ["smoothing(sigma=0.25)", "fgsm"]},
            "fgsm.* certifies nothing",
        ),
        ({"eps": "2/255"}, "jpeg.* has no budget"),
        ({"eps": "0", "conditions": ["fgsm(eps=2/255)"]}, "greater than 0"),
        ({"eps": "2/255", "conditions": ["fgsm(eps=4/255)"]}, "fgsm.* has another budget"),
        ({"eps": "4/255", "conditions": ["square(eps=2/255)"]}, "square.* has another budget"),
        ({"eps": "4/255", "conditions": ["fmn(eps=1/255)"]}, "fmn.* looks no further"),
        ({"eps": 0.5, "conditions": ["fmn(eps=0.5)", "fmn-l2(eps=0.5)"]}, "two norms"),
    ],
)
def test_a_part_that_cannot_be_read_says_why(wrong, said):
    part = {"name": "p", "conditions": ["jpeg(quality=75)"], **wrong}
    with pytest.raises((ValidationError, bench.BenchError), match=said):
        Part.model_validate(part)


def robust_by_distance(run, eps):
    """Balanced share of images that FMN, which looks further, has not fooled within ``eps``."""
    folder = RunDir(run.folder)
    store = Store(folder.store(folder.spec()))
    rows = pd.DataFrame(
        row
        for unit in folder.units().to_pylist()
        if unit["condition"].startswith("fmn")
        for row in store.read(unit["fingerprint"]).to_pylist()
    )
    fake = rows["sample_id"].str.contains("fake")
    holds = ((rows["logit"] > 0) == fake) | (rows["linf"] > eps + 1e-6)
    assert not holds.all()
    return holds.groupby(fake).mean().mean()


def test_a_run_in_parts_is_never_above_the_weakest_of_them(cli, tree, toy, tmp_path):
    parts = [
        Part(name="deliveries", headline="Worst delivery",
             conditions=["jpeg(quality=50)", "grayscale", "noise(sigma=0.1)"]),
        Part(name="attacks", headline="Robust", eps="2/255",
             conditions=["fgsm(eps=2/255)", "square(eps=2/255,queries=20)", "fmn(eps=4/255,steps=5)"]),
        Part(name="proof", radius=0.02, conditions=["smoothing(sigma=0.05,n=40,n0=10)"]),
    ]  # fmt: skip
    suite = Suite(name="mine-v1", slices=["pooled"], conditions=["clean"], parts=parts)
    run = bench.run(toy(), suite=suite, data=tree, out=tmp_path / "out", limit=16)
    table = run.board.extras.parts.set_index("part")
    cells = run.board.rows.set_index("condition")["balanced_accuracy"]
    for part in parts[:2]:
        value = table.loc[part.name, "value"]
        fixed = [text for text in part.conditions if not text.startswith("fmn")]
        assert value <= min(cells[["clean", *fixed]])
    assert table.loc["attacks", "value"] <= robust_by_distance(run, 2 / 255) + 1e-12
    assert table.loc["proof", "value"] <= cells["clean"]
    assert table.loc["clean", "value"] == pytest.approx(run.board.rows["auc"].iloc[0])
    # The folder keeps the protocol whole: the same command again asks for the same parts.
    kept = Suite.model_validate(tomllib.loads((run.folder / "suite.toml").read_text()))
    assert kept.parts == suite.parts
    assert RunDir(run.folder).spec().suite == suite
    document = json.loads(run.board.to_json())
    assert [row["part"] for row in document["parts"]] == ["clean", "deliveries", "attacks", "proof"]
    code, out, err = cli("board", run.folder, "--format", "md")
    assert code == 0, err
    assert "mine-v1: the numbers to quote" in out
