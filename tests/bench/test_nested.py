"""Budgets in each other: the worst picture of a series over eps is kept, whatever is scored first."""

from __future__ import annotations

import numpy as np
import pytest

import bench
from bench.protocol.condition import parse
from bench.protocol.series.nested import nested
from bench.store.rundir import RunDir
from bench.store.shards import Store
from tests.bench.test_attacking import NET, shards, suite

LEVELS = (1, 4, 16, 64)
WAVES = '''
class Waves(Net):
    """A detector whose logit rises and falls, so that a large step may pass the summit."""

    def logits(self, batch):
        return torch.sin(60 * super().logits(batch))
'''
SERIES = [f"pgd(eps={k}/255,steps=3)" for k in LEVELS]
ONE_STEP = [f"fgsm(eps={k}/255)" for k in LEVELS]


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(NET + WAVES)
    return f"{path}:Waves"


def run(net, tree, folder, *conditions, **more):
    chosen = suite("clean", *conditions)
    return bench.run(net, suite=chosen, data=tree, out=folder, batch_size=32, **more)


def harms(rows):
    """How wrong the detector is, an image at a time: the larger, the worse."""
    return np.array([r["logit"] * (-1 if "fake" in r["sample_id"] else 1) for r in rows])


@pytest.mark.parametrize("series", [SERIES, ONE_STEP], ids=["pgd", "fgsm"])
def test_no_image_recovers_as_the_budget_grows(tree, net, tmp_path, series):
    alone = [text.replace(")", ",nested=false)") for text in series]
    found = shards(run(net, tree, tmp_path / "out", *series, *alone))
    kept = [harms(found["Waves", str(parse(text))]) for text in series]
    single = [harms(found["Waves", str(parse(text))]) for text in alone]
    assert np.array_equal(kept, np.maximum.accumulate(single))
    assert (np.diff(single, axis=0) < 0).any()  # without it, some do
    last, published = (found["Waves", str(parse(texts[-1]))] for texts in (series, alone))
    sizes = [row["linf"] * 255 for row in last]
    assert min(sizes) < 64 - 1e-3  # the picture of a smaller budget
    assert max(sizes) <= 64 + 1e-3
    searches = 1 if series is ONE_STEP else len(LEVELS)
    # Probes are of its own search, since a worker may make them that knows of no other budget.
    assert str([r["unrounded"] for r in last]) == str([r["unrounded"] for r in published])
    assert any(r["unrounded"] is not None for r in last)
    assert [r["steps"] for r in last] == [searches * r["steps"] for r in published]


def test_a_budget_scored_later_has_the_bits_of_a_whole_run(tree, net, tmp_path):
    whole = run(net, tree, tmp_path / "whole", *SERIES)
    folder = RunDir(whole.folder)
    store = Store(folder.store(folder.spec()))
    wanted = shards(whole)
    for unit in folder.units().to_pylist():
        if unit["condition"] == str(parse(SERIES[2])):
            store.path(unit["fingerprint"]).unlink()
    assert shards(run(net, tree, tmp_path / "whole", *SERIES)) == wanted
    shuffled = run(net, tree, tmp_path / "other", *reversed(SERIES))
    assert shards(shuffled) == wanted


def test_delivery_comes_after_the_choice(tree, net, tmp_path):
    delivered = [f"{text}+jpeg(quality=30)" for text in SERIES]
    found = shards(run(net, tree, tmp_path / "out", *SERIES, *delivered))
    for plain, jpeg in zip(SERIES, delivered, strict=True):
        before, after = (found["Waves", str(parse(text))] for text in (plain, jpeg))
        assert [row["linf"] for row in before] == [row["linf"] for row in after]
        assert not np.array_equal(harms(before), harms(after))


def test_the_board_says_which_budgets_nest(tree, net, tmp_path):
    single = "pgd(eps=4/255,steps=3,nested=false)"
    made = run(net, tree, tmp_path / "out", *SERIES[:2], single)
    text = (made.folder / "leaderboard.md").read_text()
    assert f"and {parse(SERIES[0])}" in text
    assert "8-bit, the worst of 1/255, 4/255" in text
    published = next(
        line for line in text.splitlines() if "nested=false" in line and "8-bit" in line
    )
    assert "the worst of" not in published


@pytest.mark.parametrize(
    "texts",
    [
        ["pgd(eps=1/255)", "pgd(eps=2/255,steps=20)"],
        ["pgd(eps=1/255)+jpeg(quality=50)", "pgd(eps=2/255)"],
        [
            "pgd(eps=1/255,aware=true)+jpeg(quality=50)",
            "pgd(eps=2/255,aware=true)+jpeg(quality=50)",
        ],
        ["transfer(eps=1/255,surrogate=a)", "transfer(eps=2/255,surrogate=a)"],
        ["pgd(eps=1/255)", "pgd-l2(eps=1)"],
        ["jpeg(quality=50)", "jpeg(quality=30)"],
    ],
)
def test_only_what_differs_in_eps_alone_nests(texts):
    assert [condition.smaller for condition in nested([parse(text) for text in texts])] == [(), ()]


def test_a_budget_that_fails_takes_the_larger_ones_along(tree, net, tmp_path):
    made = run(net.replace("Waves", "Dead"), tree, tmp_path / "out", *SERIES)
    status = made.board.rows.groupby("condition")["status"].unique().map(list).to_dict()
    assert status == {"clean": ["ok"], **{str(parse(t)): ["not attackable"] for t in SERIES}}
