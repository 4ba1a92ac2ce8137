"""``--precision auto``: what is chosen and why, the same bytes on any way there, attacks checked in fp32."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import nn

import bench
from bench.errors import BenchError
from bench.inference.detector import DetectorRequest
from bench.inference.device import has_bf16_units
from bench.inference.numerics import Numerics
from bench.protocol.suite import Suite
from bench.results.scores import load_run
from bench.runs import prepare
from bench.runs.arithmetic import candidates
from bench.runs.request import RunRequest
from bench.store import units
from bench.support.progress import Silent
from detectors import Detector, DetectorCard, InputSpec
from leaderboards.tables.further import arithmetic
from leaderboards.tables.further.arithmetic import Checked, check_attack, check_scores
from tests.conftest import picture

SCORES = Suite(name="mini", slices=["generator"], conditions=["clean", "noise(sigma=0.1)"])
ATTACKS = Suite(name="attacks", slices=["generator"], conditions=["clean", "fgsm(eps=2/255)"])
LIARS = '''
import torch
from detectors import Detector, DetectorCard, InputSpec

class Exact(Detector):
    """Computes nothing that autocast touches: the same bits in both forms."""

    card = DetectorCard(name="exact", arch="toy", fake_logit="z", input=InputSpec(size=32, fit="crop"))

    def logits(self, batch):
        means = batch.mean(dim=(2, 3))
        return self.told(40 * (means[:, 0] - means[:, 2]))

    def told(self, logits):
        return logits

class Flips(Exact):
    """Calls almost everything fake in bf16."""

    def told(self, logits):
        return logits + 2 if torch.is_autocast_enabled("cpu") else logits

class Fooled(Exact):
    """Says the opposite in bf16, so that an attack takes every image for fooled at once."""

    def told(self, logits):
        return -logits if torch.is_autocast_enabled("cpu") else logits
'''


def patched(setattr_):
    """Make a small set large enough for a check, on any machine."""
    setattr_(prepare, "has_bf16_units", lambda device: True)
    setattr_(candidates, "LEAST_IMAGES", 8)
    setattr_(candidates, "LEAST_PRODUCTS", 0)
    setattr_(units, "CHUNK_IMAGES", 8)


@pytest.fixture
def small(monkeypatch):
    patched(monkeypatch.setattr)


@pytest.fixture
def images(tmp_path):
    """Two generators, 40 real and 40 fake images of each."""
    for g, name in enumerate(("alpha", "beta")):
        for i in range(40):
            for kind in ("real", "fake"):
                path = tmp_path / "set" / name / kind / f"{i:02d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture(100 * g + i, fake=kind == "fake", size=(34, 40))).save(path)
    return tmp_path / "set"


@pytest.fixture
def liar(tmp_path):
    path = tmp_path / "liars.py"
    path.write_text(textwrap.dedent(LIARS))
    return lambda name: f"{path}:{name}"


def run(detector, images, out, suite=SCORES, precision="auto", **options):
    return bench.run(
        detector, suite=suite, data=images, out=out, precision=precision, audit=False, **options
    )


def form_of(result):
    (form,) = load_run(result.folder).spec.forms
    return form


def board_bytes(folder):
    return {name: (folder / name).read_bytes() for name in ("leaderboard.csv", "leaderboard.md")}


def test_a_detector_that_is_exact_in_bf16_is_scored_in_it_and_the_board_says_so(
    liar, images, tmp_path, small
):
    store = tmp_path / "store"
    result = run(liar("Exact"), images, tmp_path / "out", store=store)
    form = form_of(result)
    assert (form.chosen, [c.condition for c in form.checks]) == ("bf16", SCORES.conditions)
    n = form.checks[0].n_real + form.checks[0].n_fake
    assert 16 <= n <= 40
    # All of it in bf16, the check once more in fp32.
    assert result.counts.scored == 2 * (160 + n)
    text = result.board.to_markdown()
    opening, table = text.split("| Detector")[0], text.split("### Arithmetic")[1]
    assert (
        f"> **BF16: Exact: scores are computed in bf16, as a check on {n} images allows" in opening
    )
    assert "99% interval" in opening.replace("\n> ", " ")
    assert "0 of" in opening
    assert "| Exact    | clean" in table
    assert "scores in bf16" in result.board.to_csv()
    warned = json.loads(result.board.to_json())
    assert warned["notes"]["forms"][0]["chosen"] == "bf16"
    # A score has one form, and is filed under it: runs that ask for that form find it.
    for precision, missing in (("bf16", 0), ("fp32", 2 * (160 - n))):
        again = run(liar("Exact"), images, tmp_path / precision, precision=precision, store=store)
        assert again.counts.scored == missing


def test_a_detector_whose_verdicts_flip_stays_in_fp32_and_the_reason_is_said(
    liar, images, tmp_path, small
):
    result = run(liar("Flips"), images, tmp_path / "out")
    plain = run(liar("Flips"), images, tmp_path / "plain", precision="fp32")
    form = form_of(result)
    assert form.chosen == "fp32"
    assert form.reason.startswith("bf16 is out of bounds under clean")
    assert form.checks[0].flips > 0
    assert (
        board_bytes(result.folder)["leaderboard.csv"]
        == board_bytes(plain.folder)["leaderboard.csv"]
    )
    assert "BF16:" not in result.board.to_markdown()
    assert "- Flips: fp32: bf16 is out of bounds under clean, noise" in result.board.to_markdown()


KILLED = """
import sys
from pathlib import Path
from tests.bench.killing import kill_at_write
from tests.bench.test_precision_auto import patched, run

patched(setattr)
kill_at_write(int(sys.argv[4]))
run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
"""


def test_threads_and_kills_in_the_check_and_behind_it_give_the_same_bytes(
    liar, images, tmp_path, small
):
    once = run(liar("Exact"), images, tmp_path / "one", threads=1)
    expected = board_bytes(once.folder)
    run(liar("Exact"), images, tmp_path / "two", threads=2)
    assert board_bytes(tmp_path / "two") == expected
    n_check = sum(c.n_real + c.n_fake for c in form_of(once).checks)
    within, behind = n_check // 8 + 1, 2 * n_check // 8 + 3
    command = [sys.executable, "-c", KILLED, liar("Exact"), str(images), str(tmp_path / "killed")]
    for writes in (within, behind - within):
        assert subprocess.run([*command, str(writes)], check=False).returncode == -9
    again = run(liar("Exact"), images, tmp_path / "killed")
    assert board_bytes(tmp_path / "killed") == expected
    assert again.counts.scored == once.counts.scored - 8 * behind


@pytest.mark.enable_socket
@pytest.mark.skipif(not has_bf16_units(torch.device("cpu")), reason="workers have no bf16 units")
def test_a_cluster_chooses_alike(liar, images, tmp_path, small):
    here = run(liar("Exact"), images, tmp_path / "here")
    spread = run(liar("Exact"), images, tmp_path / "spread", cluster="local:2")
    assert board_bytes(spread.folder) == board_bytes(here.folder)
    assert spread.counts.scored == here.counts.scored


def test_an_attack_that_bf16_gradients_weaken_keeps_fp32_gradients(liar, images, tmp_path, small):
    result = run(liar("Fooled"), images, tmp_path / "out", ATTACKS)
    form = form_of(result)
    assert form.chosen == "fp32"
    assert [c.measure for c in form.checks] == ["fooled"]
    assert form.checks[0].bf16 < form.checks[0].fp32
    plain = run(liar("Fooled"), images, tmp_path / "plain", ATTACKS, precision="fp32")
    assert (
        board_bytes(result.folder)["leaderboard.csv"]
        == board_bytes(plain.folder)["leaderboard.csv"]
    )


def test_success_is_claimed_on_fp32_logits_whatever_bf16_says(
    liar, images, tmp_path, small, monkeypatch
):
    monkeypatch.setattr(arithmetic, "FOOLED_BOUND", 2.0)
    result = run(liar("Fooled"), images, tmp_path / "out", ATTACKS)
    assert form_of(result).chosen == "bf16 gradients"
    scores = load_run(result.folder).scores
    clean, attacked = (column.logits for column in scores.columns)
    labels = scores.samples["label"].to_numpy()
    # The gradient of the opposite leads every picture deeper into its own class, and fp32 says so; in bf16
    # all but the mistaken ones would count as fooled.
    assert ((attacked > clean) == (labels == 1)).all()
    right = (clean > 0) == (labels == 1)
    assert right.sum() > 100
    assert ((attacked > 0) == (labels == 1))[right].all()
    # Clean scores beside an attack are fp32 too.
    plain = run(liar("Fooled"), images, tmp_path / "plain", SCORES, precision="fp32")
    assert np.array_equal(load_run(plain.folder).scores.columns[0].logits, clean)


def test_a_detector_exact_in_bf16_is_attacked_with_the_same_pictures(liar, images, tmp_path, small):
    result = run(liar("Exact"), images, tmp_path / "out", ATTACKS)
    assert form_of(result).chosen == "bf16 gradients"
    assert "BF16: Exact: gradients of attacks are computed in bf16" in result.board.to_markdown()
    plain = run(liar("Exact"), images, tmp_path / "plain", ATTACKS, precision="fp32")
    for one, two in zip(
        load_run(result.folder).scores.columns, load_run(plain.folder).scores.columns, strict=True
    ):
        assert np.array_equal(one.logits, two.logits)


@pytest.mark.parametrize(
    ("module", "name", "value", "reason"),
    [
        (prepare, "has_bf16_units", lambda device: False, "the device has no units for bf16"),
        (candidates, "LEAST_IMAGES", 80, "a check needs 80 images of either class within 25%"),
        (candidates, "LEAST_PRODUCTS", 1, "0 million multiplications an image in torch"),
    ],
)
def test_where_nothing_can_be_gained_nothing_is_checked(
    liar, images, tmp_path, small, monkeypatch, module, name, value, reason
):
    monkeypatch.setattr(module, name, value)
    request = RunRequest(
        detectors=(DetectorRequest(liar("Exact")),), suite=SCORES, data=str(images),
        numerics=Numerics("auto"), audit=False,
    )  # fmt: skip
    prepared = prepare.prepare(request, Silent())
    (found,) = candidates.refusals(prepared, candidates.looks(prepared)).values()
    assert found.startswith(reason)


def test_what_cannot_be_combined_is_refused(liar, images, tmp_path, small):
    oracle = SCORES.asked(threshold="oracle", equalise=None, pairing=None)
    with pytest.raises(BenchError, match="--precision auto contradicts --threshold oracle"):
        run(liar("Exact"), images, tmp_path / "oracle", oracle)


@pytest.mark.slow
def test_compiled_networks_are_checked_and_scored_as_compiled(liar, images, tmp_path, small):
    store, options = tmp_path / "store", {"compile": True, "threads": 1}
    result = run(liar("Exact"), images, tmp_path / "out", store=store, **options)
    assert form_of(result).chosen == "bf16"
    text = result.board.to_markdown()
    assert "> **BF16: Exact:" in text
    assert "compiled by torch.compile" in text
    # Both sides of the check were compiled: runs that compile find either, one that does not finds none.
    n = form_of(result).checks[0].n_real + form_of(result).checks[0].n_fake
    for precision, more, missing in (
        ("bf16", options, 0),
        ("fp32", options, 2 * (160 - n)),
        ("bf16", {}, 320),
    ):
        out = tmp_path / f"{precision}{len(more)}"
        again = run(liar("Exact"), images, out, precision=precision, store=store, **more)
        assert again.counts.scored == missing


class Convolves(Detector):
    card = DetectorCard(name="c", arch="c", fake_logit="z", input=InputSpec(size=16, fit="crop"))

    def __init__(self, groups: int) -> None:
        self.net = nn.Sequential(
            nn.Conv2d(3, 6, 3, groups=groups), nn.Flatten(), nn.Linear(6 * 14 * 14, 1)
        )

    def logits(self, batch):
        return self.net(batch)[:, 0]


@pytest.mark.parametrize("groups", [1, 3])
def test_multiplications_are_counted_as_they_are_written_down(groups):
    expected = 14 * 14 * 6 * 9 * 3 // groups + 6 * 14 * 14
    assert candidates.count_operations(Convolves(groups)) == (expected, groups > 1)


def test_a_check_holds_both_forms_against_the_bounds():
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], 2000)
    logits = (rng.normal(size=4000) + 2.5 * labels).astype(np.float32)
    images = Checked(labels)
    near = logits * np.float32(1 + 2**-12)
    check = check_scores("clean", images, logits, near, 0.0)
    assert (check.verdict, check.n_real, check.n_fake, check.flips) == ("within", 2000, 2000, 0)
    assert check.fp32 == pytest.approx(roc_auc_score(labels, logits))
    coarse = np.round(logits)
    check = check_scores("clean", images, logits, coarse, 0.0)
    assert check.flips == np.count_nonzero((logits > 0) != (coarse > 0))
    assert check.verdict == "outside"
    few = slice(1800, 2200)
    noisy = logits + rng.normal(scale=0.03, size=4000).astype(np.float32)
    check = check_scores("clean", Checked(labels[few]), logits[few], noisy[few], -9.0)
    assert check.verdict == "open"


def test_without_a_changed_rank_the_pairs_that_could_have_changed_bound_the_difference():
    rng = np.random.default_rng(7)
    labels = np.repeat([0, 1], 60)
    logits = np.round(rng.normal(size=120) + labels, 1).astype(np.float32)
    shifted = logits + np.where(logits < 1, 0.06, 0.03).astype(np.float32)
    check = check_scores("clean", Checked(labels), logits, shifted, 0.0)
    change = shifted.astype(float) - logits
    reach = change.max() - change.min()
    pairs = [
        abs(float(fake) - float(real)) <= reach
        for fake in logits[labels == 1]
        for real in logits[labels == 0]
    ]
    assert (check.lo, check.hi) == (-np.mean(pairs), np.mean(pairs))
    assert check.hi > 0


def test_an_attack_is_held_by_the_share_it_fools():
    labels = np.repeat([0, 1], 500)
    strong = np.where(labels == 1, -1.0, 1.0)
    weak = strong.copy()
    weak[:100] = -1.0
    assert check_attack("pgd", Checked(labels), strong, strong, 0.0).verdict == "within"
    check = check_attack("pgd", Checked(labels), strong, weak, 0.0)
    assert (check.fp32, check.bf16, check.flips, check.verdict) == (1.0, 0.9, 100, "outside")
    assert check_attack("pgd", Checked(labels), weak, strong, 0.0).verdict == "within"


def test_bf16_units_are_read_from_what_linux_says(monkeypatch):
    for line, there in (
        ("flags\t\t: fpu avx512f avx512_bf16", True),
        ("Features\t: fp asimd bf16 i8mm", True),
        ("flags\t\t: fpu avx2", False),
        ("", False),
    ):
        monkeypatch.setattr(Path, "read_text", lambda self, line=line, **_: f"x : y\n{line}\n")
        assert has_bf16_units(torch.device("cpu")) is there
