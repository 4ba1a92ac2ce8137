"""Indexing goes on after a kill, and opens only the images of the splits asked for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.datasets.indexing import facts
from bench.datasets.sources import scan, tree
from bench.errors import NothingSelectedError

FILES = [
    f"{s}/{c}/{i:02d}.png" for s in ("train", "test") for c in ("real", "fake") for i in range(20)
]


KILLED = """
import sys, time
from pathlib import Path
from bench.datasets import index
from bench.datasets.indexing import facts
from bench.datasets.indexing.reader import Reader
facts.PART = 8
read = Reader.read
def slow(self, locator):
    time.sleep(0.01)
    return read(self, locator)
Reader.read = slow
index(Path(sys.argv[1]), cache_dir=Path(sys.argv[2]), workers=1)
"""


@pytest.fixture
def killed(lay, tmp_path):
    """A tree whose indexing was killed after at least three parts, and how many images these hold."""
    root, cache = lay(FILES), tmp_path / "cache"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(root), str(cache)])
    deadline = time.monotonic() + 60
    while len(list(cache.rglob("[!.]*.parquet"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    parts = list(cache.rglob("*.parts/[!.]*.parquet"))
    assert 3 <= len(parts) < 10
    return root, 8 * len(parts)


def test_after_a_kill_only_the_rest_is_read(killed, read, reads, tmp_path):
    root, kept = killed
    resumed = read(root)
    assert len(reads) == len(FILES) - kept
    assert not list((tmp_path / "cache").rglob("*.parts"))
    assert resumed.digest == read(root, cache_dir=tmp_path / "other").digest


def test_what_changed_since_the_kill_is_read_again(killed, read, reads, encode, tmp_path):
    root, _ = killed
    for seed, name in enumerate(FILES):
        (root / name).write_bytes(encode(seed=seed, size=(9, 7)))
    resumed = read(root)
    assert sorted(reads) == sorted(FILES)
    assert resumed.digest == read(root, cache_dir=tmp_path / "other").digest


def test_a_damaged_part_is_as_good_as_none(killed, read, reads, tmp_path):
    root, kept = killed
    part = sorted((tmp_path / "cache").rglob("*.parts/[!.]*.parquet"))[0]
    part.write_bytes(part.read_bytes()[:50])
    assert len(read(root)) == len(FILES)
    assert len(reads) == len(FILES) - kept + 8


def test_refresh_forgets_the_parts(killed, read, reads):
    root, _ = killed
    read(root, refresh=True)
    assert len(reads) == len(FILES)


def test_bad_images_are_remembered_with_their_reason(lay, read, monkeypatch, tmp_path, encode):
    files = {name: encode(seed=i) for i, name in enumerate(FILES)}
    files[FILES[3]] = b""
    root = lay(files)
    monkeypatch.setattr(facts, "PART", 8)

    def stop(done: int, total: int) -> None:
        if done > 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read(root, progress=stop, workers=1)
    assert list((tmp_path / "cache").rglob("*.parts/[!.]*.parquet"))
    bad = read(root).bad.to_pylist()
    assert bad == [{"path": FILES[3], "reason": "an empty file (0 bytes)"}]


def test_only_the_split_asked_for_is_opened(lay, read, reads):
    root = lay(FILES)
    assert len(read(root, split="test")) == 40
    assert sorted(reads) == sorted(f for f in FILES if f.startswith("test"))
    reads.clear()
    assert len(read(root, split=["test", "val"])) == 40
    assert sorted(reads) == sorted(f for f in FILES if f.startswith("test"))
    with pytest.raises(NothingSelectedError, match="choose --split from 'test', 'train'"):
        read(root, split="val")


def test_a_data_set_without_splits_is_taken_whole(lay, read):
    root = lay(["real/0.png", "fake/0.png"])
    assert len(read(root, split="test")) == len(read(root).select("test")) == 2


def test_a_run_opens_no_image_of_another_split(lay, reads, tmp_path):
    from bench.inference.detector import DetectorRequest
    from bench.protocol.suite import Suite
    from bench.runs.prepare import prepare
    from bench.runs.request import RunRequest
    from bench.support.progress import Silent

    root = lay(FILES)
    suite = Suite(name="t", slices=["generator"], conditions=["clean"], split="test")
    request = RunRequest(
        detectors=(DetectorRequest("genimage-cnn"),),
        suite=suite,
        data=str(root),
        out=tmp_path / "o",
    )
    assert len(prepare(request, Silent()).rows) == 40
    assert sorted(reads) == sorted(f for f in FILES if f.startswith("test"))


@given(st.text(alphabet="ab./ ", min_size=1).filter(lambda s: s.strip("/.") and "//" not in s))
def test_the_suffix_is_pathlibs(path):
    name = path.rpartition("/")[2]
    if name and not name.startswith("."):
        assert tree.suffix(path) == PurePosixPath(path).suffix.lower()


def test_a_scan_lists_what_the_system_does(lay):
    root = lay([*FILES, "top.png", "train/notes.txt", "train/real/deeper/x.webp"])
    tree = scan.scan(root)
    found = {f.path: (f.size, f.mtime_ns) for f in tree.files}
    there = {
        str(p.relative_to(root)): (p.stat().st_size, p.stat().st_mtime_ns)
        for p in Path(root).rglob("*")
        if p.is_file()
    }
    assert found == there
    assert len(tree) == len(there)
    folder = tree.folders["train", "real"]
    assert [f.path for f in folder] == [f"train/real/{i:02d}.png" for i in range(20)]
    assert folder[-1] == list(folder)[-1]
    assert folder[2:4] == list(folder)[2:4]
    assert tree.image_folders["train", "real"] == 20
    assert () in tree.folders
