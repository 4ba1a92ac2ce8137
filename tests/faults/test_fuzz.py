"""The fuzz targets: sound files are taken, and a fuzzer that is installed finds nothing quickly."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tests.faults import fuzz
from tests.faults.kinds.mutations import TARGETS


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_sound_files_are_taken_and_noise_is_refused(target, tmp_path):
    taken = [fuzz.feed(target, seed, tmp_path) for seed in fuzz.seeds(target, tmp_path)]
    # A whole run's record needs its other files too.
    assert all(taken) or target == "run folder"
    assert not fuzz.feed(target, b"\0noise\xff", tmp_path)


def test_a_reader_that_lets_something_out_is_seen(tmp_path, monkeypatch):
    monkeypatch.setitem(fuzz.TARGETS, "decoder", ("png", lambda path: {}["x"]))
    with pytest.raises(KeyError):
        fuzz.feed("decoder", b"", tmp_path)
    assert set(TARGETS) == set(fuzz.TARGETS)


def test_mutations_are_the_same_every_time():
    made = [list(fuzz.mutations([b"abcdef" * 9], 3, 20)) for _ in range(2)]
    assert made[0] == made[1]
    assert len(set(made[0])) > 10


@pytest.mark.faults
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris")
def test_a_fuzzer_finds_nothing_in_ten_seconds(target, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.fuzz", target, "-max_total_time=10", "-rss_limit_mb=8000"],
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
