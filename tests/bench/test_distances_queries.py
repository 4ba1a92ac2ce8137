"""The suites ``distances`` and ``queries`` as a user runs them, on a linear detector with exact answers."""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd

from bench.store.rundir import RunDir
from bench.store.shards import Store


def stored(folder, condition):
    run = RunDir(folder)
    store = Store(run.store(run.spec()))
    rows = [
        row
        for unit in run.units().to_pylist()
        if unit["condition"].startswith(condition)
        for row in store.read(unit["fingerprint"]).to_pylist()
    ]
    return pd.DataFrame(rows).set_index("sample_id").sort_index()


def table(folder, name):
    return pd.read_csv(io.StringIO((folder / name).read_text()))


def test_distances_are_those_of_the_linear_detector(cli, tree, toy, tmp_path):
    out = tmp_path / "out"
    code, _, err = cli("run", "-d", toy(), "--data", tree, "--suite", "distances", "--limit", 16,
                       "--no-audit", "-o", out, "-q")  # fmt: skip
    assert code == 0, err
    clean = stored(out, "clean")
    fake = clean.index.str.contains("fake")
    right = ((clean["logit"] > 0) == fake).to_numpy()
    assert right.any()
    # Red and blue of every pixel have weights of 40 / 32^2, against each other; green has none.
    exact = {"linf": clean["logit"].abs() / 80, "l2": clean["logit"].abs() * 32 / (40 * np.sqrt(2))}
    for name in ("fmn(", "fmn-l2(", "ddn(", "deepfool("):
        rows = stored(out, name)
        norm = "linf" if name == "fmn(" else "l2"
        assert (((rows["logit"] > 0) != fake).to_numpy()).all()
        assert (rows[norm][~right] == 0).all()
        found, least = rows[norm][right], exact[norm][right]
        assert (found >= least * (1 - 1e-3)).all()
        # At worst all 2,048 values that count move by the next whole number of levels.
        spread = 1 if norm == "linf" else 32 * np.sqrt(2)
        assert (found <= np.ceil(least / spread * 255) / 255 * spread * 1.02).all()
        cells = [r for r in csv.DictReader(io.StringIO((out / "leaderboard.csv").read_text()))
                 if r["condition"].startswith(name)]  # fmt: skip
        assert all(0 <= float(r["median_distance"]) <= found.max() for r in cells)
        assert all(r["status"] == "ok" for r in cells)
    text = (out / "leaderboard.md").read_text()
    assert "Median distance" in text
    assert cli("plot", out, "distance", "-o", tmp_path / "d.png")[0] == 0


def test_success_by_queries_grows_and_ends_at_what_the_board_says(cli, tree, toy, tmp_path):
    out = tmp_path / "out"
    code, _, err = cli("run", "-d", toy(), "--data", tree, "--suite", "queries", "--limit", 8,
                       "--no-audit", "-o", out, "-q")  # fmt: skip
    assert code == 0, err
    curves = table(out, "queries.csv")
    assert {text.partition("(")[0] for text in curves["condition"]} == {"square", "rays"}
    clean = stored(out, "clean")
    fake = clean.index.str.contains("fake")
    right = ((clean["logit"] > 0) == fake).to_numpy()
    for condition, curve in curves.groupby("condition"):
        rows = stored(out, condition)
        turned = (((rows["logit"] > 0) != fake).to_numpy())[right]
        asked = rows["steps"].to_numpy()[right]
        assert curve["success"].is_monotonic_increasing
        for queries, success in zip(curve["queries"], curve["success"], strict=True):
            assert abs(success - (turned & (asked <= queries)).mean()) < 1e-6
    assert "queries" in (out / "leaderboard.md").read_text()
    assert cli("plot", out, "queries", "-o", tmp_path / "q.png")[0] == 0
