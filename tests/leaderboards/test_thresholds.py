"""Chosen thresholds against an exhaustive search."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from leaderboards.statistics.thresholds import at_false_positive_rate, best_balanced_accuracy


@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_no_threshold_does_better(decimals):
    for seed in range(30):
        rng = np.random.default_rng(seed)
        labels = np.r_[0, 1, rng.integers(0, 2, 60)]
        logits = (rng.normal(size=62) + labels + rng.normal()).round(decimals)
        found = best_balanced_accuracy(labels, logits)
        scores = [
            balanced_accuracy_score(labels, logits > t) for t in [-99, 0, *np.unique(logits), 99]
        ]
        reached = balanced_accuracy_score(labels, logits > found)
        assert reached == pytest.approx(max(scores))
        if balanced_accuracy_score(labels, logits > 0) == pytest.approx(max(scores)):
            assert found == 0


def test_it_lies_half_way_between_scores():
    assert best_balanced_accuracy(np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 4.0, 5.0])) == 3
    with pytest.raises(ValueError, match="single class"):
        best_balanced_accuracy(np.zeros(3), np.arange(3.0))


@pytest.mark.parametrize("fpr", [0.01, 0.05, 0.29])
def test_the_false_positive_rate_is_kept_and_used_up(fpr):
    rng = np.random.default_rng(0)
    labels, logits = np.repeat([0, 1], 200), rng.normal(size=400)
    found = at_false_positive_rate(labels, logits, fpr)
    called = int((logits[:200] > found).sum())
    assert called == int(200 * fpr + 1e-9)
    with pytest.raises(ValueError, match="needs"):
        at_false_positive_rate(labels[150:], logits[150:], 0.01)
