"""Certified accuracy: exact bounds, their coverage, and the table on a board."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, binomtest, norm

from leaderboards import Board, BoardNotes, cell_rows, extras, slices
from leaderboards.statistics.intervals import clopper_pearson_lower
from leaderboards.tables.further.certified import CertificateFacts, certificates, certified

FACTS = CertificateFacts(sigma=0.25, n=1000, n0=100, alpha=0.001)
CONDITION = "smoothing(sigma=0.25)"


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_the_lower_bound_equals_scipys_exact_one(confidence):
    for n in (1, 7, 100, 1000):
        counts = np.unique([0, 1, n // 3, n - 1, n])
        ours = clopper_pearson_lower(counts, n, confidence)
        theirs = [
            binomtest(int(k), n, alternative="greater").proportion_ci(confidence, "exact").low
            for k in counts
        ]
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_the_bound_covers_in_two_thousand_draws():
    """At each rate at most 5 % of 2,000 bounds may lie above it."""
    rng = np.random.default_rng(0)
    rates = np.array([0.02, 0.3, 0.5, 0.51, 0.75, 0.9, 0.99, 0.999])
    draws = rng.binomial(1000, rates[:, None], (len(rates), 2000))
    bounds = clopper_pearson_lower(draws.ravel(), 1000, 0.95).reshape(draws.shape)
    missed = (bounds > rates[:, None]).sum(1)
    assert (missed <= binom.ppf(1 - 1e-4, 2000, 0.05)).all()
    # And it is no trivial bound: around the middle it is nearly as often too high as it may be.
    assert (missed[1:5] >= binom.ppf(1e-4, 2000, 0.03)).all()


def test_radii_cover_the_true_ones_in_two_thousand_draws():
    """Of images with a known share p, the radius passes sigma * Phi^-1(p) in at most alpha of draws."""
    facts = dataclasses.replace(FACTS, alpha=0.05)
    rng = np.random.default_rng(1)
    for share in (0.5, 0.55, 0.8, 0.97):
        pilot, votes = (rng.binomial(n, share, 2000) for n in (facts.n0, facts.n))
        given = certificates(pilot, votes, facts)
        true_radius = facts.sigma * norm.ppf(share)
        wrong = (given.verdict == 0) | ((given.verdict == 1) & (given.radius > true_radius + 1e-12))
        assert wrong.sum() <= binom.ppf(1 - 1e-4, 2000, 0.05)
        assert (given.radius[given.verdict < 0] == 0).all()


def test_the_bound_refuses_what_is_no_count():
    for k, n, confidence in ((11, 10, 0.95), (-1, 10, 0.95), (0, 0, 0.95), (1, 10, 1.0)):
        with pytest.raises(ValueError):
            clopper_pearson_lower(np.array([k]), n, confidence)


def test_both_verdicts_are_certified_alike_and_a_torn_vote_abstains():
    pilot, votes = np.array([100, 0, 100, 0, 50, 60]), np.array([990, 10, 10, 990, 530, 520])
    verdict, radius = certificates(pilot, votes, FACTS)
    assert verdict.tolist() == [1, 0, -1, -1, -1, -1]
    assert radius[0] == pytest.approx(radius[1])
    assert radius[0] == pytest.approx(
        0.25
        * norm.ppf(binomtest(990, 1000, alternative="greater").proportion_ci(0.999, "exact").low)
    )
    assert radius[2:].tolist() == [0, 0, 0, 0]


@pytest.fixture
def column(pocket, scores):
    """Fakes with 995 votes of 1,000 but the last ten, who have 520; reals with 5."""
    labels = pocket["label"].to_numpy()
    votes = np.where(labels == 1, 995.0, 5.0)
    votes[-10:] = 520
    return scores(
        pocket, condition=CONDITION, votes=votes, pilot_votes=np.where(labels == 1, 100.0, 0.0)
    )


def test_accuracy_counts_what_is_right_and_holds_at_the_radius(pocket, pairing, column):
    cuts = slices(pocket, pairing, ("generator",))
    table = certified(pocket, cuts, [column], {CONDITION: FACTS})
    every = table[table["class"] == "all"]
    assert every["radius"].tolist() == pytest.approx(np.arange(0, FACTS.largest, 0.0625))
    assert every["n"].unique().tolist() == [90]
    assert every["accuracy"].iloc[0] == pytest.approx(80 / 90)
    assert every["abstained"].iloc[0] == pytest.approx(10 / 90)
    assert (every["accuracy"].diff().dropna() <= 0).all()
    radius = certificates(np.array([100]), np.array([995]), FACTS).radius[0]
    assert every["accuracy"].tolist() == [80 / 90 if r <= radius else 0 for r in every["radius"]]
    fakes = table[table["class"] == "fake"]
    assert fakes["accuracy"].iloc[0] == pytest.approx(50 / 60)


def test_without_votes_or_with_a_hole_there_is_no_number(pocket, pairing, column, scores):
    cuts = slices(pocket, pairing, ("generator",))
    holed = dataclasses.replace(column, votes=np.where(np.arange(90) == 3, np.nan, column.votes))
    failed = dataclasses.replace(column, status="failed", reason="it broke")
    for bad in (scores(pocket, condition=CONDITION), holed, failed):
        assert certified(pocket, cuts, [bad], {CONDITION: FACTS}).empty


def test_the_board_shows_the_table_and_writes_the_curve(pocket, pairing, column, scores, tmp_path):
    cuts, columns = slices(pocket, pairing, ("generator",)), [scores(pocket), column]
    rows = cell_rows(pocket, cuts, columns, {}, "pocket")
    made = dataclasses.replace(
        extras(pocket, cuts, columns, rows, {}),
        certified=certified(pocket, cuts, columns, {CONDITION: FACTS}),
    )
    notes = BoardNotes(suite="s", dataset="pocket", certificates={CONDITION: FACTS})
    board = Board(rows, notes, made)
    text = board.to_markdown()
    assert f"## Certified accuracy over L2 radius: {CONDITION}" in text
    assert "100 + 1000 forward passes an image" in text
    board.write(tmp_path)
    curve = pd.read_csv(tmp_path / "certified.csv")
    assert len(curve) == 3 * len(np.arange(0, FACTS.largest, 0.0625))
    Board(rows, notes).write(tmp_path)
    assert not (tmp_path / "certified.csv").exists()
