"""Runs that stop at a target: the numbers, the same bytes on any way there, going on, and refusals."""

from __future__ import annotations

import csv
import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

import bench
from bench.errors import BenchError, IncompleteError
from bench.protocol.suite import Suite
from bench.protocol.until import parse_until
from bench.results.baseline import update
from bench.results.comparison import compare
from bench.results.scores import load_run
from bench.store import units
from leaderboards import sequential_gate
from leaderboards.statistics.sequential.precision import half_width
from leaderboards.tables.rounds import order
from tests.conftest import picture

SUITE = Suite(
    name="mini",
    slices=["generator"],
    conditions=["clean", "noise(sigma=0.1)", "pgd(eps=2/255,steps=2)"],
)
LOOSE, TIGHT = parse_until("auc=0.06"), parse_until("auc=0.04")


@pytest.fixture
def small_steps(monkeypatch):
    """Looks every 8 images, chunks of 8: a small set then has many rounds."""
    monkeypatch.setattr(order, "STEP", 8)
    monkeypatch.setattr(units, "CHUNK_IMAGES", 8)


@pytest.fixture
def images(tmp_path):
    """Two generators of unlike size, 48 and 40 real and fake images."""
    for g, (name, n) in enumerate((("alpha", 48), ("beta", 40))):
        for i in range(n):
            for kind in ("real", "fake"):
                path = tmp_path / "set" / name / kind / f"{i:02d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture(100 * g + i, fake=kind == "fake", size=(34, 40))).save(path)
    return tmp_path / "set"


def run(toy, images, out, until=LOOSE, **options):
    return bench.run(
        toy(), suite=SUITE, data=images, out=out, until=until, audit=False, seed=3, **options
    )


def rows_of(result):
    return list(csv.DictReader(io.StringIO(result.board.to_csv())))


def board_bytes(folder):
    return {name: (folder / name).read_bytes() for name in ("leaderboard.csv", "leaderboard.md")}


def test_each_cell_stops_at_the_second_look_in_a_row_that_meets_the_target(
    toy, images, tmp_path, small_steps
):
    stopped = run(toy, images, tmp_path / "out")
    whole = bench.run(toy(), suite=SUITE, data=images, out=tmp_path / "whole", audit=False, seed=3)
    scores = load_run(whole.folder).scores
    places = order.positions(scores.samples, 3)
    cells = {(r["generator"], r["condition"]): r for r in rows_of(stopped)}
    assert len(cells) == 6
    early = 0
    for column in scores.columns:
        for cut in scores.slices():
            cell, met, n = cells[cut.generator, column.condition], [], 0
            while len(met) < 2 or not (met[-1] and met[-2]):
                n += 8
                part = places[cut.rows] < n / min(len(cut.real_rows), len(cut.fake_rows))
                labels, logits = cut.labels[part], column.logits[cut.rows][part]
                met.append(half_width("auc", labels, logits) <= 0.06)
                if part.all():
                    break
            assert int(cell["n_real"]) == np.count_nonzero(labels == 0)
            assert int(cell["n_fake"]) == np.count_nonzero(labels == 1)
            # Noise and PGD have the same bits in chunks of another cut but for the last ones.
            assert float(cell["auc"]) == pytest.approx(roc_auc_score(labels, logits), abs=0.02)
            assert cell["available_real"] == str(len(cut.real_rows))
            assert cell["stop"] == ("target met" if met[-1] else "all scored")
            assert cell["target"] == "auc=0.06"
            early += not part.all()
    assert early >= 2
    assert stopped.counts.scored < whole.counts.scored
    assert not stopped.report.incomplete
    text = stopped.board.to_markdown()
    assert "> **SCORED UNTIL auc=0.06: " in text.split("| Detector")[0]
    assert f"with {stopped.counts.scored} of {3 * 176} scores" in text


KILLED = """
import sys
from pathlib import Path
import bench
from bench.protocol.until import parse_until
from bench.store import units
from leaderboards.tables.rounds import order
from tests.bench.killing import kill_at_write
from tests.bench.test_until import SUITE

order.STEP = units.CHUNK_IMAGES = 8
kill_at_write(int(sys.argv[4]))
run = bench.run(sys.argv[1], suite=SUITE, data=sys.argv[2], out=Path(sys.argv[3]),
                until=parse_until("auc=0.06"), audit=False, seed=3)
print(run.counts.scored)
"""


@pytest.mark.enable_socket
def test_threads_a_kill_and_a_cluster_give_the_same_bytes(toy, images, tmp_path, small_steps):
    once = run(toy, images, tmp_path / "one", threads=1)
    expected = board_bytes(tmp_path / "one")
    run(toy, images, tmp_path / "two", threads=2)
    assert board_bytes(tmp_path / "two") == expected
    command = [sys.executable, "-c", KILLED, toy(), str(images), str(tmp_path / "killed")]
    killed = subprocess.run([*command, "9"], check=False)
    assert killed.returncode == -9
    again = subprocess.run([*command, "-1"], check=True, capture_output=True, text=True)
    assert board_bytes(tmp_path / "killed") == expected
    assert int(again.stdout) == once.counts.scored - 9 * 8
    spread = run(toy, images, tmp_path / "spread", cluster="local:2")
    assert board_bytes(tmp_path / "spread") == expected
    assert spread.counts.scored == once.counts.scored


def test_a_tighter_target_goes_on_where_the_first_stopped(toy, images, tmp_path, small_steps):
    first = run(toy, images, tmp_path / "out")
    with pytest.raises(BenchError, match=r"until auc=0\.06 there.*--continue"):
        run(toy, images, tmp_path / "out", TIGHT)
    second = run(toy, images, tmp_path / "out", TIGHT, tighten=True)
    fresh = run(toy, images, tmp_path / "fresh", TIGHT)
    assert board_bytes(tmp_path / "out") == board_bytes(tmp_path / "fresh")
    assert 0 < second.counts.scored == fresh.counts.scored - first.counts.scored


def test_what_cannot_be_combined_is_refused_before_anything_is_scored(toy, images, tmp_path):
    whole = {"suite": SUITE, "data": images, "audit": False}
    with pytest.raises(BenchError, match="--continue has no effect without --until"):
        bench.run(toy(), tighten=True, **whole)
    oracle = SUITE.asked(threshold="oracle", equalise=None, pairing=None)
    with pytest.raises(BenchError, match="contradicts --threshold oracle"):
        bench.run(toy(), until=LOOSE, **{**whole, "suite": oracle})
    with pytest.raises(BenchError, match="no run to go on from"):
        run(toy, images, tmp_path / "none", tighten=True)
    bench.run(toy(), out=tmp_path / "whole", **whole)
    with pytest.raises(BenchError, match="has scored everything"):
        run(toy, images, tmp_path / "whole", tighten=True)


@pytest.mark.parametrize("text", ["auc", "auc=0", "auc=x", "auc=0.5", "f1=0.1", "auc=nan", "=0.1"])
def test_a_target_that_says_nothing_is_refused_in_a_sentence(text):
    with pytest.raises(BenchError, match="--until"):
        parse_until(text)


def test_a_stopped_run_is_compared_on_common_images_and_makes_no_baseline(
    toy, images, tmp_path, small_steps
):
    stopped = run(toy, images, tmp_path / "out")
    bench.run(toy(), suite=SUITE, data=images, out=tmp_path / "whole", audit=False, seed=3)
    found = compare([tmp_path / "whole", tmp_path / "out"])
    cells = {(r["generator"], r["condition"]): r for r in rows_of(stopped)}
    n = {
        (c.test.name[1], c.test.name[3]): sum(c.test.counts)
        for c in found.contrasts
        if c.test.name[1] in ("alpha", "beta")
    }
    assert n == {key: int(r["n_real"]) + int(r["n_fake"]) for key, r in cells.items()}
    with pytest.raises(IncompleteError, match=r"scored until auc=0\.06"):
        update(tmp_path / "out", tmp_path / "baseline", "why")


def test_a_cell_that_fails_asks_for_nothing_more(toy, images, tmp_path, small_steps):
    failed = bench.run(
        [toy(), toy("Raises")], suite=SUITE, data=images, out=tmp_path / "out",
        until=LOOSE, audit=False, seed=3,
    )  # fmt: skip
    alone = run(toy, images, tmp_path / "alone")
    rows = {r["detector"]: [] for r in rows_of(failed)}
    for row in rows_of(failed):
        rows[row["detector"]].append((row["status"], row["n_real"], row["auc"]))
    assert {status for status, _, _ in rows["Raises"]} == {"failed"}
    assert rows["Toy"] == [(r["status"], r["n_real"], r["auc"]) for r in rows_of(alone)]


def test_the_dry_run_says_what_is_expected_and_what_it_is_at_most(cli, toy, images):
    code, out, _ = cli("run", "-d", toy(), "--suite", "smoke", "--data", images, "--until",
                       "auc=0.01", "--no-audit", "--dry-run", "--quiet")  # fmt: skip
    assert code == 0
    assert "until auc=0.01" in out


def test_a_gate_ends_scoring_and_says_what_it_saved(
    cli, toy, images, tmp_path, small_steps, monkeypatch
):
    monkeypatch.setattr(sequential_gate, "_LEAST", 12)
    monkeypatch.setattr(sequential_gate, "STEP", 8)
    base, candidate = tmp_path / "base", tmp_path / "candidate"
    bench.run(toy(), suite=SUITE, data=images, out=base, audit=False, seed=3)
    worse = tmp_path / "worse.py"
    text = (tmp_path / "toy.py").read_text().replace("means[:, 0] - means[:, 2]", "means[:, 2]")
    worse.write_text(text)
    stopped = bench.run(
        f"{worse}:Toy", suite=SUITE, data=images, out=candidate,
        until=f"gate={base}", audit=False, seed=3,
    )  # fmt: skip
    assert stopped.counts.scored < 0.7 * 3 * 176
    code, _, err = cli("gate", candidate, "--baseline", base)
    assert (code, "give --sequential" in err) == (2, True)
    code, out, err = cli("gate", candidate, "--baseline", base, "--sequential")
    assert (code, out.splitlines()[0]) == (10, "# Gate: FAIL (regression)")
    assert "of the forward passes saved" in err
    again = bench.run(
        f"{worse}:Toy", suite=SUITE, data=images, out=candidate,
        until=f"gate={base}", audit=False, seed=3,
    )  # fmt: skip
    assert again.counts.scored == 0
    code, _, err = cli("gate", candidate, "--baseline", base, "--sequential", "--min", "auc=0.5")
    assert (code, "floors have no sequential form" in err) == (2, True)
    whole, _, err = cli("gate", base, "--baseline", base, "--sequential")
    assert (whole, "decided at look" in err) == (0, True)
