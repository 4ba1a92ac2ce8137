"""Ranks, micro means and false positives by real source."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import t as student_t
from sklearn.metrics import roc_auc_score

from leaderboards import Board, BoardNotes, ScoreColumn, cell_rows, extras, slices


@pytest.fixture
def made(frame):
    samples = frame(
        ("coco", "", 0, 300), ("raise", "", 0, 100), ("a", "", 1, 200), ("b", "", 1, 200)
    )
    pairing = {"a": ("coco",), "b": ("coco", "raise")}
    labels = samples["label"].to_numpy()
    rng = np.random.default_rng(0)
    base = rng.normal(size=labels.size)
    columns = [
        ScoreColumn(
            detector=name, condition="clean", logits=(noise + shift * labels - 1).astype("f4")
        )
        for name, noise, shift in (
            ("strong", base, 2.0),
            ("same|as", base + rng.normal(scale=0.05, size=labels.size), 2.0),
            ("weak", base, 1.0),
        )
    ]
    columns.append(
        ScoreColumn(
            detector="broken",
            condition="clean",
            logits=np.full(labels.size, np.nan, "f4"),
            status="failed",
            reason="boom",
        )
    )
    cuts = slices(samples, pairing)
    rows = cell_rows(samples, cuts, columns, {}, "data")
    return samples, cuts, columns, rows, extras(samples, cuts, columns, rows, {})


def test_ranks_are_shared_where_no_test_tells_apart(made):
    assert made[-1].ranks == {"strong": 1, "same|as": 1, "weak": 3, "broken": 0}


def test_micro_counts_every_image_once(made):
    samples, _, columns, _, found = made
    row = found.pooled.set_index("detector").loc["strong"]
    assert (row["n_real"], row["n_fake"]) == (400, 400)
    assert row["auc"] == pytest.approx(roc_auc_score(samples["label"], columns[0].logits))


def test_false_positives_by_real_source(made):
    samples, _, columns, _, found = made
    row = found.sources.set_index(["detector", "source"]).loc[("strong", "raise")]
    called = columns[0].logits[(samples["generator"] == "raise").to_numpy()] > 0
    assert (row["n"], row["false_positives"]) == (100, called.sum())
    assert row["fpr_lo"] < row["fpr"] < row["fpr_hi"]
    assert math.isnan(found.sources.set_index("detector").loc["broken", "fpr"].iloc[0])


def test_a_control_moves_its_own_false_positive_rate_and_nothing_else(made):
    samples, _, columns, _, plain = made
    without = samples[samples["generator"] != "raise"].index
    cuts = slices(samples, {"a": ("coco",), "b": ("coco",)})
    rows = cell_rows(samples, cuts, columns, {}, "data")
    found = extras(samples, cuts, columns, rows, {})
    controls = found.sources.set_index(["detector", "source"])["control"]
    assert controls["strong", "raise"]
    assert not controls["strong", "coco"]
    row = found.pooled.set_index("detector").loc["strong"]
    assert (row["n_real"], row["n_fake"]) == (300, 400)
    expected = roc_auc_score(samples["label"][without], columns[0].logits[without])
    assert row["auc"] == pytest.approx(expected)
    rates = ["n", "false_positives", "fpr"]
    assert found.sources[rates].equals(plain.sources[rates])
    text = Board(rows, BoardNotes(suite="s", dataset="data"), found).to_markdown()
    assert "| raise (control) |" in text
    assert "coco (control)" not in text


def test_the_board_shows_them_with_names_escaped(made):
    *_, rows, found = made
    board = Board(rows, BoardNotes(suite="s", dataset="data"), found)
    text = board.to_markdown()
    for title in (
        "## Rank, macro and micro",
        "## Working points",
        "## False-positive rate by real",
    ):
        assert title in text
    assert "same&#124;as" in text
    document = json.loads(board.to_json())
    assert document["ranks"]["weak"] == 3
    assert {row["source"] for row in document["real_sources"]} == {"coco", "raise"}


def test_dependent_images_widen_the_comparison(made):
    samples, cuts, columns, rows, _ = made
    grouped = samples.assign(group=[str(i % 8) for i in range(len(samples))])
    # Eight clusters whose strong lead is one cluster's doing: no longer significant.
    lead = columns[2].logits.copy()
    lead[:] += np.where((np.arange(lead.size) % 8 == 0) & (samples["label"] == 1), 3, 0)
    two = [columns[2], ScoreColumn(detector="lead", condition="clean", logits=lead)]
    rows = cell_rows(samples, cuts, two, {}, "data")
    assert extras(samples, cuts, two, rows, {}).ranks == {"weak": 2, "lead": 1}
    assert extras(grouped, cuts, two, rows, {}).ranks == {"weak": 1, "lead": 1}


def test_auc_by_source_counts_photographs_and_not_their_copies(frame):
    """Few groups of many images: Student's t with the groups less one, over the images at hand alone."""
    samples = frame(("coco", "", 0, 60), ("raise", "", 0, 60), ("a", "", 1, 60))
    rng = np.random.default_rng(3)
    photo = np.arange(len(samples)) // 20
    samples["group"] = [f"photo{number}" for number in photo]
    labels = samples["label"].to_numpy()
    logits = (rng.normal(size=9)[photo] + 0.1 * rng.normal(size=labels.size) + 1.5 * labels).astype(
        "f4"
    )
    cuts = slices(samples, {"a": ("coco", "raise")})
    columns = [ScoreColumn(detector="d", condition="clean", logits=logits)]
    rows = cell_rows(samples, cuts, columns, {}, "data")
    row = extras(samples, cuts, columns, rows, {}).source_auc.set_index("source").loc["coco"]

    kept = np.flatnonzero((samples["generator"] != "raise").to_numpy())
    above = logits[kept][labels[kept] == 1][:, None] > logits[kept][labels[kept] == 0][None, :]
    auc = above.mean()
    shares = np.concatenate([above.mean(axis=0), above.mean(axis=1)])  # reals lie first
    sums = np.bincount(photo[kept], weights=(shares - auc) / math.sqrt(60 * 59))
    sums = sums[np.unique(photo[kept])]
    sd = math.sqrt(6 / 5 * (1 - 1 / 120) * (sums**2).sum())
    half = student_t.ppf(0.975, 5) * sd / (auc * (1 - auc))
    ends = [1 / (1 + math.exp(-(math.log(auc / (1 - auc)) + side * half))) for side in (-1, 1)]
    assert [row["auc_lo"], row["auc_hi"]] == pytest.approx(ends, rel=1e-9)
