"""Group-sequential boundaries against a multivariate normal, and the sequential gate's errors and cost."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from leaderboards.gate import Rules, judge, outcome
from leaderboards.sequential_gate import gate_looks, judge_in_looks
from leaderboards.statistics.paired_cells import PairedCell
from leaderboards.statistics.sequential.boundaries import boundaries


@pytest.mark.parametrize(
    ("shares", "level"), [((0.5, 1.0), 0.05), ((0.2, 0.5, 1.0), 0.025), ((0.4, 0.5, 1.0), 0.001)]
)
def test_boundaries_spend_error_in_proportion_to_information(shares, level):
    bounds = boundaries(shares, level)
    corner = np.minimum.outer(shares, shares)
    correlation = corner / np.sqrt(np.outer(shares, shares))
    for k in range(1, len(shares) + 1):
        inside = multivariate_normal(cov=correlation[:k, :k], abseps=1e-7, releps=1e-7)
        beyond = 1 - inside.cdf(np.array(bounds[:k]))
        assert beyond == pytest.approx(level * shares[k - 1], rel=5e-3)


def test_a_single_look_has_the_fixed_boundary():
    assert boundaries((1.0,), 0.05)[0] == pytest.approx(norm.ppf(0.95), abs=1e-6)


def cells_of(rng, n, drop, count=2):
    """Cells of n + n images of their own, AUC .9, scores of both sides correlated .9."""
    labels = np.tile(np.repeat([0, 1], n), count)
    shared = rng.normal(size=labels.size)
    base, cand = (0.9**0.5 * shared + 0.1**0.5 * rng.normal(size=labels.size) for _ in range(2))
    cells = []
    for k in range(count):
        rows = np.arange(k * 2 * n, (k + 1) * 2 * n)
        base[rows] += np.sqrt(2) * norm.ppf(0.9) * labels[rows]
        cand[rows] += np.sqrt(2) * norm.ppf(0.9 - (drop if k == 0 else 0)) * labels[rows]
        cells.append(PairedCell(("net", f"g{k}", "all", "clean"), rows, labels[rows], base, cand))
    return cells, labels + 2 * np.repeat(np.arange(count), 2 * n)


def rulings(drop, runs, n=2500):
    found = []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        cells, strata = cells_of(rng, n, drop)
        found.append(judge_in_looks(cells, Rules(margin=0.015), strata, rng.random(len(strata))))
    return found


def test_with_nothing_changed_it_rarely_fails_and_passes_before_the_end():
    found = rulings(0.0, 40)
    assert sum(ruling.decision == "FAIL" for ruling in found) <= 3
    assert sum(all(v.decision == "PASS" for v in ruling.verdicts) for ruling in found) >= 32
    assert np.mean([ruling.images / ruling.available for ruling in found]) < 0.6


def test_a_drop_is_found_with_a_fraction_of_the_images():
    found = rulings(0.05, 15)
    assert all(ruling.decision == "FAIL" for ruling in found)
    assert np.mean([ruling.images / ruling.available for ruling in found]) < 0.3
    for ruling in found:
        failed = {v.name[1] for v in ruling.verdicts if v.decision == "FAIL"}
        assert failed <= {"g0", "(macro mean)"}
        assert ruling.saving == pytest.approx(1 - ruling.images / ruling.available)


def test_the_end_is_judged_on_every_image_and_agrees_with_the_fixed_gate_where_that_is_clear():
    rng = np.random.default_rng(0)
    cells, strata = cells_of(rng, 300, 0.0)  # too few images to pass
    ruling = judge_in_looks(cells, Rules(margin=0.001), strata, rng.random(len(strata)))
    assert (
        (ruling.look, ruling.images)
        == (ruling.n_looks, ruling.available)
        == (len(gate_looks(cells)), 1200)
    )
    fixed = judge(cells, Rules(margin=0.001), strata)
    assert ruling.decision == outcome(fixed, "regression")
    assert [v.change for v in ruling.verdicts] == [v.change for v in fixed]


def test_equal_scores_on_the_first_images_are_no_certainty_about_the_rest():
    rng = np.random.default_rng(0)
    cells, strata = cells_of(rng, 2500, 0.0)
    same = [PairedCell(c.name, c.rows, c.labels, c.baseline, c.baseline) for c in cells]
    places = rng.random(len(strata))
    assert judge_in_looks(same, Rules(), strata, places).decision == "PASS"
    strict = judge_in_looks(same, Rules(margin=0.0005), strata, places)
    assert strict.look == strict.n_looks


def test_it_says_which_share_must_be_scored_to_go_on():
    rng = np.random.default_rng(0)
    cells, strata = cells_of(rng, 2500, 0.0)
    places = rng.random(len(strata))
    half = cells[0].candidate.copy()
    half[places > 0.08] = np.nan
    part = [PairedCell(c.name, c.rows, c.labels, c.baseline, half) for c in cells]
    ruling = judge_in_looks(part, Rules(margin=0.001), strata, places)
    assert ruling.decision == "INCOMPLETE"
    assert ruling.next_share == pytest.approx(gate_looks(cells)[1])
