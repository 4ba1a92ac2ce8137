"""Conditions that change one class alone: scores, measures, the board, and the worst case over them."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from bench import api
from bench.errors import BenchError
from bench.inference.detector import DetectorRequest
from bench.protocol.condition import parse
from bench.protocol.equaliser import parse_behind, parse_equaliser
from bench.protocol.series.severity import curves
from bench.results.scores import load_run
from corruptions.likeness import likeness

SUITE = """
name = "one-class"
slices = ["pooled", "domain"]
ensemble = "fakes"
conditions = [
  "clean",
  "jpeg(quality=30)",
  "only(fakes)+jpeg(quality=30)",
  "only(fakes)+noise(sigma=0.1)",
  "only(reals)+jpeg(quality=30)",
  "only(reals)+resize(scale=2,back=false)",
]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one-class")
    (folder / "suite.toml").write_text(SUITE)
    out = folder / "run"
    request = DetectorRequest("genimage-cnn")
    api.run(request, suite=str(folder / "suite.toml"), limit=60, out=out, device="cpu")
    return out


@pytest.fixture(scope="module")
def scores(run):
    table = load_run(run).scores
    columns = {column.condition: column for column in table.columns}
    return table.samples["label"].to_numpy() == 1, columns


def test_the_other_class_keeps_the_bits_of_clean(scores):
    fake, columns = scores
    clean, both = columns["clean"].logits, columns["jpeg(quality=30)"].logits
    only_fakes = columns["only(fakes)+jpeg(quality=30)"].logits
    only_reals = columns["only(reals)+jpeg(quality=30)"].logits
    assert np.array_equal(only_fakes, np.where(fake, both, clean))
    assert np.array_equal(only_reals, np.where(fake, clean, both))
    assert (both != clean).any()


def test_the_ensemble_is_the_worst_for_each_image(scores):
    fake, columns = scores
    members = [columns[f"only(fakes)+{step}"] for step in ("jpeg(quality=30)", "noise(sigma=0.1)")]
    worst = columns["ensemble(fakes)"]
    lowest = np.minimum(members[0].logits, members[1].logits)
    assert np.array_equal(worst.logits, np.where(fake, lowest, columns["clean"].logits))
    chosen = np.where(lowest == members[0].logits, members[0].psnr, members[1].psnr)
    assert np.array_equal(worst.psnr[fake], chosen[fake])
    assert np.isnan(worst.psnr[~fake]).all()


def test_likeness_is_stored_for_the_changed_class_where_sizes_agree(scores):
    fake, columns = scores
    column = columns["only(reals)+jpeg(quality=30)"]
    assert np.isfinite(column.psnr[~fake]).all()
    assert np.isnan(column.psnr[fake]).all()
    assert ((column.ssim[~fake] > 0.2) & (column.ssim[~fake] < 1)).all()
    assert np.isnan(columns["only(reals)+resize(scale=2,back=false)"].ssim).all()
    assert columns["jpeg(quality=30)"].psnr is None


def test_the_board_prints_no_rate_of_the_class_left_alone(run):
    with (run / "leaderboard.csv").open(newline="") as stream:
        rows = {row["condition"]: row for row in csv.DictReader(stream) if row["domain"] == "all"}
    fakes, reals = (rows[f"only({name})+jpeg(quality=30)"] for name in ("fakes", "reals"))
    both, clean = rows["jpeg(quality=30)"], rows["clean"]
    assert fakes["real_recall"] == fakes["real_accuracy"] == fakes["real_recall_lo"] == "n/a"
    assert reals["recall"] == reals["fake_recall"] == reals["fake_accuracy_hi"] == "n/a"
    assert fakes["fake_recall"] == both["fake_recall"]
    assert reals["real_recall"] == both["real_recall"]
    assert float(fakes["fp"]) == float(clean["fp"])
    assert both["median_psnr"] == clean["median_ssim"] == "n/a"
    assert float(fakes["median_psnr"]) > 20
    assert rows["ensemble(fakes)"]["status"] == "ok"
    text = (run / "leaderboard.md").read_text()
    found = text.partition("## By condition: Fakes called fake")[2].partition("##")[0]
    accused = text.partition("## By condition: Reals called fake")[2].partition("##")[0]
    assert "only(fakes)" in found.partition("A condition that")[0]
    assert "only(reals)" not in found
    assert "only(fakes)" not in accused.partition("A condition that")[0]
    assert f"{1 - float(reals['real_recall']):.3f}" in accused
    assert "## Reals called fake, by edit and domain: genimage-cnn" in text
    assert "changes that class alone" in text


def test_psnr_and_ssim_are_scikit_images():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (24, 31, 3), dtype=np.uint8)
    b = np.clip(a + rng.normal(0, 20, a.shape), 0, 255).astype(np.uint8)
    measured = likeness(a, b)
    assert measured.psnr == pytest.approx(peak_signal_noise_ratio(a, b))
    # Mean over channels of each channel alone, in floating point.
    alone = [
        structural_similarity(
            a[..., c].astype(float), b[..., c].astype(float), data_range=255, gaussian_weights=True,
            sigma=1.5, use_sample_covariance=False,
        )
        for c in range(3)
    ]  # fmt: skip
    assert measured.ssim == pytest.approx(np.mean(alone), abs=1e-9)
    assert likeness(a, a) == (float("inf"), 1.0)
    assert likeness(a, b[1:]) is None
    assert np.isnan(likeness(a[:8], b[:8]).ssim)


def test_spelling_and_series():
    condition = parse(" only(fakes) + jpeg(severity=3)+blur(sigma=1)")
    assert str(condition) == "only(fakes)+jpeg(quality=75)+blur(sigma=1)"
    assert parse(condition.resolved) == condition
    assert condition != parse("jpeg(quality=75)+blur(sigma=1)")
    assert (
        condition.source_chain != parse("only(reals)+jpeg(quality=75)+blur(sigma=1)").source_chain
    )
    assert [condition.changes(label) for label in (0, 1)] == [False, True]
    behind = parse_behind("only(reals)+jpeg(quality=75)", "resize(size=64)")
    assert behind.resolved.startswith("resize(")
    assert "+only(reals)+jpeg(" in behind.resolved
    series = [parse(t) for t in ("jpeg(quality=30)", "only(fakes)+jpeg(quality=75)",
                                 "only(fakes)+jpeg(quality=30)")]  # fmt: skip
    assert curves(series) == {
        "jpeg(quality=30)": ("jpeg(quality=30)", 1),
        "only(fakes)+jpeg(quality=75)": ("only(fakes)+jpeg", 1),
        "only(fakes)+jpeg(quality=30)": ("only(fakes)+jpeg", 2),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("only(fakes)", "stands before corruptions"),
        ("only(fake)+jpeg", r"write only\(fakes\) or only\(reals\)"),
        ("only+jpeg", r"write only\(fakes\) or only\(reals\)"),
        ("jpeg+only(fakes)", "stands first in a chain"),
        ("only(fakes)+only(reals)+jpeg", "stands first in a chain"),
        ("only(fakes)+pgd(eps=1/255)", "goal=evade"),
    ],
)
def test_bad_spellings(text, message):
    with pytest.raises(BenchError, match=message):
        parse(text)


def test_an_equaliser_is_for_both_classes():
    with pytest.raises(BenchError, match="leave only"):
        parse_equaliser("only(fakes)+jpeg(quality=90)")
