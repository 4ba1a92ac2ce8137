"""A board made in passes over files: the bytes of one in memory, where passes suffice."""

from __future__ import annotations

import contextlib
import errno
import shutil
import signal
import subprocess
import sys
import tempfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

import bench
from bench.errors import BenchError, OutputError
from bench.protocol.suite import Suite
from bench.results.board import report
from bench.results.streamed import dependence, load, scope
from bench.results.streamed import run as streamed
from bench.store.rundir import RunDir
from bench.store.shards import SCHEMA, ShardDamagedError, Store
from bench.support.progress import Silent
from leaderboards.statistics.streams import clusters
from leaderboards.statistics.streams import runs as sorting
from leaderboards.streamed import columns, means, placements

SUITE = Suite(
    name="streamed",
    slices=["generator", "domain", "generator*domain", "pooled"],
    conditions=["clean", "jpeg(quality=50)"],
)


@pytest.fixture
def photos(tmp_path):
    """Photographs of two sources in two domains and fakes of three generators."""
    rng, rows = np.random.default_rng(0), []
    (tmp_path / "photos").mkdir()
    for number in range(90):
        fake = number % 2
        name = f"{number}.png"
        pixels = rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)
        Image.fromarray(pixels // 2 + 90 * fake).save(tmp_path / "photos" / name)
        generator = f"net{number % 3}" if fake else f"camera{number % 4 // 2}"
        rows.append((name, fake, generator, "faces" if number % 5 < 2 else "places"))
    table = pd.DataFrame(rows, columns=["path", "label", "generator", "domain"])
    table.to_csv(tmp_path / "photos" / "index.csv", index=False)
    return tmp_path / "photos" / "index.csv"


@pytest.fixture
def in_parts(monkeypatch):
    """Make every board in passes, its parts as small as they can be."""

    def switch():
        monkeypatch.setattr(scope, "STREAM_FROM", 0)
        monkeypatch.setattr(load, "WINDOW", 20)
        monkeypatch.setattr(sorting, "RUN", 16)
        monkeypatch.setattr(columns, "CHUNK", 25)
        monkeypatch.setattr(placements, "PART", 30)
        monkeypatch.setattr(placements, "BLOCK", 40)
        monkeypatch.setattr(means, "_STEP", 31)
        monkeypatch.setattr(clusters, "_STEP", 17)
        monkeypatch.setattr(dependence, "_STEP", 23)

    return switch


@pytest.fixture
def scored(photos, toy, tmp_path):
    """A run of two detectors under two conditions, in which one image did not decode."""
    folder = bench.run(
        [toy(), toy("Rounds")], suite=SUITE, data=photos, out=tmp_path / "run"
    ).folder
    record = RunDir(folder).read()
    store = Store(record.store)
    for unit in record.units["fingerprint"].to_pylist():
        shard = store.read(unit).to_pandas()
        lost = shard["sample_id"].str.endswith("44.png")
        shard.loc[lost, "bad"], shard.loc[lost, "logit"] = "cut short", np.nan
        store.write(unit, pa.Table.from_pandas(shard, SCHEMA))
    return folder


def assert_same_board(one, other):
    assert one.board.rows.equals(other.board.rows)  # every bit
    assert one.board.files() == other.board.files()
    for name in ("pooled", "sources", "classes"):
        assert getattr(one.board.extras, name).equals(getattr(other.board.extras, name)), name
    pd.testing.assert_frame_equal(
        one.board.extras.source_auc, other.board.extras.source_auc, rtol=1e-12
    )
    assert one.board.extras.ranks == other.board.extras.ranks
    intervals = one.board.extras.intervals
    assert intervals.keys() == other.board.extras.intervals.keys()
    for name, interval in intervals.items():
        assert interval == pytest.approx(other.board.extras.intervals[name], rel=1e-12, nan_ok=True)
    assert (one.bad, one.remarks, one.incomplete, one.lost_class) == (
        other.bad, other.remarks, other.incomplete, other.lost_class,
    )  # fmt: skip


def test_a_board_in_passes_has_the_bytes_of_one_in_memory(scored, in_parts):
    expected = report(scored)
    in_parts()
    assert streamed.stream_folder(scored, Silent()) is not None
    result = report(scored)
    assert_same_board(expected, result)
    assert len(result.bad) == 1
    assert len(result.board.extras.source_auc) == 4  # two detectors, two sources
    assert result.incomplete == 0


def test_a_generator_of_one_image_makes_no_difference_significant(photos, toy, tmp_path, in_parts):
    lone = np.random.default_rng(1).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    Image.fromarray(lone).save(photos.parent / "lone.png")
    with photos.open("a") as table:
        table.write("lone.png,1,lone,faces\n")
    folder = bench.run(
        [toy(), "genimage-cnn"], suite=SUITE, data=photos, out=tmp_path / "run"
    ).folder
    expected = report(folder)
    assert (
        expected.board.rows.query("condition == 'clean'").groupby("detector").auc.mean().nunique()
        == 2
    )
    in_parts()
    assert streamed.stream_folder(folder, Silent()) is not None
    assert_same_board(expected, report(folder))
    assert set(expected.board.extras.ranks.values()) == {1}


def test_thresholds_that_were_chosen_and_missing_scores_show_as_in_memory(
    photos, toy, tmp_path, in_parts
):
    suite = SUITE.model_copy(update={"threshold": "0.25"})
    folder = bench.run([toy()], suite=suite, data=photos, out=tmp_path / "run").folder
    record = RunDir(folder).read()
    gone = record.units.to_pylist()[-1]["fingerprint"]
    (record.store / gone[:2] / f"{gone}.parquet").unlink()
    expected = report(folder)
    in_parts()
    result = report(folder)
    assert_same_board(expected, result)
    assert (result.board.rows["threshold"] == 0.25).all()
    assert set(result.board.rows["status"]) == {"ok", "incomplete"}


def test_a_run_writes_the_bytes_of_a_board_in_memory(photos, toy, tmp_path, in_parts):
    folders = [bench.run([toy()], suite=SUITE, data=photos, out=tmp_path / "memory").folder]
    in_parts()
    folders.append(bench.run([toy()], suite=SUITE, data=photos, out=tmp_path / "passes").folder)
    one, other = [(folder / "leaderboard.csv").read_bytes() for folder in folders]
    assert one == other


def test_images_that_depend_on_each_other_give_the_board_of_memory(photos, toy, tmp_path, in_parts):
    folder = photos.parent
    for first, second in (
        (1, 7),
        (1, 3),
        (2, 88),
        (4, 9),
    ):  # of one generator, of two, of both classes
        shutil.copy(folder / f"{first}.png", folder / f"{second}.png")
    table = pd.read_csv(photos)
    table["group"] = [f"photo {n // 3}" if n % 4 else "" for n in range(len(table))]
    table.to_csv(photos, index=False)
    run = bench.run([toy(), toy("Rounds")], suite=SUITE, data=photos, out=tmp_path / "run").folder
    expected = report(run)
    in_parts()
    assert streamed.stream_folder(run, Silent()) is not None
    result = report(run)
    assert_same_board(expected, result)
    assert any(remark.startswith("Duplicates: 3 files") for remark in result.remarks)
    assert "in both classes" in result.board.to_markdown()
    pooled = result.board.extras.pooled
    assert (pooled["n_real"] + pooled["n_fake"] == 90 - 3).all()


def test_names_of_one_hash_are_put_together_in_memory(photos, toy, tmp_path, in_parts, monkeypatch):
    table = pd.read_csv(photos)
    table["group"] = [f"photo {n // 2}" for n in range(len(table))]
    table.to_csv(photos, index=False)
    run = bench.run([toy()], suite=SUITE, data=photos, out=tmp_path / "run").folder
    expected = report(run)
    in_parts()
    exact = dependence._hashes

    def coarse(names, rows, key="0123456789123456"):
        hashes = exact(names, rows, key)
        return hashes if key == dependence._OTHER_KEY else hashes % np.uint64(20) + np.uint64(1)

    monkeypatch.setattr(dependence, "_hashes", coarse)
    assert streamed.stream_folder(run, Silent()) is None
    assert_same_board(expected, report(run))


def test_a_bar_counts_to_its_end(scored, in_parts):
    class Heard(Silent):
        def __init__(self):
            self.tasks = []

        def start(self, task, total):
            self.tasks.append([task, total, 0])

        def advance(self, steps=1):
            self.tasks[-1][2] += steps

    in_parts()
    heard = Heard()
    report(scored, heard)
    names, totals, finished = zip(*heard.tasks, strict=True)
    assert names == ("board, reading scores", "board, measuring cells")
    assert totals == finished
    assert totals[0] == 90 * 2 * 2


def test_nothing_but_the_board_is_printed_where_nobody_watches(scored, in_parts, cli):
    code, expected, _ = cli("board", scored, "-f", "csv")
    in_parts()
    code, out, err = cli("board", scored, "-f", "csv")
    assert (code, out) == (0, expected)
    assert "board, " not in err


def test_what_a_killed_board_left_goes_with_the_next(scored, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "room"))
    (tmp_path / "room").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)
    before = digests(scored)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(scored)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "room").iterdir()
    assert (left / "scores-0").stat().st_size == 90 * 4
    assert digests(scored) == before
    monkeypatch.setattr(scope, "STREAM_FROM", 0)
    result = report(scored)
    assert list((tmp_path / "room").iterdir()) == []
    assert len(result.board.rows)
    assert digests(scored) == before


def digests(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# A board that is killed while cells are measured.
KILLED = """
import os, signal, sys
from pathlib import Path
from bench.results.board import report
from bench.results.streamed import scope
from leaderboards.streamed.columns import ColumnPass
scope.STREAM_FROM = 0
ColumnPass.measured = lambda self, cut: os.kill(os.getpid(), signal.SIGKILL)
report(Path(sys.argv[1]))
"""


@pytest.mark.parametrize(
    "change",
    [
        {"conditions": ["clean", "fgsm(eps=4/255)"]},
        {"conditions": ["clean", "only(fakes)+jpeg(quality=50)"]},
        {"equalise": "jpeg(quality=90)"},
    ],
    ids=["attack", "one class", "equalised"],
)
def test_what_needs_more_than_passes_is_put_together_in_memory(
    change, photos, toy, tmp_path, in_parts
):
    suite = Suite(**(SUITE.model_dump(exclude_defaults=True) | change))
    folder = bench.run([toy()], suite=suite, data=photos, out=tmp_path / "run").folder
    in_parts()
    assert not scope.is_streamed(RunDir(folder).spec())
    assert len(report(folder).board.rows)


def test_few_scores_are_put_together_in_memory(scored):
    spec = RunDir(scored).spec()
    assert scope.n_scores(spec) == 90 * 2 * 2
    assert not scope.is_streamed(spec)
    n_images = scope.STREAM_FROM // 4
    assert scope.is_streamed(spec.model_copy(update={"n_images": n_images}))
    assert not scope.is_streamed(spec.model_copy(update={"n_images": n_images - 1}))


def test_a_damaged_shard_is_named_with_the_way_out(scored, in_parts):
    record = RunDir(scored).read()
    path = next(record.store.rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-20])
    in_parts()
    with pytest.raises(ShardDamagedError, match="run the same command again"):
        report(scored)
    assert path.is_file()  # a board changes nothing


@pytest.mark.parametrize("damage", ["cut", "gone", "other"])
def test_a_damaged_table_of_images_is_refused(damage, scored, in_parts):
    path = scored / "manifest.parquet"
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-9] if damage == "cut" else content[:-1] + b"x")
    in_parts()
    with pytest.raises(BenchError, match=r"manifest\.parquet is (damaged|missing)"):
        report(scored)


def test_a_full_disk_is_told_with_the_way_out(scored, in_parts, monkeypatch):
    in_parts()

    @contextlib.contextmanager
    def full(**options):
        raise OSError(errno.ENOSPC, "No space left on device")
        yield

    monkeypatch.setattr(tempfile, "TemporaryDirectory", full)
    with pytest.raises(OutputError, match="set TMPDIR to a folder with more"):
        report(scored)
