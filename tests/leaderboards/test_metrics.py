import math

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from leaderboards import evaluate


@st.composite
def cells(draw):
    """Labels of both classes, float32 scores from continuous to nearly all tied, a threshold."""
    n = draw(st.integers(2, 60))
    distinct = draw(st.sampled_from([1, 2, 3, 10, None]))
    finite = st.floats(-1e6, 1e6, width=32)
    pool = finite if distinct is None else st.sampled_from([draw(finite) for _ in range(distinct)])
    labels = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    labels[0], labels[1] = 0, 1
    logits = np.array(draw(st.lists(pool, min_size=n, max_size=n)), dtype=np.float32)
    threshold = draw(st.sampled_from([0.0, float(logits[0]), float(logits.mean())]))
    return np.array(labels), logits, threshold


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(cells())
def test_every_metric_equals_scikit_learn(cell):
    labels, logits, threshold = cell
    # In float64, as evaluate compares: the threshold is not rounded to the scores' precision.
    called = (logits.astype(np.float64) > threshold).astype(int)
    m = evaluate(labels, logits, threshold)
    tn, fp, fn, tp = sk.confusion_matrix(labels, called, labels=[0, 1]).ravel()
    assert (m.tn, m.fp, m.fn, m.tp) == (tn, fp, fn, tp)
    assert (m.n_real, m.n_fake) == ((labels == 0).sum(), (labels == 1).sum())
    expected = {
        "accuracy": sk.accuracy_score(labels, called),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, called),
        "precision": sk.precision_score(labels, called, zero_division=np.nan),
        "recall": sk.recall_score(labels, called),
        "f1": sk.f1_score(labels, called),
        "auc": sk.roc_auc_score(labels, logits),
        "ap": sk.average_precision_score(labels, logits),
        "real_recall": sk.recall_score(labels, called, pos_label=0),
        "fake_recall": sk.recall_score(labels, called, pos_label=1),
    }
    for name, value in expected.items():
        assert getattr(m, name) == pytest.approx(value, abs=1e-12, nan_ok=True), name


def test_large_tied_cell_equals_scikit_learn():
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 2, 200_000)
    # A saturated fp16 sigmoid: thousands of scores share the top value.
    logits = (rng.normal(size=labels.size) + 3 * labels).astype(np.float16).clip(-2, 2)
    m = evaluate(labels, logits)
    assert m.auc == pytest.approx(sk.roc_auc_score(labels, logits), abs=1e-12)
    assert m.ap == pytest.approx(sk.average_precision_score(labels, logits), abs=1e-12)


def test_order_of_images_does_not_matter():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 500)
    logits = rng.normal(size=500).round(1).astype(np.float32)
    shuffled = rng.permutation(500)
    assert evaluate(labels, logits) == evaluate(labels[shuffled], logits[shuffled])


def test_every_point_lies_in_its_interval():
    rng = np.random.default_rng(5)
    for _ in range(200):
        n = int(rng.integers(4, 80))
        labels = np.r_[0, 0, 1, 1, rng.integers(0, 2, n)]
        m = evaluate(labels, (rng.normal(size=n + 4) + 2 * labels).round(1))
        for name in ("accuracy", "precision", "recall", "auc", "real_recall", "fake_recall"):
            value = getattr(m, name)
            if not math.isnan(value):
                lo, hi = getattr(m, f"{name}_lo"), getattr(m, f"{name}_hi")
                assert 0 <= lo <= value <= hi <= 1, name
                assert lo < hi, name


@pytest.mark.parametrize("label", [0, 1])
def test_single_class_is_undefined_never_zero(label):
    m = evaluate(np.full(4, label), np.array([-1.0, 1.0, 2.0, 3.0]))
    undefined = ["auc", "auc_lo", "auc_hi", "ap", "precision", "f1", "balanced_accuracy"]
    undefined += ["real_recall", "real_recall_lo"] if label else ["recall", "fake_recall_hi"]
    assert all(math.isnan(getattr(m, name)) for name in undefined)
    assert m.accuracy == (0.75 if label else 0.25)
    assert (m.fake_recall if label else m.real_recall) == m.accuracy


def test_no_image_at_all_is_undefined():
    m = evaluate(np.array([], dtype=int), np.array([], dtype=np.float32))
    assert (m.n_real, m.n_fake, m.tp, m.fn) == (0, 0, 0, 0)
    assert math.isnan(m.accuracy)
    assert math.isnan(m.auc)


def test_precision_is_undefined_where_nothing_is_called_fake():
    m = evaluate(np.array([0, 0, 1, 1]), np.array([-4.0, -3.0, -2.0, -1.0]))
    assert math.isnan(m.precision)
    assert math.isnan(m.precision_lo)
    assert (m.f1, m.recall, m.auc) == (0.0, 0.0, 1.0)


def test_an_image_at_the_threshold_is_called_real():
    logits = np.array([0.1, 0.1], dtype=np.float32)
    at = evaluate(np.array([0, 1]), logits, float(logits[0]))
    assert (at.tn, at.fn) == (1, 1)
    # float32(0.1) is greater than 0.1: the threshold must not be rounded to float32 first.
    below = evaluate(np.array([0, 1]), logits, 0.1)
    assert (below.fp, below.tp) == (1, 1)


@pytest.mark.parametrize(
    ("labels", "logits", "threshold", "said"),
    [
        ([0, 1], [0.0, math.nan], 0.0, "1 of 2 logits are NaN"),
        ([0, 1], [0.0, math.inf], 0.0, "1 of 2 logits are NaN or infinite"),
        ([0, 2], [0.0, 1.0], 0.0, "got 2"),
        ([0, -1], [0.0, 1.0], 0.0, "got -1"),
        ([0, 1], [0.0], 0.0, "one logit a label"),
        ([[0, 1]], [[0.0, 1.0]], 0.0, "one dimension"),
        ([0, 1], [0.0, 1.0], math.nan, "threshold is NaN"),
    ],
)
def test_bad_input_is_refused(labels, logits, threshold, said):
    with pytest.raises(ValueError, match=said):
        evaluate(np.array(labels), np.array(logits), threshold)
