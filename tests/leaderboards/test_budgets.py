"""One attack run that answers every budget: distances and queries on the board."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import quantile_test

from leaderboards import Board, BoardNotes, ScoreColumn, cell_rows, slices
from leaderboards.plots.distance import distance_rows
from leaderboards.plots.evidence import Evidence
from leaderboards.plots.queries import query_rows
from leaderboards.statistics.intervals import median_interval
from leaderboards.tables.extras import extras

N = 20
LABELS = np.arange(N) % 2
RIGHT = np.where(LABELS == 1, 2.0, -2.0).astype(np.float32)
THRESHOLDS = {"net": 0.0}
NOTES = BoardNotes(suite="mini", dataset="data")


def samples():
    return pd.DataFrame(
        {
            "sample_id": [f"{i}" for i in range(N)], "label": LABELS,
            "generator": np.where(LABELS == 1, "gan", "camera"), "domain": "photo",
            "group": "", "sha256": [f"{i}" for i in range(N)],
        }
    )  # fmt: skip


def column(wrong, *, clean_wrong=(), **more):
    logits = RIGHT.copy()
    logits[[*wrong, *clean_wrong]] *= -1
    return ScoreColumn(detector="net", condition="attack", logits=logits, ranked=False, **more)


def board(attacked, clean_wrong=()):
    clean = RIGHT.copy()
    clean[list(clean_wrong)] *= -1
    columns = [ScoreColumn(detector="net", condition="clean", logits=clean), attacked]
    frame = samples()
    cuts = slices(frame, {"gan": ("camera",)})
    rows = cell_rows(frame, cuts, columns, {}, "data", threshold=THRESHOLDS)
    made = extras(frame, cuts, columns, rows, {})
    evidence = Evidence(
        rows=rows, notes=NOTES, extras=made, means=pd.DataFrame(), samples=frame, slices=cuts,
        columns=columns, thresholds=THRESHOLDS,
    )  # fmt: skip
    return Board(rows, NOTES, made), evidence


@pytest.mark.parametrize("n", [6, 7, 10, 25, 101, 500])
def test_the_medians_interval_is_that_of_scipy(n):
    values = np.random.default_rng(n).normal(size=n)
    interval = quantile_test(values, p=0.5).confidence_interval(0.95)
    assert tuple(median_interval(values)) == (interval.low, interval.high)
    assert np.isnan(median_interval(values[:5])).all()


def test_an_image_that_nothing_fools_is_infinitely_far():
    sizes = np.arange(N) / 255.0
    attacked = column(range(1, 12), clean_wrong=[0], linf=sizes, l2=sizes, distance_norm="linf")
    made, evidence = board(attacked, clean_wrong=[0])
    (row,) = made.rows[made.rows["condition"] == "attack"].to_dict("records")
    # 12 of 20 are fooled, at 0, 1, ... 11 levels; the median lies between the tenth and the eleventh.
    assert row["median_distance"] == pytest.approx(9.5 / 255)
    assert row["median_distance_lo"] == pytest.approx(5 / 255)
    assert row["median_distance_hi"] == np.inf
    table = made.extras.distances.set_index("eps")["robust_accuracy"]
    exact = {0: 0.95, 1: 0.9, 2: 0.85, 4: 0.75, 8: 0.55, 16: 0.4}
    assert table.to_dict() == pytest.approx({k / 255: v for k, v in exact.items()})
    assert set(made.extras.distances["never_fooled"]) == {8}
    text = made.to_markdown()
    assert "Distance to the nearest image that fools, L-inf" in text
    assert "[0.0196, inf]" in text
    document = json.loads(made.to_json())
    assert document["cells"][1]["median_distance_hi"] == "inf"
    assert ",inf" in made.files()["distances.csv"]
    points = distance_rows(evidence)
    assert points["accuracy"].iloc[0] == 0.95
    assert points["accuracy"].is_monotonic_decreasing
    assert points["accuracy"].iloc[-1] >= 0.4


def test_a_median_of_the_never_fooled_is_infinite_and_other_attacks_have_none():
    sizes = np.full(N, 2 / 255)
    made, _ = board(column(range(5), linf=sizes, l2=sizes, distance_norm="linf"))
    assert made.rows["median_distance"].iloc[1] == np.inf
    made, evidence = board(column(range(5), linf=sizes, l2=sizes))
    assert np.isnan(made.rows["median_distance"].iloc[1])
    assert made.extras.distances.empty
    assert distance_rows(evidence).empty
    assert "distances.csv" not in made.files()


def test_only_attacked_images_have_a_distance():
    sizes = np.where(LABELS == 1, 0.5, np.nan)
    made, _ = board(column(range(N), linf=sizes, l2=sizes, distance_norm="l2"))
    assert set(made.extras.distances["n"]) == {N // 2}
    assert made.rows["median_distance"].iloc[1] == 0.5


def test_success_after_fewer_queries_is_read_off_one_run():
    steps = np.array([1, 10, 11, 400, 700] + [700] * 15)
    attacked = column(
        range(4), clean_wrong=[19], linf=steps / 1e4, steps=steps, counts_queries=True
    )
    made, evidence = board(attacked, clean_wrong=[19])
    success = made.extras.queries.set_index("queries")["success"] * 19
    exact = {1: 1, 10: 2, 50: 3, 100: 3, 250: 3, 500: 4, 700: 4}
    assert success.to_dict() == pytest.approx(exact)
    assert "Attack success by queries" in made.to_markdown()
    assert "queries.csv" in made.files()
    assert len(query_rows(evidence)) == 7
    made, _ = board(column(range(4), linf=steps / 1e4, steps=steps))
    assert made.extras.queries.empty
