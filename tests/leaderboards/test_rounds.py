"""The order of scoring, and whether intervals keep their coverage where scoring stops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from leaderboards.statistics.intervals import auc_interval, delong
from leaderboards.statistics.sequential.precision import Precision, half_width
from leaderboards.tables.rounds.order import looks, positions
from leaderboards.tables.rounds.stopping import Looks, Scores
from leaderboards.tables.slicing import slices


def frame(n, groups=None):
    labels = np.arange(n) % 2
    return pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(n)],
            "label": labels,
            "generator": np.where(labels == 1, "gen", "photo"),
            "domain": np.where(np.arange(n) % 5 == 0, "faces", "streets"),
            "group": groups if groups is not None else [""] * n,
            "sha256": [""] * n,
        }
    )


def test_any_beginning_of_the_order_is_a_stratified_sample():
    samples = frame(2000)
    places = positions(samples, seed=0)
    assert places.min() > 0
    assert places.max() < 1
    kinds = samples.groupby(["label", "domain"]).indices
    for end in (0.1, 0.25, 0.5, 0.9):
        for rows in kinds.values():
            assert abs(np.count_nonzero(places[rows] < end) - end * len(rows)) <= 1


def test_groups_come_whole_and_the_order_owes_nothing_to_the_order_of_the_rows():
    samples = frame(600, [f"photo {i // 6}" for i in range(600)])
    places = positions(samples, seed=4)
    assert samples.assign(place=places).groupby("group")["place"].nunique().eq(1).all()
    shuffled = samples.sample(frac=1, random_state=0)
    assert np.array_equal(positions(shuffled, seed=4), places[shuffled.index])
    assert not np.array_equal(positions(samples, seed=5), places)


def test_looks_lie_a_step_apart_and_later_a_tenth():
    counts = [round(end * 100_000) for end in looks(100_000, 200_000)[:-1]]
    assert counts[:12] == [256 * i for i in range(1, 12)] + [2816 + 256]
    steps = np.diff(counts)
    assert (steps <= np.maximum(256, np.array(counts[:-1]) / 10)).all()
    assert len(counts) < 60


def test_the_half_width_is_that_of_the_interval_on_the_board_and_wider_with_clusters():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 200)
    logits = rng.normal(size=400) + labels
    lo, hi = auc_interval(delong(labels, logits), 200, 200)
    assert half_width("auc", labels, logits) == pytest.approx((hi - lo) / 2)
    shared = np.repeat(rng.normal(size=40), 10)
    clusters = np.repeat(np.arange(40), 10)
    grouped = shared + 0.2 * rng.normal(size=400) + labels
    plain = half_width("auc", labels, grouped)
    assert half_width("auc", labels, grouped, clusters=clusters) > 1.3 * plain
    assert half_width("tpr_at_1_fpr", labels, logits) == np.inf  # 200 reals cannot set 1%


@pytest.mark.parametrize(
    ("metric", "shift", "width"), [("auc", 3.65, 0.004), ("accuracy", 1.5, 0.02)]
)
def test_intervals_keep_their_coverage_where_scoring_stops(metric, shift, width):
    runs, n, at = 120, 3000, 0.5
    truth = {
        "auc": norm.cdf(shift / np.sqrt(2)),
        "accuracy": (norm.cdf(at) + norm.cdf(shift - at)) / 2,
    }[metric]
    samples = frame(2 * n).assign(domain="")
    (cut,) = slices(samples, {"gen": ["photo"]})
    plan, target = Looks.of(samples, [cut], seed=0), Precision(metric, width)
    labels, hits, used = samples["label"].to_numpy(), 0, []
    for seed in range(runs):
        logits = (np.random.default_rng(seed).normal(size=2 * n) + shift * labels).astype("f4")
        course = plan.follow(0, Scores(logits, np.ones(2 * n, bool), at), target)
        part = plan.reach([course]).part(cut)
        of_part = logits[part.rows]
        assert course.state == "target met"
        assert half_width(metric, part.labels, of_part, at) <= width
        hits += covers(metric, part.labels, of_part, at, truth)
        used.append(len(part.rows))
    assert 0.9 <= hits / runs <= 0.99
    assert np.mean(used) < n


def covers(metric, labels, logits, at, truth):
    from leaderboards import evaluate

    found = evaluate(labels, logits, at)
    return getattr(found, f"{metric}_lo") <= truth <= getattr(found, f"{metric}_hi")
