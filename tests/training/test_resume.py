"""A training killed at any moment goes on with the same command, and ends with the same weights."""

from __future__ import annotations

import hashlib
import json
import signal
import time

import pytest

OPTIONS = (
    *("train", "--detector", "genimage-cnn", "--from-scratch", "--epochs", "5", "--batch", "8"),
    *(
        "--schedule",
        "cosine",
        "--lr",
        "0.002",
        "--augment",
        "jpeg(30..100)@0.5",
        "--augment",
        "flip@0.5",
    ),
    *("--device", "cpu", "--threads", "1", "--seed", "3"),
)


def digest(folder):
    return hashlib.sha256((folder / "genimage-cnn.cifake.safetensors").read_bytes()).hexdigest()


def test_a_killed_training_ends_with_the_weights_of_one_that_ran_through(cifake, tmp_path, bench):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    through = bench(*OPTIONS, "--data", cifake, "--out", whole)
    killed = bench(*OPTIONS, "--data", cifake, "--out", cut)
    deadline = time.monotonic() + 120
    while not (cut / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not (cut / "training.json").exists(), "it had finished before the kill"
    said = killed.communicate()[0]
    assert through.wait(120) == 0, through.communicate()[0]

    again = bench(*OPTIONS, "--data", cifake, "--out", cut)
    said = again.communicate(timeout=120)[0]
    assert again.returncode == 0, said
    assert "epoch 1/5" not in said
    assert "epoch 5/5" in said
    assert digest(cut) == digest(whole)
    one, other = (json.loads((folder / "training.json").read_text()) for folder in (whole, cut))
    kept = ("epoch", "train_loss", "val_loss", "val_auc", "lr")
    assert [[e[k] for k in kept] for e in one["history"]] == [
        [e[k] for k in kept] for e in other["history"]
    ]


def test_ctrl_c_says_how_to_go_on(cifake, tmp_path, bench):
    running = bench(*OPTIONS, "--data", cifake, "--out", tmp_path / "o", "--epochs", "1000")
    deadline = time.monotonic() + 120
    while not (tmp_path / "o/last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=60)[0]
    assert running.returncode == 130, said
    assert "run the same command to go on" in said


def own_handler(number, frame):
    """Somebody's handler of Ctrl-C, as the command line has one."""
    del number, frame
    raise KeyboardInterrupt


@pytest.mark.parametrize("handler", [signal.default_int_handler, own_handler])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_ctrl_c_that_python_drops_ends_the_training_at_the_next_step(ctrl_c, handler):
    from bench.training.callbacks import Interruptible

    class Dying:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    ctrl_c(handler)
    with Interruptible() as callback:
        callback.on_train_batch_start(None, None)
        objects = [Dying()]
        objects.clear()  # what its end raises is dropped
        with pytest.raises(KeyboardInterrupt):
            callback.on_train_batch_start(None, None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as Lightning leaves it after an interruption
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_process_that_ignores_ctrl_c_goes_on_ignoring_it(ctrl_c):
    from bench.training.callbacks import Interruptible

    ctrl_c(signal.SIG_IGN)
    with Interruptible() as callback:
        signal.raise_signal(signal.SIGINT)
        callback.on_train_batch_start(None, None)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.parametrize("change", [("--lr", "0.1"), ("--seed", "4")])
def test_a_folder_begun_with_other_settings_is_not_gone_on_with(cifake, tmp_path, change):
    from typer.testing import CliRunner

    from bench.cli.main import app
    from bench.errors import BenchError

    words = [
        "train",
        "-d",
        "genimage-cnn",
        "--from-scratch",
        "--epochs",
        "1",
        "--data",
        str(cifake),
    ]
    words += ["--out", str(tmp_path / "t"), "--quiet"]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    with pytest.raises(BenchError, match="choose another --out"):
        CliRunner().invoke(app, [*words, *change], catch_exceptions=False)
