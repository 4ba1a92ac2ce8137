import math

import numpy as np
import pytest
from scipy.stats import binomtest

from leaderboards import Delong, auc_interval, delong, evaluate, wilson


def brute_force_delong(labels, logits):
    """DeLong et al. (1988), equations 3 to 6, written out over all m x n pairs."""
    fakes, reals = logits[labels == 1], logits[labels == 0]
    psi = (fakes[:, None] > reals[None, :]) + 0.5 * (fakes[:, None] == reals[None, :])
    of_fakes, of_reals = psi.mean(axis=1), psi.mean(axis=0)
    return psi.mean(), of_fakes.var(ddof=1) / len(fakes) + of_reals.var(ddof=1) / len(reals)


def cell(seed, n_real, n_fake, shift, decimals):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([0, 1], [n_real, n_fake]))
    logits = (rng.normal(size=labels.size) + shift * labels).round(decimals)
    return labels, logits.astype(np.float32)


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_wilson_equals_scipy(confidence):
    for n in (1, 2, 7, 50, 1000):
        for k in {0, 1, n // 3, n - 1, n}:
            expected = binomtest(k, n).proportion_ci(confidence, method="wilson")
            assert wilson(k, n, confidence) == pytest.approx(tuple(expected), abs=1e-12)


def test_wilson_at_the_extremes_is_exact():
    assert wilson(0, 40).lo == 0.0
    assert wilson(40, 40).hi == 1.0
    assert all(math.isnan(end) for end in wilson(0, 0))


@pytest.mark.parametrize(("k", "n", "confidence"), [(-1, 3, 0.95), (4, 3, 0.95), (1, 3, 95)])
def test_wilson_refuses_the_impossible(k, n, confidence):
    with pytest.raises(ValueError):
        wilson(k, n, confidence)


@pytest.mark.parametrize("decimals", [0, 1, 7])
@pytest.mark.parametrize(("n_real", "n_fake"), [(2, 2), (3, 40), (120, 80)])
def test_delong_equals_the_published_formula(n_real, n_fake, decimals):
    for seed in range(20):
        labels, logits = cell(seed, n_real, n_fake, seed / 5, decimals)
        assert delong(labels, logits) == pytest.approx(
            brute_force_delong(labels, logits), abs=1e-12
        )


def test_delong_agrees_with_a_stratified_bootstrap():
    labels, logits = cell(11, 300, 200, 1.0, 2)
    rng = np.random.default_rng(12)
    real, fake = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)
    draws = []
    for _ in range(2000):
        rows = np.r_[rng.choice(real, real.size), rng.choice(fake, fake.size)]
        draws.append(delong(labels[rows], logits[rows]).auc)
    estimate = delong(labels, logits)
    assert math.sqrt(estimate.variance) == pytest.approx(np.std(draws), rel=0.1)
    interval = auc_interval(estimate, 300, 200)
    assert tuple(interval) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.01)


def test_delong_without_two_of_each_class_has_no_variance():
    assert math.isnan(delong(np.array([0, 0]), np.array([1.0, 2.0])).auc)
    one_fake = delong(np.array([0, 0, 1]), np.array([1.0, 2.0, 3.0]))
    assert one_fake.auc == 1.0
    assert math.isnan(one_fake.variance)
    assert all(math.isnan(end) for end in auc_interval(one_fake, 2, 1))


def test_interval_is_the_textbook_one_on_the_logit_scale():
    lo, hi = auc_interval(Delong(0.8, 0.0016), 100, 100)
    # log(.8/.2) = 1.386294, standard error .04/.16 = .25, z = 1.959964.
    assert lo == pytest.approx(1 / (1 + math.exp(-(1.386294 - 0.489991))), abs=1e-6)
    assert hi == pytest.approx(1 / (1 + math.exp(-(1.386294 + 0.489991))), abs=1e-6)


@pytest.mark.parametrize(("fake", "k"), [(1.0, 30), (-1.0, 0)])
def test_perfect_separation_is_not_certainty(fake, k):
    labels = np.repeat([0, 1], [50, 30])
    m = evaluate(labels, np.where(labels == 1, fake, 0.0))
    assert m.auc == k / 30
    assert (m.auc_lo, m.auc_hi) == tuple(wilson(k, 30))


def test_all_scores_tied_is_no_certainty_of_one_half():
    m = evaluate(np.repeat([0, 1], 20), np.zeros(40))
    assert m.auc == 0.5
    assert m.auc_lo < 0.35
    assert m.auc_hi > 0.65


def test_interval_covers_the_true_area_about_as_often_as_it_says():
    # Binormal with unit variances: AUC = Phi(shift / sqrt 2) = 0.9615 at shift 2.5.
    truth = 0.5 * (1 + math.erf(2.5 / 2))
    hits = 0
    for seed in range(1000):
        labels, logits = cell(seed, 60, 40, 2.5, 7)
        lo, hi = auc_interval(delong(labels, logits), 60, 40)
        hits += lo <= truth <= hi
    assert 0.92 <= hits / 1000 <= 0.99
