"""Whole runs on small real files: results, resuming, invariance, failures."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

import bench
from bench.errors import BenchError, OutputError
from bench.protocol.suite import Suite
from bench.results.board import report
from bench.store import units as planning
from leaderboards import Board

SUITE = Suite(
    name="mini",
    slices=["generator"],
    conditions=["clean", "noise(sigma=0.1)", "pgd(eps=2/255,steps=3)", "jpeg(quality=50)"],
)


def rows_of(run):
    return list(csv.DictReader(io.StringIO(run.board.to_csv())))


def scores_of(folder):
    """(detector, condition, sample_id) -> (logit, linf) from the stored shards."""
    from bench.store.rundir import RunDir
    from bench.store.shards import Store

    run = RunDir(folder)
    store = Store(run.store(run.spec()))
    found = {}
    for unit in run.units().to_pylist():
        for row in store.read(unit["fingerprint"]).to_pylist():
            key = (unit["detector"], unit["condition"], row["sample_id"])
            found[key] = (row["logit"], row["linf"])
    return found


def test_the_numbers_are_right(tree, toy, tmp_path):
    run = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out")
    cells = {(r["generator"], r["condition"]): r for r in rows_of(run)}
    assert len(cells) == 2 * 4
    for generator in ("alpha", "beta"):
        logits, labels = [], []
        for kind in ("real", "fake"):
            for path in sorted((tree / generator / kind).iterdir()):
                crop = np.asarray(Image.open(path), dtype=np.float64)[4:36, 8:40] / 255
                logits.append(40 * (crop[..., 0].mean() - crop[..., 2].mean()))
                labels.append(kind == "fake")
        cell = cells[generator, "clean"]
        assert cell["n_real"] == cell["n_fake"] == "12"
        assert float(cell["auc"]) == pytest.approx(roc_auc_score(labels, logits), abs=1e-6)
        right = np.mean((np.array(logits) > 0) == np.array(labels))
        assert float(cell["accuracy"]) == pytest.approx(right, abs=1e-6)
        assert cell["seen"] == {"alpha": "seen", "beta": "unseen"}[generator]
        # The toy's gradient is exact: PGD moves every logit by 40 * 2 * 2/255, the wrong way.
        assert float(cells[generator, "pgd(eps=2/255,steps=3)"]["accuracy"]) < right
    assert not run.report.incomplete


def test_a_second_run_scores_nothing_and_a_third_python_process_rebuilds_the_same_board(
    tree, toy, tmp_path
):
    first = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out")
    assert first.counts.decoded == 48
    assert first.counts.scored == 48 * 4
    files = {n: (tmp_path / "out" / n).read_bytes() for n in ("leaderboard.csv", "leaderboard.md")}
    again = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out")
    assert (again.counts.decoded, again.counts.scored) == (0, 0)
    for name, content in files.items():
        assert (tmp_path / "out" / name).read_bytes() == content
    assert report(tmp_path / "out").board.to_csv().encode() == files["leaderboard.csv"]


def test_reals_shared_by_generators_are_scored_once(tree, toy, tmp_path):
    (tree / "beta" / "real").rename(tmp_path / "gone")
    table = [
        {
            "path": str(path.relative_to(tree)),
            "label": "fake" if "fake" in path.parts else "real",
            "generator": path.parts[-3] if "fake" in path.parts else "",
        }
        for path in sorted(tree.rglob("*.png"))
    ]
    manifest = tree / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in table))
    run = bench.run(toy(), suite=SUITE, data=manifest, out=tmp_path / "out")
    assert run.counts.scored == (12 + 24) * 4
    cells = [r for r in rows_of(run) if r["condition"] == "clean"]
    assert [(r["generator"], r["n_real"], r["n_fake"]) for r in cells] == [
        ("alpha", "12", "12"),
        ("beta", "12", "12"),
    ]


def test_batch_size_order_and_sharding_do_not_matter(tree, toy, tmp_path, monkeypatch):
    whole = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "a")
    single = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "b", batch_size=1)
    monkeypatch.setattr(planning, "CHUNK_IMAGES", 7)
    sharded = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "c")
    reference = scores_of(whole.folder)
    for other in (single, sharded):
        scores = scores_of(other.folder)
        assert scores.keys() == reference.keys()
        for key, (logit, linf) in scores.items():
            tolerance = 0.05 if key[1].startswith("pgd") else 1e-4
            assert logit == pytest.approx(reference[key][0], abs=tolerance)
            assert linf == pytest.approx(reference[key][1])
            assert (logit > 0) == (reference[key][0] > 0)


def test_bad_images_are_left_out_for_every_detector_alike_and_listed(tree, toy, tmp_path):
    good = (tree / "alpha" / "fake" / "00.png").read_bytes()
    (tree / "alpha" / "fake" / "00.png").write_bytes(b"<html>not an image</html>")
    (tree / "beta" / "real" / "01.png").write_bytes(good[: len(good) // 2])
    run = bench.run(
        [toy(), toy("Rounds")], suite="cross-generator", data=tree, out=tmp_path / "out"
    )
    cells = {(r["detector"], r["generator"]): r for r in rows_of(run)}
    for detector in ("Toy", "Rounds"):
        assert cells[detector, "alpha"]["n_fake"] == "11"
        assert cells[detector, "beta"]["n_real"] == "11"
    listed = list(csv.DictReader((tmp_path / "out" / "bad_images.csv").open()))
    assert {row["path"] for row in listed} == {"alpha/fake/00.png", "beta/real/01.png"}
    assert all(row["reason"] for row in listed)


def test_an_image_changed_after_indexing_is_never_scored_under_the_old_digest(tree, toy, tmp_path):
    bench.run(toy(), suite="cross-generator", data=tree, out=tmp_path / "out")
    path = tree / "alpha" / "real" / "05.png"
    Image.new("RGB", (48, 40), (250, 0, 0)).save(path)
    again = bench.run(toy(), suite="cross-generator", data=tree, out=tmp_path / "out", force=True)
    assert again.counts.decoded == 48
    assert scores_of(again.folder)["Toy", "clean", "alpha/real/05.png"][0] > 30


def test_an_image_that_changes_behind_the_index_stops_the_run(tree, toy, tmp_path):
    bench.run(toy(), suite="cross-generator", data=tree, out=tmp_path / "out")
    path = tree / "alpha" / "real" / "05.png"
    stat, data = path.stat(), bytearray(path.read_bytes())
    data[-20] ^= 255
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(BenchError, match=r"alpha/real/05\.png changed since it was indexed"):
        bench.run(toy("Rounds"), suite="cross-generator", data=tree, out=tmp_path / "out2")


def test_one_failing_detector_leaves_the_others_and_says_why(tree, toy, tmp_path):
    run = bench.run([toy("Raises"), toy()], suite=SUITE, data=tree, out=tmp_path / "out")
    by = {(r["detector"], r["generator"], r["condition"]): r for r in rows_of(run)}
    assert by["Toy", "alpha", "clean"]["status"] == "ok"
    failed = by["Raises", "alpha", "clean"]
    assert failed["status"] == "failed"
    assert "no such layer" in failed["reason"]
    assert failed["accuracy"] == failed["auc"] == "n/a"
    assert run.report.incomplete == 8


def test_a_detector_without_gradient_is_not_attackable_and_never_robust(tree, toy, tmp_path):
    run = bench.run(toy("Rounds"), suite=SUITE, data=tree, out=tmp_path / "out")
    for row in rows_of(run):
        attacked = row["condition"].startswith("pgd")
        assert row["status"] == ("not attackable" if attacked else "ok")
        assert (row["accuracy"] == "n/a") == attacked


def test_a_logit_of_the_wrong_shape_fails_the_cell(tree, toy, tmp_path):
    run = bench.run(toy("Wrong"), suite="cross-generator", data=tree, out=tmp_path / "out")
    assert {row["status"] for row in rows_of(run)} == {"failed"}
    assert "one logit an image" in rows_of(run)[0]["reason"]


def test_out_of_memory_halves_the_batch_and_goes_on(tree, toy, tmp_path):
    run = bench.run(toy("Hungry"), suite=SUITE, data=tree, out=tmp_path / "out", batch_size=32)
    assert {row["status"] for row in rows_of(run)} == {"ok"}
    spec = json.loads((tmp_path / "out" / "run.json").read_text())
    assert spec["detectors"][0]["batch_size"] == 8


def test_a_corruption_that_changes_nothing_fails_its_cells(tree, toy, tmp_path, monkeypatch):
    from corruptions.noise import Noise

    monkeypatch.setattr(Noise, "apply", lambda self, image, rng: image.copy())
    run = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out")
    noisy = [r for r in rows_of(run) if r["condition"].startswith("noise")]
    assert {r["status"] for r in noisy} == {"failed"}
    assert "left every pixel" in noisy[0]["reason"]
    assert {r["status"] for r in rows_of(run) if r["condition"] == "clean"} == {"ok"}


def test_exact_is_another_score_and_says_so(tree, tmp_path):
    """With and without folding: the same verdicts, stored apart, told under the board."""
    runs = {
        exact: bench.run(
            "genimage-cnn",
            suite="cross-generator",
            data=tree,
            out=tmp_path / str(exact),
            store=tmp_path / "store",
            exact=exact,
        )
        for exact in (False, True)
    }
    assert [runs[exact].counts.scored for exact in (False, True)] == [48, 48]
    assert "folded" in runs[False].board.to_markdown()
    assert "plain order of operations (--exact)" in runs[True].board.to_markdown()
    quick, plain = (runs[exact].board.rows for exact in (False, True))
    assert list(quick["auc"]) == pytest.approx(list(plain["auc"]), abs=0.01)


def test_a_limited_run_is_stamped_on_the_board(tree, toy, tmp_path):
    run = bench.run(toy(), suite="cross-generator", data=tree, out=tmp_path / "out", limit=10)
    assert run.counts.scored == 10
    text = run.board.to_markdown()
    assert "LIMITED" in text
    assert "10 of 48" in text


def test_runs_share_scores_through_a_store(tree, toy, tmp_path):
    bench.run(toy(), suite="cross-generator", data=tree, out=tmp_path / "a", store=tmp_path / "s")
    wider = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "b", store=tmp_path / "s")
    assert wider.counts.scored == 48 * 3
    assert report(tmp_path / "b").board.to_csv() == wider.board.to_csv()


def test_an_unwritable_place_is_refused_before_any_work(tree, toy, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BenchError, match="cannot write"):
        bench.run(toy(), suite="cross-generator", data=tree, out=tmp_path / "file" / "out")


def test_a_board_that_could_not_be_written_is_refused_before_anything_is_scored(
    tree, toy, tmp_path
):
    (tmp_path / "out" / "leaderboard.md").mkdir(parents=True)
    with pytest.raises(OutputError, match="choose another place"):
        bench.run(toy(), suite="cross-generator", data=tree, out=tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.parquet"))


def test_a_board_that_cannot_be_written_says_so_and_the_scores_are_kept(
    tree, toy, tmp_path, monkeypatch
):
    def full(board, folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Board, "write", full)
        with pytest.raises(OutputError):
            bench.run(toy(), suite="cross-generator", data=tree, out=tmp_path / "out")
    again = bench.run(toy(), suite="cross-generator", data=tree, out=tmp_path / "out")
    assert (again.counts.decoded, again.counts.scored) == (0, 0)


KILLED = """
import sys, time, bench, torch
from bench.store import units as plan
plan.CHUNK_IMAGES = 4
from bench.scoring import scorer as engine
score = engine.Scorer._attempt
def slow(self, *args, **kwargs):
    time.sleep(0.02)
    return score(self, *args, **kwargs)
engine.Scorer._attempt = slow
bench.run(sys.argv[1], suite="corruptions", data=sys.argv[2], out=sys.argv[3])
"""


def test_kill_at_any_moment_then_the_same_command_gives_the_same_bytes(tree, toy, tmp_path):
    def command(out):
        return [sys.executable, "-c", KILLED, toy(), str(tree), str(tmp_path / out)]

    subprocess.run(command("whole"), check=True)
    process = subprocess.Popen(command("killed"))
    store = tmp_path / "killed" / "store"
    deadline = time.monotonic() + 60
    while len(list(store.rglob("[!.]*.parquet"))) < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "leaderboard.csv").exists()
    half = report(tmp_path / "killed")
    assert half.incomplete > 0
    done = len(list(store.rglob("[!.]*.parquet")))
    subprocess.run(command("killed"), check=True)
    assert done >= 20
    for name in ("leaderboard.csv", "leaderboard.md"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
