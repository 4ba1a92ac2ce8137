"""Files of anybody's: pipes, devices, huge, deep and damaged ones each end in one sentence, at once."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bench
from bench.datasets.decode import decode
from bench.datasets.policy import BadImageError
from bench.protocol.suite import Suite
from bench.store.rundir import RunDir
from bench.support.files import sweep, write_text
from bench.support.user_file import border, read_bytes
from detectors.card import read_card
from detectors.errors import DetectorError
from leaderboards.board import BOARD_FILES

SUITE = Suite(name="borders", slices=["generator"], conditions=["clean"], split="")
DEEP = "[" * 100_000


@pytest.fixture
def special(tmp_path):
    """Make a thing of some kind under a name; gives its path."""

    def make(kind, name):
        path = tmp_path / name
        match kind:
            case "pipe":
                os.mkfifo(path)
            case "link to a pipe":
                os.mkfifo(tmp_path / "pipe")
                path.symlink_to(tmp_path / "pipe")
            case "device":
                path.symlink_to("/dev/zero")
            case "folder":
                path.mkdir()
            case "60 GB":
                with path.open("wb") as stream:
                    stream.truncate(60 << 30)
            case "deep":
                path.write_text(("a = " if name.endswith("toml") else "") + DEEP)
            case "no text":
                path.write_bytes(b"\xff\xfe\x00" * 9)
            case "NUL":
                path.write_bytes(bytes(4096))
        return path

    return make


KINDS = ("pipe", "link to a pipe", "device", "folder", "60 GB", "deep", "no text", "NUL")
READERS = {
    "suite": ("x.toml", lambda p: ["run", "-d", "genimage-cnn", "--suite", p]),
    "config": ("x.toml", lambda p: ["run", "--config", p]),
    "rules": ("x.toml", lambda p: ["gate", "run", "-b", "run", "--rules", p]),
    "cluster": ("x.toml", lambda p: ["run", "-d", "genimage-cnn", "--cluster", p]),
    "csv": ("x.csv", lambda p: ["data", "index", p]),
    "jsonl": ("x.jsonl", lambda p: ["data", "index", p]),
    "parquet": ("x.parquet", lambda p: ["data", "index", p]),
    "baseline": ("x.json", lambda p: ["gate", "run", "-b", p]),
    "weights": ("x.safetensors", lambda p: ["predict", "x.png", "-d", p]),
    "checkpoint": ("x.pth", lambda p: ["predict", "x.png", "-d", "genimage-cnn", "-w", p]),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.timeout(30)
def test_a_file_that_is_none_is_one_sentence_at_once(cli, special, tmp_path, reader, kind):
    name, arguments = READERS[reader]
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    code, out, err = cli(*arguments(special(kind, name)))
    assert code in (2, 5, 11), err
    assert not out
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert name in lines[0] or "no run" in lines[0] or "not a run" in lines[0]
    assert "internal" not in err


def test_predict_lists_what_is_no_file_and_scores_the_rest(cli, special, tmp_path):
    Image.new("RGB", (64, 64), (9, 99, 200)).save(tmp_path / "good.png")
    special("pipe", "a.png")
    special("device", "zero.png")
    special("60 GB", "huge.png")
    code, out, _ = cli("predict", tmp_path, "-d", "genimage-cnn", "--json")
    assert code == 12
    reasons = {Path(row["path"]).name: row["reason"] for row in json.loads(out)}
    assert reasons["good.png"] == ""
    assert "named pipe" in reasons["a.png"]
    assert "character device" in reasons["zero.png"]
    assert reasons["huge.png"]


def test_a_card_is_a_small_regular_file_of_finite_numbers(special, tmp_path):
    for kind in ("pipe", "60 GB", "deep", "folder"):
        with pytest.raises(DetectorError, match="card"):
            read_card(special(kind, f"{kind.replace(' ', '')}.json"))
    path = tmp_path / "nan.json"
    path.write_text('{"name": "a", "arch": "a", "training": {"auc": NaN}}')
    with pytest.raises(DetectorError, match=r"training.*finite"):
        read_card(path)


def test_what_a_reader_may_raise_names_the_file():
    for error in (
        RecursionError(),
        MemoryError(),
        KeyError("x"),
        ZeroDivisionError(),
        SyntaxError(),
    ):
        with (
            pytest.raises(bench.BenchError, match="a is damaged"),
            border("a is damaged", "fetch"),
        ):
            raise error


def test_a_bound_holds_for_a_file_that_grows(tmp_path):
    (tmp_path / "a").write_bytes(b"1234")
    assert read_bytes(tmp_path / "a", 4) == b"1234"
    with pytest.raises(OSError, match="more than"):
        read_bytes(tmp_path / "a", 3)


EDITS = {
    "run.json": [b"", b"[]", b"{}", DEEP.encode(), b"\xff", b'{"schema_version": 1}'],
    "manifest.parquet": [b"", b"PAR1" * 9, bytes(999)],
    "units.parquet": [b"", b"PAR1" * 9, bytes(999)],
    "failures.json": [b"{", DEEP.encode(), b'[{"detector": 1}]', b'"x"', b"[1e999]"],
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_run_folder_is_one_sentence(cli, tree, toy, tmp_path, name):
    run = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "run")
    for content in EDITS[name]:
        (run.folder / name).write_bytes(content)
        for arguments in (("board", run.folder), ("export", run.folder, "-f", "md")):
            code, _, err = cli(*arguments)
            assert code in (2, 12), err
            assert "internal" not in err
    (run.folder / name).unlink()
    os.mkfifo(run.folder / name)
    code, _, err = cli("board", run.folder)
    assert code == 2, err


def full(*arguments):
    with Path("/dev/full").open("w") as device:
        return subprocess.run(
            [sys.executable, "-m", "bench", *arguments],
            stdout=device, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [("ls", "detectors"), ("--help",)])
def test_a_full_disk_behind_stdout_is_one_sentence(arguments):
    done = full(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: cannot write the standard output")
    assert done.stderr.count("\n") == 1


def test_libtiff_says_nothing_past_python(capfd):
    picture = Image.fromarray(
        np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    )
    bad = 0
    for compression in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits"):
        stream = io.BytesIO()
        picture.save(stream, "TIFF", compression=compression)
        data = bytearray(stream.getvalue())
        data[100:140] = bytes(40)
        data[-60:-50] = b"\xff" * 10
        try:
            decode(bytes(data))
        except BadImageError:
            bad += 1
    assert bad
    assert capfd.readouterr().err == ""


def test_unfinished_files_of_the_dead_are_swept_and_those_of_the_living_kept(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    code = (
        "import os, sys, bench.support.files as f\n"
        "f.write_atomic(__import__('pathlib').Path(sys.argv[1]), lambda s: os._exit(9))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "x" / "a.json")], check=False)
    (left,) = (tmp_path / "x").iterdir()
    write_text(tmp_path / "kept.json", "{}")
    living = left.with_name(left.name.replace(left.name.split("-")[1], str(os.getppid()), 1))
    living.write_text("")
    sweep(tmp_path)
    assert not left.exists()
    assert living.exists()
    assert (tmp_path / "kept.json").exists()


def test_a_killed_run_leaves_nothing_for_ever(tree, toy, tmp_path):
    run = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "run")
    code = (
        "import os, sys, pathlib, bench.support.files as f\n"
        "[os.fork() or f.write_atomic(pathlib.Path(p) / 'a', lambda s: os._exit(9)) for p in sys.argv[1:]]"
    )
    places = [run.folder, run.folder / "store", next((run.folder / "store").glob("??"))]
    subprocess.run([sys.executable, "-c", code, *map(str, places)], check=False)
    (run.folder / f".{BOARD_FILES[0]}.abc.tmp").write_text("half")
    left = lambda: [p.name for p in run.folder.rglob("*") if ".tmp" in p.name]  # noqa: E731
    assert len(left()) == 4
    bench.run(toy(), suite=SUITE, data=tree, out=run.folder)
    assert left() == []


def test_a_board_that_could_not_be_written_is_refused_before_an_image(tree, toy, tmp_path):
    (tmp_path / "run" / BOARD_FILES[0]).mkdir(parents=True)
    with pytest.raises(bench.BenchError, match="a folder has that name"):
        bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "run")
    assert not list((tmp_path / "run").rglob("*.parquet"))
    assert RunDir(tmp_path / "run").root.is_dir()
