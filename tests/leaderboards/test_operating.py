"""Working points and calibration, against scikit-learn and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.metrics import (
    brier_score_loss,
    log_loss,
    matthews_corrcoef,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from leaderboards import evaluate


def cell(seed, n_real=300, n_fake=200, decimals=6):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([0, 1], [n_real, n_fake]))
    return labels, (rng.normal(size=labels.size) + 1.5 * labels - 0.5).round(decimals)


@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_working_points_equal_scikit_learn(decimals):
    for seed in range(10):
        labels, logits = cell(seed, decimals=decimals)
        m = evaluate(labels, logits)
        fpr, tpr, _ = roc_curve(labels, logits, drop_intermediate=False)
        for target, found in (
            (0.01, m.tpr_at_1_fpr),
            (0.05, m.tpr_at_5_fpr),
            (0.1, m.pd_at_10_far),
        ):
            assert found == pytest.approx(tpr[fpr <= target + 1e-12].max())
        crossing = brentq(lambda x: x - (1 - np.interp(x, fpr, tpr)), 0, 1)  # noqa: B023
        if decimals == 6:  # with many ties np.interp is not the polyline
            assert m.eer == pytest.approx(crossing, abs=0.004)
        assert m.partial_auc == pytest.approx(roc_auc_score(labels, logits, max_fpr=0.1))
        assert m.brier == pytest.approx(brier_score_loss(labels, expit(logits)))
        assert m.tpr_at_5_fpr_lo <= m.tpr_at_5_fpr <= m.tpr_at_5_fpr_hi
        assert math.isnan(m.tpr_at_1_fpr_lo)


def test_the_equal_error_rate_by_hand():
    # Ranked from the top: fake, real, fake, real. At "two called fake": FPR 1/2 = FNR 1/2.
    assert evaluate(np.array([1, 0, 1, 0]), np.array([4.0, 3, 2, 1])).eer == 0.5
    assert evaluate(np.array([1, 1, 0, 0]), np.array([4.0, 3, 2, 1])).eer == 0
    assert evaluate(np.array([0, 0, 1, 1]), np.array([4.0, 3, 2, 1])).eer == 1
    assert evaluate(np.array([0, 0, 1, 1]), np.zeros(4)).eer == 0.5


def test_calibration_error_by_hand():
    # All at probability .5: a quarter fake is off by .25; sigmoid(+-40) is certain and right.
    assert evaluate(np.array([1, 0, 0, 0]), np.zeros(4)).ece == pytest.approx(0.25)
    assert evaluate(np.array([1, 0]), np.array([40.0, -40.0])).ece == pytest.approx(0, abs=1e-12)
    assert evaluate(np.array([0, 1]), np.array([40.0, -40.0])).ece == pytest.approx(1)
    assert evaluate(np.array([0, 1]), np.array([40.0, -40.0])).brier == pytest.approx(1)


@pytest.mark.parametrize("threshold", [0.0, 0.7, -9.0, 9.0])
def test_verdicts_by_class_equal_scikit_learn(threshold):
    for seed in range(5):
        labels, logits = cell(seed, decimals=1)
        m, called = evaluate(labels, logits, threshold), logits > threshold
        assert m.mcc == pytest.approx(matthews_corrcoef(labels, called))
        assert m.real_accuracy == pytest.approx(recall_score(labels, called, pos_label=0))
        assert m.fake_accuracy == pytest.approx(recall_score(labels, called))
        assert m.balanced_accuracy == pytest.approx((m.real_accuracy + m.fake_accuracy) / 2)
        assert (m.real_accuracy_lo, m.fake_accuracy_hi) == (m.real_recall_lo, m.fake_recall_hi)


def test_mcc_of_a_million_images_does_not_overflow():
    labels = np.repeat([0, 1], 500_000)
    assert evaluate(labels, labels * 2.0 - 1).mcc == 1
    assert evaluate(labels, 1 - labels * 2.0).mcc == -1


def test_balanced_nll_equals_scikit_learn_s_weighted_log_loss():
    for seed in range(5):
        labels, logits = cell(seed, n_real=300, n_fake=40)
        weights = np.where(labels == 1, 1 / 40, 1 / 300)
        expected = log_loss(labels, expit(logits), sample_weight=weights)
        assert evaluate(labels, logits).balanced_nll == pytest.approx(expected)
    certain = evaluate(np.array([0, 1]), np.array([2000.0, -2000.0]))
    assert certain.balanced_nll == pytest.approx(2000)


def test_balanced_figures_equal_the_published_ones():
    m = evaluate(np.array([0, 0, 1, 1]), np.array([-5.9374785, -4.441922, 4.430519, 3.8499813]))
    assert m.balanced_nll == pytest.approx(0.0118086, abs=5e-8)
    assert m.balanced_ece == pytest.approx(0.0117182, abs=5e-8)


def test_balanced_calibration_error_weighs_classes_alike():
    labels, logits = cell(3, n_real=200, n_fake=200)
    m = evaluate(labels, logits)
    assert m.balanced_ece == pytest.approx(m.ece)
    # Nine copies of every real change nothing.
    copies = np.where(labels == 0, 9, 1)
    many = evaluate(np.repeat(labels, copies), np.repeat(logits, copies))
    assert many.balanced_ece == pytest.approx(m.balanced_ece)
    assert many.balanced_nll == pytest.approx(m.balanced_nll)
    assert many.ece != pytest.approx(m.ece, abs=0.01)


def test_pd_at_10_far_says_how_much_few_reals_can_tell():
    assert math.isnan(evaluate(*cell(0, 9, 30)).pd_at_10_far)
    few, enough = evaluate(*cell(0, 21, 79)), evaluate(*cell(0, 40, 79))
    assert 0 < few.pd_at_10_far < 1
    assert math.isnan(few.pd_at_10_far_lo)  # all 21 may lie below the true threshold
    assert 0 <= enough.pd_at_10_far_lo < enough.pd_at_10_far < enough.pd_at_10_far_hi


def test_what_is_undefined_is_nan():
    few = evaluate(*cell(0, 19, 30))
    assert math.isnan(few.tpr_at_1_fpr)
    assert math.isnan(few.tpr_at_5_fpr)
    assert not math.isnan(evaluate(*cell(0, 20, 30)).tpr_at_5_fpr)
    one_class = evaluate(np.zeros(200, dtype=int), np.linspace(-1, 1, 200))
    for name in (
        "tpr_at_1_fpr", "eer", "partial_auc", "f1_lo", "balanced_accuracy_lo", "mcc", "fake_accuracy",
        "pd_at_10_far", "balanced_nll", "balanced_ece",
    ):  # fmt: skip
        assert math.isnan(getattr(one_class, name)), name


def test_perfection_is_no_certainty():
    labels = np.repeat([0, 1], [400, 100])
    m = evaluate(labels, labels * 2.0 - 1)
    assert (m.f1, m.f1_hi, m.tpr_at_1_fpr, m.balanced_accuracy_hi) == (1, 1, 1, 1)
    assert 0.9 < m.f1_lo < 1
    assert 0.9 < m.tpr_at_1_fpr_lo < 1
    assert 0.9 < m.balanced_accuracy_lo < 1


@pytest.mark.parametrize("p", [0.001, 0.01, 0.05, 0.1, 0.5, 0.95])
def test_binomial_quantiles_and_tails_are_those_of_scipy(p):
    from scipy.stats import binom

    from leaderboards.statistics.operating import _binomial_quantile
    from leaderboards.tables.attack_checks import FALSE_ALARM, WORKING, _too_few

    for n in [*range(1, 120), 500, 1000, 4096, 20_000, 1_000_003]:
        for share in (0.025, 0.975):
            assert _binomial_quantile(share, n, p) == binom.ppf(share, n, p), (n, share)
    for n in range(60):
        for fooled in range(n + 1):
            expected = n > 0 and binom.cdf(fooled, n, WORKING) < FALSE_ALARM
            assert _too_few(fooled, n) == expected
