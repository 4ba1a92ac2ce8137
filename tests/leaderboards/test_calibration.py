"""Platt's sigmoid against scikit-learn's logistic regression on the same soft targets."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from leaderboards.statistics.calibration.sigmoid import fit_sigmoid


@pytest.mark.parametrize(
    ("n_real", "n_fake", "shift"), [(200, 200, 1.5), (400, 60, 0.3), (30, 90, -1)]
)
def test_it_is_logistic_regression_with_even_classes(n_real, n_fake, shift):
    rng = np.random.default_rng(n_real)
    labels = np.repeat([0, 1], [n_real, n_fake])
    logits = 4 * (rng.normal(size=labels.size) + shift * labels) - 7
    target = np.where(labels == 1, (n_fake + 1) / (n_fake + 2), 1 / (n_real + 2))
    weight = np.where(labels == 1, 0.5 / n_fake, 0.5 / n_real)
    # Every image twice, as real and as fake, weighted by its soft target.
    oracle = LogisticRegression(C=1e12, tol=1e-12, max_iter=10_000).fit(
        np.concatenate([logits, logits])[:, None],
        np.repeat([1, 0], labels.size),
        sample_weight=np.concatenate([weight * target, weight * (1 - target)]),
    )
    found = fit_sigmoid(labels, logits)
    assert found.slope == pytest.approx(oracle.coef_[0, 0], rel=1e-3, abs=1e-5)
    at = np.linspace(-20, 10, 7)
    expected = oracle.predict_proba(at[:, None])[:, 1]
    assert [found.probability(x) for x in at] == pytest.approx(expected, abs=1e-4)


def test_classes_that_are_apart_give_a_finite_slope_and_one_class_none():
    found = fit_sigmoid(np.repeat([0, 1], 50), np.repeat([-3.0, 3.0], 50))
    assert found.probability(3.0) == pytest.approx(51 / 52, abs=1e-6)
    with pytest.raises(ValueError, match="single class"):
        fit_sigmoid(np.ones(5), np.arange(5.0))
    with pytest.raises(ValueError, match="equal"):
        fit_sigmoid(np.array([0, 1]), np.zeros(2))
