"""A data set of reals alone: false alarms by edit and by a column of the table; what needs fakes is n/a."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

import bench
from bench.errors import BenchError
from bench.protocol.suite import Suite, load_suite
from bench.store.rundir import RunDir
from bench.store.shards import Store
from tests.conftest import picture

EDIT = "only(reals)+hdr-tone(strength=0.8)"


@pytest.fixture
def photographs(tmp_path):
    """Sixteen reals in a table with a category: every second one as red as the toy's fakes."""
    rows = [["path", "label", "category"]]
    for i in range(16):
        Image.fromarray(picture(i, fake=i % 2 == 1)).save(tmp_path / f"{i}.png")
        rows.append([f"{i}.png", "real", "food" if i % 2 else "street"])
    with (tmp_path / "list.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return tmp_path / "list.csv"


def test_false_alarms_by_edit_and_category(photographs, toy, cli, tmp_path):
    suite = Suite(name="mine", slices=["pooled", "category"], conditions=["clean", EDIT], split="")
    run = bench.run(toy(), suite=suite, data=photographs, out=tmp_path / "out")
    folder = RunDir(run.folder)
    store = Store(folder.store(folder.spec()))
    rows = run.board.rows.set_index(["condition", "domain"])
    for unit in folder.units().to_pylist():
        stored = store.read(unit["fingerprint"]).to_pylist()
        called = np.array([row["logit"] > 0 for row in stored])
        number = [int(row["sample_id"].split("/")[-1].partition(".")[0]) for row in stored]
        food = np.array([n % 2 == 1 for n in number])
        for domain, chosen in (
            ("all", food | ~food),
            ("category=food", food),
            ("category=street", ~food),
        ):
            cell = rows.loc[(unit["condition"], domain)]
            assert cell["status"] == "ok"
            assert (cell["n_real"], cell["n_fake"]) == (chosen.sum(), 0)
            assert 1 - cell["real_recall"] == pytest.approx(called[chosen].mean())
            assert np.isnan(cell["auc"])
    assert rows.loc[("clean", "category=food"), "real_recall"] < 0.5
    assert rows.loc[("clean", "category=street"), "real_recall"] > 0.5
    text = run.board.to_markdown()
    assert "## Reals called fake, by edit and category" in text
    assert "16 real and 0 AI-generated images" in text
    for words in (("verify",), ("report", "--no-images", "-o", tmp_path / "r.html")):
        code, _, err = cli(words[0], run.folder, *words[1:])
        assert code == 0, err


@pytest.mark.parametrize(
    ("slices", "conditions", "said"),
    [
        (
            ["pooled"],
            ["clean", EDIT, "jpeg(quality=50)"],
            "no AI-generated one: add some, or run a suite",
        ),
        (["pooled"], ["clean"], "no AI-generated one"),
        (["generator"], ["clean", EDIT], "holds reals alone: let slices be pooled"),
    ],
)
def test_where_fakes_are_asked_of_the_data_are_refused(
    photographs, toy, tmp_path, slices, conditions, said
):
    suite = Suite(name="mine", slices=slices, conditions=conditions, split="")
    with pytest.raises(BenchError, match=said):
        bench.run(toy(), suite=suite, data=photographs, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_suite_of_benign_edits_needs_no_fakes():
    assert load_suite("benign").changes_reals_alone
    assert not load_suite("evasion").changes_reals_alone
