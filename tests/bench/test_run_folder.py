"""A run's folder has one owner at a time, holds one request, and can be repeated."""

from __future__ import annotations

import contextlib
import csv
import json
import multiprocessing
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

import bench
from bench.errors import BenchError
from bench.protocol.suite import Suite
from bench.store.lock import LOCK_NAME, FolderBusyError, FolderLock, Holder, locked
from bench.store.rundir import RunDir

SUITE = Suite(name="mini", slices=["generator"], conditions=["clean", "jpeg(quality=50)"])


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file() and p.name != LOCK_NAME}


OTHERS = {
    "detectors": {"detectors": "Rounds"},
    "one more": {"detectors": ["Toy", "Rounds"]},
    "conditions": {"suite": SUITE.model_copy(update={"conditions": ["clean"]})},
    "slices": {"suite": SUITE.model_copy(update={"slices": ["pooled"]})},
    "suite": {"suite": SUITE.model_copy(update={"name": "maxi"})},
    "threshold": {"suite": SUITE.with_threshold("oracle")},
    "seed": {"seed": 1},
    "limit": {"limit": 10},
    "exact": {"exact": True},
    "precision": {"precision": "bf16"},
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_folder_of_another_request_is_refused_and_replaced_only_by_force(
    tree, toy, tmp_path, kind
):
    options = {"detectors": "Toy", "suite": SUITE, "data": tree, "out": tmp_path / "out"}
    bench.run(toy(), **{k: v for k, v in options.items() if k != "detectors"})
    before = contents(tmp_path / "out")
    other = {**options, **OTHERS[kind]}
    names = other.pop("detectors")
    asked = [toy(name) for name in ([names] if isinstance(names, str) else names)]
    key = {"one more": "detectors"}.get(kind, kind)
    with pytest.raises(BenchError, match=f"holds another request .*{key} .*--force"):
        bench.run(asked, **other)
    assert contents(tmp_path / "out") == before
    forced = bench.run(asked, force=True, **other)
    assert RunDir(tmp_path / "out").spec().seed == other.get("seed", 0)
    assert forced.board.to_csv() == (tmp_path / "out" / "leaderboard.csv").read_text()


def test_the_same_command_goes_on_where_weights_or_images_have_changed(tree, toy, tmp_path):
    first = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out")
    source = (tmp_path / "toy.py").read_text()
    (tmp_path / "toy.py").write_text(source.replace("return 40", "return -40"))
    turned = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out")
    assert turned.counts.scored == first.counts.scored
    assert turned.board.to_csv() != first.board.to_csv()
    assert (tmp_path / "out" / "leaderboard.csv").read_text() == turned.board.to_csv()
    (tmp_path / "toy.py").write_text(source)
    Image.new("RGB", (48, 40), (250, 0, 0)).save(tree / "alpha" / "real" / "05.png")
    changed = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out")
    assert changed.counts.scored
    assert changed.board.to_csv() != first.board.to_csv()


def test_other_data_and_another_file_of_weights_are_another_request(tree, toy, tmp_path):
    bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out")
    other = tmp_path / "other"
    shutil.copytree(tree, other)
    Image.new("RGB", (48, 40), (250, 0, 0)).save(other / "alpha" / "real" / "05.png")
    with pytest.raises(BenchError, match=r"data .* there, .* asked for"):
        bench.run(toy(), suite=SUITE, data=other, out=tmp_path / "out")
    elsewhere = tmp_path / "elsewhere.py"
    elsewhere.write_text((tmp_path / "toy.py").read_text().replace("return 40", "return 41"))
    with pytest.raises(BenchError, match=r"holds another request .*elsewhere"):
        bench.run(f"{elsewhere}:Toy", suite=SUITE, data=tree, out=tmp_path / "out")


def test_the_same_request_goes_on_whatever_moves_no_number(tree, toy, tmp_path):
    bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out")
    (tmp_path / "elsewhere").mkdir()
    tree.rename(tmp_path / "elsewhere" / "images")
    again = bench.run(
        toy(), suite=SUITE, data=tmp_path / "elsewhere" / "images", out=tmp_path / "out", threads=1
    )
    assert again.counts.scored == 0


def test_without_out_every_request_finds_its_own_folder(cli, tree, tmp_path):
    runs = tmp_path / "runs"
    common = ("--data", tree, "--suite", "cross-generator", "--json")
    first = cli("run", "-q", "-d", "genimage-cnn", *common)
    code, out, err = cli("run", "-q", "-d", "genimage-cnn.vae", *common)
    assert code == 0
    (beside,) = [path.name for path in runs.iterdir() if path.name != "cross-generator"]
    assert beside.startswith("cross-generator-")
    assert f"this one goes to runs/{beside}" in err
    assert {cell["detector"] for cell in json.loads(out)["cells"]} == {"genimage-cnn.vae"}
    code, out, err = cli("run", "-d", "genimage-cnn", *common)
    assert out == first[1]
    assert "0 scored" in err
    code, out, err = cli("run", "-d", "genimage-cnn.vae", *common)
    assert "0 scored" in err
    assert f"runs/{beside}" in err
    code, out, err = cli("run", "-d", "genimage-cnn.vae", "--dry-run", "--rate", "100", *common)
    assert json.loads(out)["stored"] == json.loads(out)["units"]
    assert len(list(runs.iterdir())) == 2


def test_no_file_of_another_board_stays_beside_a_new_one(tree, toy, tmp_path):
    curves = SUITE.model_copy(
        update={"conditions": ["clean", "jpeg(quality=50)", "jpeg(quality=90)"]}
    )
    bench.run(toy(), suite=curves, data=tree, out=tmp_path / "out")
    assert (tmp_path / "out" / "severity.csv").is_file()
    (tmp_path / "out" / "mine.txt").write_text("not ours")
    bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out", force=True)
    assert not (tmp_path / "out" / "severity.csv").exists()
    assert (tmp_path / "out" / "mine.txt").is_file()
    (tmp_path / "out" / "transfer.csv").write_text("of another board")
    bench.leaderboard(tmp_path / "out").write(tmp_path / "out")
    assert not (tmp_path / "out" / "transfer.csv").exists()


def test_a_damaged_record_does_not_lose_the_folder_its_owner(tree, toy, tmp_path):
    bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out")
    (tmp_path / "out" / "run.json").write_text("{")
    with pytest.raises(BenchError, match="holds another request"):
        bench.run(toy("Rounds"), suite=SUITE, data=tree, out=tmp_path / "out")
    assert bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out").counts.scored == 0
    (tmp_path / "out" / "run.json").write_text("{")
    (tmp_path / "out" / LOCK_NAME).write_text("?")
    with pytest.raises(BenchError, match="--force"):  # nobody can say whose it was
        bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out")


def _hold(folder, ready, request):
    with locked(folder) as lock:
        lock.sign(Holder.here(request, "Toy over suite mini"))
        ready.set()
        time.sleep(60)


@contextlib.contextmanager
def held_elsewhere(folder, request=""):
    """Another process that holds a folder's lock."""
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(folder, ready, request))
    process.start()
    try:
        assert ready.wait(30)
        yield process
    finally:
        process.kill()
        process.join()


def test_a_lock_says_who_holds_it_and_dies_with_its_holder(tmp_path):
    with held_elsewhere(tmp_path, "abc") as process:
        says = f"process {process.pid} on .*Toy"
        with pytest.raises(FolderBusyError, match=says) as error, locked(tmp_path):
            pass
        assert error.value.holder.request == "abc"
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        with locked(tmp_path) as lock:
            assert lock.works
            with pytest.raises(FolderBusyError), locked(tmp_path):
                pass  # a second run of the same process
    with locked(tmp_path):
        assert FolderLock.of(tmp_path).last.request == "abc"


def test_a_second_run_into_a_folder_under_way_says_who_and_exits_2(cli, tree, toy, tmp_path):
    common = ("-d", toy(), "--data", tree, "--suite", "smoke", "-q")
    with held_elsewhere(tmp_path / "out") as process:
        code, out, err = cli("run", *common, "--out", tmp_path / "out")
        assert (code, out) == (2, "")
        assert f"process {process.pid}" in err
        code, out, err = cli("run", *common, "--out", tmp_path / "out", "--force")
        assert code == 2
    assert cli("run", *common, "--out", tmp_path / "out")[0] == 0


def test_without_out_a_folder_under_way_for_another_request_is_left_alone(cli, tree, toy, tmp_path):
    common = ("-d", toy(), "--data", tree, "--suite", "smoke", "-q")
    with held_elsewhere(tmp_path / "runs" / "smoke", "of another"):
        code, _, err = cli("run", *common)
    assert code == 0
    assert "this one goes to runs/smoke-" in err
    assert not (tmp_path / "runs" / "smoke" / "run.json").exists()


def test_where_there_are_no_locks_a_run_goes_on_and_says_so(cli, tree, toy, monkeypatch):
    import fcntl

    def no_locks(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    code, _, err = cli("run", "-d", toy(), "--data", tree, "--suite", "smoke", "-q")
    assert code == 0
    assert "cannot be locked" in err


def test_two_runs_into_one_folder_never_print_each_others_board(tree, toy, tmp_path):
    """The second begins while the first is scoring; each prints its own board or none."""
    commands = [
        [sys.executable, "-m", "bench", "run", "-q", "-d", toy(name), "--data", str(tree),
         "--suite", "corruptions", "--json", "--out", "both"]
        for name in ("Toy", "Rounds")
    ]  # fmt: skip
    processes = [
        subprocess.Popen(c, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for c in commands
    ]
    outs = [process.communicate()[0] for process in processes]
    codes = [process.returncode for process in processes]
    assert sorted(codes) == [0, 2]
    for name, out, code in zip(("Toy", "Rounds"), outs, codes, strict=True):
        if code:
            assert out == ""
        else:
            assert {cell["detector"] for cell in json.loads(out)["cells"]} == {name}
            rows = csv.DictReader((tmp_path / "both" / "leaderboard.csv").open())
            assert {row["detector"] for row in rows} == {name}


@pytest.mark.parametrize("named", [True, False])
def test_a_run_is_repeated_from_its_own_config(cli, tree, toy, tmp_path, monkeypatch, named):
    suite = "smoke"
    if not named:
        (tmp_path / "own.toml").write_text(
            'name = "own \\u00e9"\nslices = ["pooled"]\nconditions = ["clean", "jpeg(quality=50)"]\n'
        )
        suite = "own.toml"
    out = ("--out", "there") if named else ()
    command = ("run", "-d", "toy.py:Toy", "--data", "images", "--suite", suite, "--seed", "3",
               "--threshold", "oracle", *out, "--limit", "40")  # fmt: skip
    toy()
    code, printed, _ = cli(*command)
    assert code == 0
    (folder,) = [tmp_path / "there"] if named else list((tmp_path / "runs").iterdir())
    assert shlex.split((folder / "command.txt").read_text()) == ["bench", *command]
    request = RunDir(folder).spec().request
    (tmp_path / "own.toml").unlink(missing_ok=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, again, err = cli("run", "--config", folder / "config.toml")
    assert (code, again) == (0, printed)
    assert RunDir(folder).spec().request == request
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert "0 images decoded, 0 scored" in err


def test_a_run_from_python_can_be_repeated_on_the_command_line(cli, tree, toy, tmp_path):
    from bench.inference.detector import DetectorRequest

    first = bench.run(
        [DetectorRequest(toy()), "genimage-cnn"], suite=SUITE, data=tree, out=tmp_path / "out", exact=True
    )  # fmt: skip
    assert not (tmp_path / "out" / "command.txt").exists()
    code, out, err = cli("run", "--config", tmp_path / "out" / "config.toml")
    assert code == 0
    assert out == first.board.to_markdown()
    assert "0 images decoded, 0 scored" in err


def test_the_configuration_of_a_run_that_was_moved_repeats_it_where_it_is(cli, tree, tmp_path):
    code, _, _ = cli(
        "run",
        "-q",
        "-d",
        "genimage-cnn",
        "--suite",
        "smoke",
        "--data",
        tree,
        "--out",
        tmp_path / "a",
    )
    shutil.move(tmp_path / "a", tmp_path / "b")
    shard = next((tmp_path / "b" / "store").rglob("*.parquet"))
    shard.write_bytes(b"")
    assert cli("board", tmp_path / "b")[0] == 2
    code, _, err = cli("run", "--config", tmp_path / "b" / "config.toml")
    assert code == 0, err
    assert not (tmp_path / "a").exists()
    assert cli("board", tmp_path / "b")[0] == 0


@pytest.mark.parametrize("content", ["{}", "[]", "{", ""])
def test_a_destroyed_run_json_is_damage_not_another_version(tree, toy, tmp_path, content):
    bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out")
    (tmp_path / "out" / "run.json").write_text(content)
    with pytest.raises(BenchError, match="damaged"):
        bench.leaderboard(tmp_path / "out")
