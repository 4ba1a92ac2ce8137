"""The numbers of a cell from sorted files: the bits of those in memory, and scikit-learn's values."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from leaderboards.statistics import catalogue
from leaderboards.statistics.intervals import delong
from leaderboards.statistics.metrics import measure
from leaderboards.statistics.ranking import tied_pairs
from leaderboards.statistics.streams.cell import StreamedCell, measure_streamed
from leaderboards.statistics.streams.ranking import RankingFile
from leaderboards.statistics.streams.runs import SortedRuns, merged
from leaderboards.statistics.streams.summation import Pipe, pairwise_sum

BLOCK = 128  # the least that sums by halves can be read in


def ranked(folder, labels, logits, *, kinds=None, run=50, block=BLOCK):
    """Sort scores in runs of a few, and merge them."""
    labels = np.asarray(labels)
    kinds = labels if kinds is None else kinds
    fake = np.array([bool(labels[kinds == kind].any()) for kind in range(kinds.max(initial=0) + 1)])
    runs = SortedRuns(folder, fake, logits.dtype, run)
    for start in range(0, len(logits), 33):
        runs.add(kinds[start : start + 33], logits[start : start + 33])
    stream = merged(runs.segments(range(fake.size)), logits.dtype, block)
    return RankingFile.written(folder / "ranking", logits.dtype, stream, block)


def streamed(labels, logits, threshold=0.0, **options):
    labels, logits = np.asarray(labels), np.asarray(logits)
    with tempfile.TemporaryDirectory() as folder:
        ranking = ranked(Path(folder), labels, logits, **options)
        called = logits.astype(np.float64) > threshold

        def of(label):
            chosen = logits[labels == label]
            return lambda: (chosen[start : start + 77] for start in range(0, len(chosen), 77))

        tp, fp = int((called & (labels == 1)).sum()), int((called & (labels == 0)).sum())
        return measure_streamed(StreamedCell(ranking, of(0), of(1), tp, fp), threshold)


def in_memory(labels, logits, threshold=0.0):
    order = np.argsort(labels, kind="stable")  # a cell's reals come first
    return measure(np.asarray(labels)[order], np.asarray(logits)[order], threshold)


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        same = value == other[name] or (math.isnan(value) and math.isnan(other[name]))
        assert same, f"{name}: {value!r} and {other[name]!r}"


@pytest.mark.parametrize("n", [0, 1, 127, 129, 1000, 1031, 65_537])
def test_a_sum_in_parts_has_the_bits_of_numpys(n):
    numbers = np.random.default_rng(n).normal(size=n)
    pipe = Pipe(np.split(numbers, [n // 7, n // 3]))
    assert pairwise_sum(n, pipe.read, 128) == float(np.sum(numbers))


@settings(deadline=None, max_examples=60)
@given(
    data=st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from([-3.0, -1.5, -0.0, 0.0, 0.25, 1.0, 8.0])),
        min_size=1, max_size=400,
    ),
    threshold=st.sampled_from([-1.5, 0.0, 0.3]),
    run=st.integers(1, 90),
)  # fmt: skip
def test_cells_full_of_ties_and_of_one_class_have_the_bits_of_memory(data, threshold, run):
    labels, logits = np.array([d[0] for d in data]), np.array([d[1] for d in data], np.float32)
    with np.errstate(all="ignore"):
        assert_same_bits(
            streamed(labels, logits, threshold, run=run), in_memory(labels, logits, threshold)
        )


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 3000),
    decimals=st.sampled_from([1, 2, 7]),
    kind=st.sampled_from([np.float32, np.float64]),
)
def test_large_cells_have_the_bits_of_memory(seed, n, decimals, kind):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.4).astype(np.int64)
    logits = np.round(rng.normal(labels, 1.5), decimals).astype(kind)
    assert_same_bits(streamed(labels, logits, 0.1), in_memory(labels, logits, 0.1))


def test_kinds_of_images_are_put_together_and_equal_scores_of_theirs():
    rng = np.random.default_rng(1)
    kinds = rng.integers(0, 7, 2000)
    labels = np.isin(kinds, [1, 4, 5]).astype(np.int64)
    logits = np.round(rng.normal(labels, 1), 2).astype(np.float32)
    assert_same_bits(streamed(labels, logits, kinds=kinds), in_memory(labels, logits))


def test_values_are_those_of_scikit_learn(tmp_path):
    rng = np.random.default_rng(2)
    labels = (rng.random(5000) < 0.5).astype(np.int64)
    logits = np.round(rng.normal(labels, 1), 2).astype(np.float32)
    ranking = ranked(tmp_path, labels, logits)
    assert ranking.auc() == pytest.approx(roc_auc_score(labels, logits), abs=1e-12)
    expected = average_precision_score(labels, logits)
    assert ranking.average_precision() == pytest.approx(expected, abs=1e-12)
    partial = roc_auc_score(labels, logits, max_fpr=0.1)
    assert ranking.partial_auc() == pytest.approx(partial, abs=1e-12)
    pairs = ranking.n_real * ranking.n_fake
    assert ranking.count.ties / pairs == pytest.approx(tied_pairs(labels, logits), abs=1e-15)


def test_a_merge_holds_a_block_whatever_the_number_of_runs(tmp_path):
    rng = np.random.default_rng(3)
    logits = rng.normal(size=20_000).astype(np.float32)
    runs = SortedRuns(tmp_path, np.array([False]), np.dtype(np.float32), 500)
    runs.add(np.zeros(logits.size, np.int64), logits)
    blocks = list(merged(runs.segments([0]), np.dtype(np.float32), 4000))
    assert max(map(len, blocks)) <= 4000
    together = np.concatenate(blocks)
    values, counts = np.unique(logits, return_counts=True)
    assert np.array_equal(together["value"], values)
    assert np.array_equal(together["real"], counts)


def test_one_score_that_all_images_have_is_summed_in_parts():
    labels = np.arange(1000) % 2
    logits = np.full(1000, 0.5, np.float32)
    result = streamed(labels, logits)
    assert_same_bits(result, in_memory(labels, logits))
    assert result["auc"] == 0.5


def test_a_metric_of_a_plug_in_sees_the_whole_cell(monkeypatch):
    def largest_gap(cell):
        return catalogue.measures.Estimate(float(np.diff(np.sort(cell.logits)).max()), 0.0, 1.0)

    metric = catalogue.Metric(
        name="largest_gap", title="Gap", formula="", measure=largest_gap, interval=True
    )
    monkeypatch.setattr(catalogue, "every_metric", lambda: (*catalogue.CATALOGUE, metric))
    labels, logits = np.array([0, 1, 1, 0]), np.array([0.0, 1.0, 4.0, 2.0], np.float32)
    assert_same_bits(streamed(labels, logits), in_memory(labels, logits))
    assert streamed(labels, logits)["largest_gap"] == 2.0


def test_the_variance_is_delongs(tmp_path):
    rng = np.random.default_rng(4)
    labels = np.arange(3000) % 2
    logits = rng.normal(labels, 1).astype(np.float32)
    ranking = ranked(tmp_path, labels, logits)
    fakes, reals = ranking.squares(ranking.auc())
    n = 1500
    expected = delong(labels, logits).variance
    assert fakes / (n - 1) / n + reals / (n - 1) / n == expected
