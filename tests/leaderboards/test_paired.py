"""Paired tests, the bootstrap and corrections, against formulas written out and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, false_discovery_control, norm, t, ttest_1samp
from sklearn.metrics import f1_score, roc_auc_score, roc_curve

from leaderboards.statistics.bootstrap import resamples
from leaderboards.statistics.catalogue import paired_metrics
from leaderboards.statistics.paired import (
    Difference,
    Influence,
    auc_influence,
    cluster_codes,
    difference,
    paired_delong,
    share_influence,
    variance_of,
)
from leaderboards.statistics.significance import benjamini_hochberg, holm, mcnemar, rank_groups
from leaderboards.tables.slicing import clusters_of

STATISTICS = {name: metric.statistic for name, metric in paired_metrics().items()}


def pair(seed, n_real=60, n_fake=40, decimals=6, shared=0.8):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([0, 1], [n_real, n_fake]))
    common = rng.normal(size=labels.size)
    a, b = (
        (shared * common + 0.6 * rng.normal(size=labels.size) + shift * labels).round(decimals)
        for shift in (1.2, 0.9)
    )
    return labels, a, b


def matrix_delong(labels, a, b):
    """DeLong's test over all pairs, equations 3 to 6 of the paper."""
    fields = []
    for scores in (a, b):
        fake, real = scores[labels == 1], scores[labels == 0]
        psi = (fake[:, None] > real[None]) + 0.5 * (fake[:, None] == real[None])
        fields.append((psi.mean(), psi.mean(1), psi.mean(0)))
    s10 = np.cov(fields[0][1], fields[1][1])
    s01 = np.cov(fields[0][2], fields[1][2])
    s = s10 / len(fields[0][1]) + s01 / len(fields[0][2])
    return fields[1][0] - fields[0][0], s[0, 0] + s[1, 1] - 2 * s[0, 1]


@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_paired_delong_equals_the_published_formula(decimals):
    for seed in range(20):
        labels, a, b = pair(seed, decimals=decimals)
        found = paired_delong(labels, a, b)
        assert (found.value, found.variance) == pytest.approx(
            matrix_delong(labels, a, b), abs=1e-12
        )


def test_clusters_of_copies_give_the_variance_of_one_copy():
    labels, a, b = pair(3)
    one = paired_delong(labels, a, b)
    twice = [np.concatenate([x, x]) for x in (labels, a, b)]
    codes = np.tile(np.arange(labels.size), 2)
    both = paired_delong(*twice, clusters=codes)
    assert both.value == pytest.approx(one.value)
    assert math.sqrt(both.variance) == pytest.approx(math.sqrt(one.variance), rel=0.03)
    blind = paired_delong(*twice)
    assert blind.variance == pytest.approx(one.variance / 2, rel=0.05)


def test_no_clusters_told_is_none_and_single_clusters_change_nothing():
    assert cluster_codes(["", "", "x"]) is None
    codes = cluster_codes(["a", "", "a", ""])
    assert codes[0] == codes[2]
    assert len(set(codes)) == 3
    parts = np.random.default_rng(0).normal(size=50)
    assert variance_of(parts, np.arange(50)) == pytest.approx(variance_of(parts))


def test_identical_scores_are_no_difference_and_unlike_ones_without_variance_no_certainty():
    labels = np.repeat([0, 1], 20)
    scores = labels * 2.0 - 1
    same = paired_delong(labels, scores, scores)
    assert (same.value, same.sd, same.lower()) == (0, 0, 0)
    other = paired_delong(labels, scores, scores * 3)
    assert other.variance == 0
    assert other.lower() < -0.05
    assert paired_delong(labels[:21], scores[:21], scores[:21]).p_drop != 0.5


def test_a_one_sided_p_is_half_the_two_sided_one():
    labels, a, b = pair(5)
    found = paired_delong(labels, a, b)
    assert found.p_two_sided == pytest.approx(2 * min(found.p_drop, 1 - found.p_drop))
    lo, hi = found.interval()
    assert lo < found.value < hi
    assert found.lower(0.975) == pytest.approx(lo)


def test_mcnemar_equals_the_binomial_test():
    rng = np.random.default_rng(1)
    for _ in range(30):
        a, b = rng.random((2, 40)) < rng.uniform(0.3, 0.9, (2, 1))
        found = mcnemar(a, b)
        lost, won = int((a & ~b).sum()), int((b & ~a).sum())
        assert (found.lost, found.won) == (lost, won)
        if lost + won:
            exact = binomtest(won, lost + won).pvalue
            assert found.p_two_sided == pytest.approx(exact)
            assert found.p_drop == pytest.approx(
                binomtest(won, lost + won, alternative="less").pvalue
            )
    assert mcnemar(a, a).p_two_sided == 1


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "fake_recall", "real_recall"])
def test_shares_have_the_variance_that_resampling_finds(metric):
    labels, a, _ = pair(7, 300, 200)
    right = (a > 0.5) == labels
    found = share_influence(labels, right, metric)
    weights = resamples(labels, 4000, 0)
    draws = STATISTICS[metric](labels, a, weights, 0.5)
    assert found.value == pytest.approx(
        STATISTICS[metric](labels, a, np.ones((1, labels.size), np.float32), 0.5)[0]
    )
    # "accuracy" takes the class shares as drawn too, which resampling each class apart does not.
    assert math.sqrt(variance_of(found.parts)) == pytest.approx(draws.std(), rel=0.08)


@pytest.mark.parametrize("metric", ["auc", "f1", "tpr_at_5_fpr"])
@pytest.mark.parametrize("decimals", [1, 6])
def test_every_resample_equals_the_metric_of_the_resampled_images(metric, decimals):
    labels, a, _ = pair(11, decimals=decimals)
    weights = resamples(labels, 25, 3)
    found = STATISTICS[metric](labels, a, weights, 0.4)
    for row, value in zip(weights.astype(int), found, strict=True):
        y, s = np.repeat(labels, row), np.repeat(a, row)
        if metric == "auc":
            expected = roc_auc_score(y, s)
        elif metric == "f1":
            expected = f1_score(y, s > 0.4)
        else:
            fpr, tpr, _ = roc_curve(y, s, drop_intermediate=False)
            expected = tpr[fpr <= 0.05 + 1e-9].max()
        assert value == pytest.approx(expected, abs=1e-6)


def test_the_bootstrap_of_a_paired_auc_agrees_with_delong():
    labels, a, b = pair(13, 400, 300)
    weights, whole = resamples(labels, 3000, 1), np.ones((1, labels.size), np.float32)
    draws, value = (
        STATISTICS["auc"](labels, b, rows, 0.0) - STATISTICS["auc"](labels, a, rows, 0.0)
        for rows in (weights, whole)
    )
    exact = paired_delong(labels, a, b)
    assert value[0] == pytest.approx(exact.value)
    assert draws.var(ddof=1) == pytest.approx(exact.variance, rel=0.12)
    assert np.quantile(draws, [0.025, 0.975]) == pytest.approx(tuple(exact.interval()), abs=0.004)


def test_whole_clusters_are_drawn_together():
    labels = np.array([0, 1, 0, 1, 0, 1])
    weights = resamples(labels, 50, 0, np.array([0, 0, 1, 1, 2, 2]))
    assert (weights[:, ::2] == weights[:, 1::2]).all()
    assert (weights.sum(axis=1) == 6).all()


def test_holm_and_benjamini_hochberg():
    p = [0.01, 0.04, 0.03, 0.005]
    # By hand: .005*4, .01*3, .03*2, max(.03*2, .04*1).
    assert holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p))
    with_gap = holm([0.01, math.nan, 0.04])
    assert with_gap[[0, 2]] == pytest.approx([0.02, 0.04])
    assert math.isnan(with_gap[1])
    assert holm([]).size == 0


def test_detectors_not_told_apart_share_a_rank():
    p = np.ones((4, 4))
    for i, j in ((0, 2), (0, 3), (1, 3)):
        p[i, j] = p[j, i] = 0.001
    assert rank_groups([0.9, 0.88, 0.85, math.nan], p) == [1, 1, 2, 0]


def test_a_macro_mean_adds_up_over_cells_that_share_their_reals():
    labels, a, b = pair(17, 200, 200)
    first = np.flatnonzero(np.cumsum(labels) <= 100)
    second = np.flatnonzero((labels == 0) | (np.cumsum(labels) > 100))
    first = np.union1d(first, np.flatnonzero(labels == 0))
    found = []
    for scores in (a, b):
        parts = np.zeros(labels.size)
        value = 0.0
        for rows in (first, second):
            one = auc_influence(labels[rows], scores[rows])
            parts[rows] += one.parts / 2
            value += one.value / 2
        found.append((value, parts))
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(1500):
        real = rng.choice(np.flatnonzero(labels == 0), 200)
        value = 0
        for rows in (first, second):
            fake = rng.choice(rows[labels[rows] == 1], int(labels[rows].sum()))
            pick = np.r_[real, fake]
            y = labels[pick]
            value += (roc_auc_score(y, b[pick]) - roc_auc_score(y, a[pick])) / 2
        draws.append(value)
    expected = variance_of(found[1][1] - found[0][1])
    assert math.sqrt(expected) == pytest.approx(np.std(draws), rel=0.08)


def test_differences_of_what_is_undefined_are_undefined():
    one = auc_influence(np.array([0, 0, 1]), np.array([1.0, 2.0, 3.0]))
    found = difference(one, one, pairs=1)
    assert math.isnan(found.p_drop)
    assert math.isnan(found.lower())


def arithmetic():
    """Scores without a generator, the same on every machine, with ties."""
    i = np.arange(240)
    labels = (i % 5 < 2).astype(int)
    first, second = ((i * k % 241) / 241 for k in (97, 61))
    a = np.round(first + 0.45 * labels, 2)
    return labels, a, np.round(0.6 * first + 0.4 * second + 0.30 * labels, 2)


def test_delong_equals_two_published_packages():
    """Figures of MLstatkit 0.1.91 (Delong_test); confidenceinterval 1.0.5 gives the same to float32.

    Its ``roc_auc_score``: 0.85033274 (0.803680207, 0.896985267), 0.8255932 (0.774242720, 0.876943746).
    """
    labels, a, b = arithmetic()
    found = paired_delong(labels, a, b)
    assert found.value / found.sd == pytest.approx(-1.4690460809247834, abs=1e-9)
    assert found.p_two_sided == pytest.approx(0.1418202909140723, abs=1e-9)
    assert found.variance == pytest.approx(0.00028360502660775575, rel=1e-9)
    for scores, auc, lo, hi in (
        (a, 0.8503327546296295, 0.8036802245970891, 0.89698528466217),
        (b, 0.8255931712962963, 0.7742426588779682, 0.8769436837146244),
    ):
        one = auc_influence(labels, scores)
        half = 1.959963984540054 * math.sqrt(variance_of(one.parts))
        assert (one.value, one.value - half, one.value + half) == pytest.approx(
            (auc, lo, hi), abs=1e-9
        )


def test_few_clusters_are_judged_by_student_s_t():
    """A constant difference of clusters is their one-sample t test."""
    rng = np.random.default_rng(4)
    lead = rng.normal(0.3, 0.5, 6)
    clusters = np.repeat(np.arange(6), 200)
    parts = (np.repeat(lead, 200) - lead.mean()) / clusters.size
    found = difference(
        Influence(0.0, np.zeros(clusters.size)), Influence(float(lead.mean()), parts), clusters
    )
    expected = ttest_1samp(lead, 0)
    assert found.df == 5
    assert found.p_two_sided == pytest.approx(expected.pvalue, rel=0.01)
    assert tuple(found.interval()) == pytest.approx(tuple(expected.confidence_interval()), rel=0.01)


@pytest.mark.parametrize("df", [math.inf, 7.0])
def test_p_values_of_large_rises_are_small_not_zero(df):
    for value in (0.01, 0.3, 0.6):
        rise = Difference(value, 0.02**2, df=df)
        z = value / 0.02
        exact = 2 * (norm.sf(z) if math.isinf(df) else t.sf(z, df))
        assert rise.p_two_sided == pytest.approx(exact, rel=1e-9)
        assert rise.p_two_sided == Difference(-value, 0.02**2, df=df).p_two_sided
        assert rise.p_two_sided > 0
    assert Difference(0.0, 0.02**2).p_two_sided == 1


@pytest.mark.parametrize(
    ("groups", "digests"),
    [
        (["", "", ""], ["x", "y", "z"]),
        (["a", "b", ""], ["x", "", ""]),
        (["a", "b", "a"], ["x", "y", "z"]),
        (["", "", ""], ["x", "y", "x"]),
        (["a", "b", "b"], ["x", "x", "y"]),
    ],
)
def test_clusters_of_samples_are_those_of_their_groups_and_contents(groups, digests):
    samples = pd.DataFrame({"group": groups, "sha256": digests})
    ours, theirs = clusters_of(samples), cluster_codes(groups, digests)
    assert (ours is None) == (theirs is None)
    if theirs is not None:
        assert ours.tolist() == theirs.tolist()
