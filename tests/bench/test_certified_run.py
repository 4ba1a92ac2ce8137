"""A certificate as a condition of a run: what is scored, kept, resumed and shown."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, norm

import bench
from bench.errors import BenchError
from bench.protocol.condition import parse
from bench.protocol.equaliser import parse_equaliser
from bench.protocol.series.severity import curves
from bench.protocol.suite import Suite
from bench.store.rundir import RunDir
from bench.store.shards import Store

SMOOTHED = "smoothing(sigma=0.25,n=60,n0=15,clip=false)"


def suite(*conditions):
    return Suite(name="certified", slices=["generator"], conditions=["clean", *conditions])


def stored(run, condition=SMOOTHED):
    """(n,) stored rows of one condition, in order."""
    folder = RunDir(run.folder)
    store = Store(folder.store(folder.spec()))
    units = [u for u in folder.units().to_pylist() if u["condition"] == condition]
    return pd.concat([store.read(u["fingerprint"]).to_pandas() for u in units], ignore_index=True)


def test_votes_are_those_of_the_closed_form_and_the_board_says_so(tree, toy, tmp_path):
    """The toy is linear: 40 * (mean red - mean blue) over 32 px has |w| = 40 sqrt(2) / 32."""
    run = bench.run(toy(), suite=suite(SMOOTHED), data=tree, out=tmp_path / "out")
    rows, clean = stored(run), stored(run, "clean")
    length = 40 * np.sqrt(2) / 32
    share = norm.cdf(clean["logit"] / (0.25 * length))
    low, high = binom.interval(1 - 1e-6, 60, share)
    assert ((low <= rows["votes"]) & (rows["votes"] <= high)).all()
    assert rows["votes"].nunique() > 5
    expected = np.log((rows["votes"] + 0.5) / (60 - rows["votes"] + 0.5))
    np.testing.assert_allclose(rows["logit"], expected, rtol=1e-6)
    table = run.board.extras.certified
    of_all = table[table["class"] == "all"]
    # No certificate passes the distance to the plane: |logit| / |w|, where the verdict is right.
    labels = RunDir(run.folder).manifest().column("label").to_numpy()
    right = (clean["logit"] > 0) == (labels == 1)
    distance = np.abs(clean["logit"].to_numpy()) / length
    for radius, accuracy in zip(of_all["radius"], of_all["accuracy"], strict=True):
        assert accuracy <= (right & (distance >= radius)).mean()
    assert of_all["accuracy"].iloc[0] > 0.3
    assert f"## Certified accuracy over L2 radius: {SMOOTHED}" in run.board.to_markdown()
    assert json.loads(run.board.to_json())["certified"]


def test_the_same_bits_for_any_threads_and_chunks_and_nothing_is_counted_twice(
    tree, toy, tmp_path, monkeypatch
):
    common = {"suite": suite(SMOOTHED), "data": tree, "batch_size": 16}
    one = bench.run(toy(), out=tmp_path / "one", threads=1, **common)
    monkeypatch.setattr("bench.store.units.CHUNK_IMAGES", 7)
    two = bench.run(toy(), out=tmp_path / "two", threads=2, **common)
    assert len(RunDir(two.folder).units()) > len(RunDir(one.folder).units())
    pd.testing.assert_frame_equal(stored(one), stored(two))
    csv = (two.folder / "certified.csv").read_bytes()
    assert csv == (one.folder / "certified.csv").read_bytes()
    # One shard is lost: its images alone are smoothed again, to the same bits.
    folder = RunDir(two.folder)
    units = [u for u in folder.units().to_pylist() if u["condition"] == SMOOTHED]
    Store(folder.store(folder.spec())).path(units[2]["fingerprint"]).unlink()
    smoothed = []
    plain = __import__("attacks.smoothing", fromlist=["Smoothing"]).Smoothing.votes

    def counted(self, *args, **kwargs):
        smoothed.append(1)
        return plain(self, *args, **kwargs)

    monkeypatch.setattr("attacks.smoothing.Smoothing.votes", counted)
    again = bench.run(toy(), out=tmp_path / "two", threads=2, **common)
    assert len(smoothed) == 7
    assert (again.folder / "certified.csv").read_bytes() == csv


def test_the_seed_and_every_parameter_are_in_the_fingerprint(tree, toy, tmp_path):
    def prints(number, condition=SMOOTHED, **more):
        run = bench.run(
            toy(), suite=suite(condition), data=tree, out=tmp_path / str(number), limit=2, **more
        )
        units = RunDir(run.folder).units().to_pylist()
        return {u["fingerprint"] for u in units if u["condition"] == condition}

    first = prints(0)
    assert prints(1) == first
    others = [
        prints(2, seed=1),
        *(
            prints(number, SMOOTHED.replace(*change))
            for number, change in enumerate(
                (("0.25", "0.5"), ("n=60", "n=61"), ("n0=15", "n0=16")), 3
            )
        ),
    ]
    assert not any(first & other for other in others)


def test_a_corruption_may_stand_before_it_and_nothing_else(tree, toy, tmp_path):
    chain = f"jpeg(quality=40)+{SMOOTHED}"
    assert parse(str(parse(chain))) == parse(chain)
    assert parse(chain).before == parse("jpeg(quality=40)").steps
    for text in (f"{SMOOTHED}+jpeg", f"pgd+{SMOOTHED}", f"{SMOOTHED}+{SMOOTHED}"):
        with pytest.raises(BenchError, match="ends the chain"):
            parse(text)
    with pytest.raises(BenchError, match="not of attacks or certificates"):
        parse_equaliser(SMOOTHED)
    with pytest.raises(BenchError, match="smoothing"):
        parse("smoothin")
    # Two strengths of noise are two certificates, and no curve of a corruption.
    assert curves([parse("smoothing(sigma=0.25)"), parse("smoothing(sigma=0.5)")]) == {}
    run = bench.run(toy(), suite=suite(chain), data=tree, out=tmp_path / "out", limit=8)
    assert set(run.board.rows["status"]) == {"ok"}
    assert set(run.board.extras.certified["condition"]) == {chain}


def test_a_black_box_without_gradients_is_certified(tree, toy, tmp_path):
    run = bench.run(
        toy("Rounds"), suite=suite("smoothing(n=40,n0=10)", "pgd(eps=2/255)"), data=tree,
        out=tmp_path / "out", limit=12,
    )  # fmt: skip
    statuses = run.board.rows.groupby("condition")["status"].unique()
    assert statuses["smoothing(sigma=0.25,n=40,n0=10)"].tolist() == ["ok"]
    assert statuses["pgd(eps=2/255)"].tolist() == ["not attackable"]
    assert not run.board.extras.certified.empty


def test_what_it_costs_is_known_before(cli, tree, toy, tmp_path):
    for number, n in enumerate((100, 1000)):
        path = tmp_path / f"{n}.toml"
        path.write_text(
            f'name = "s"\nslices = ["generator"]\nconditions = ["smoothing(n={n},n0=100)"]\n'
        )
        code, out, _ = cli(
            "run", "--detector", toy(), "--data", tree, "--suite", path, "--dry-run", "--json"
        )
        assert code == 0
        passes = json.loads(out)
        assert str(48 * (n + 100 + 1)) in out.replace(",", ""), (number, passes)
