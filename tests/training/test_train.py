"""`bench train` as a user meets it: what it writes, what `bench run` makes of it, what it refuses."""

from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from bench.cli.main import app
from bench.errors import BenchError
from bench.inference.detector import DetectorRequest, resolve
from bench.training.callbacks import Keeper
from bench.training.export import halved
from bench.training.module import Epoch, Training
from bench.training.settings import Settings
from detectors.card import InputSpec
from detectors.weights import file_sha256

WORDS = (
    "--epochs",
    "2",
    "--batch",
    "8",
    "--lr",
    "0.003",
    "--threads",
    "1",
    "--quiet",
    "--device",
    "cpu",
)


def train(data, out, *more, detector="genimage-cnn"):
    words = ["train", "--detector", detector, "--data", str(data), "--out", str(out), *WORDS, *more]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def trained(cifake, tmp_path):
    out = tmp_path / "out"
    train(cifake, out, "--from-scratch", "--augment", "jpeg(30..100)@0.5", "--seed", "7")
    return out


def test_the_card_says_what_was_learned_from_and_how(trained):
    card = json.loads((trained / "genimage-cnn.cifake.json").read_text())
    assert card["weights"]["sha256"] == file_sha256(trained / "genimage-cnn.cifake.safetensors")
    data, facts = card["training_data"], card["training"]
    assert data["generators"] == ["stable_diffusion_v_1_4"]
    assert (data["n_real"], data["n_fake"]) == (22, 22)
    assert data["digest"]
    assert facts["images_by_generator"] == ["real cifar10: 22", "fake stable_diffusion_v_1_4: 22"]
    assert (facts["seed"], facts["started_from"], facts["augment"]) == (
        7,
        "random weights",
        ["jpeg(quality=30..100)@0.5"],
    )
    assert len(facts["curve_val_auc"]) == 2
    assert any(line.startswith("torch ") for line in facts["versions"])


def test_the_log_has_a_line_an_epoch(trained):
    rows = list(csv.DictReader((trained / "log.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["train_loss"]) < float(rows[0]["train_loss"])
    assert all(float(row["ms_step"]) > 0 for row in rows)


def test_bench_run_takes_the_weights_file_as_a_detector(trained, cifake, tmp_path):
    weights = trained / "genimage-cnn.cifake.safetensors"
    detector = resolve(DetectorRequest(str(weights)))
    assert detector.card.name == "genimage-cnn.cifake"
    words = ["run", "--detector", str(weights), "--data", str(cifake), "--out", str(tmp_path / "r")]
    done = CliRunner().invoke(app, [*words, "--quiet", "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "genimage-cnn.cifake" in done.stdout


def test_a_weights_file_without_its_card_says_so(trained):
    weights = trained / "genimage-cnn.cifake.safetensors"
    weights.with_suffix(".json").unlink()
    with pytest.raises(BenchError, match="has no card beside it"):
        resolve(DetectorRequest(str(weights)))


def test_the_same_command_after_the_end_changes_nothing(trained, cifake):
    before = file_sha256(trained / "genimage-cnn.cifake.safetensors")
    log = (trained / "log.csv").read_bytes()
    train(cifake, trained, "--from-scratch", "--augment", "jpeg(30..100)@0.5", "--seed", "7")
    assert file_sha256(trained / "genimage-cnn.cifake.safetensors") == before
    assert (trained / "log.csv").read_bytes() == log


def test_half_precision_keeps_the_verdicts(cifake, tmp_path):
    train(cifake, tmp_path / "half", "--from-scratch", "--half")
    state = load_file(tmp_path / "half/genimage-cnn.cifake.safetensors")
    assert {str(v.dtype) for k, v in state.items() if k.endswith("weight")} == {"torch.float16"}
    assert {str(v.dtype) for k, v in state.items() if k.endswith("bias")} == {"torch.float32"}
    assert resolve(DetectorRequest(str(tmp_path / "half/genimage-cnn.cifake.safetensors")))


def test_statistics_of_batches_are_never_halved():
    state = torch.nn.BatchNorm2d(3).state_dict() | {"conv.weight": torch.ones(2, 2, 3, 3)}
    kinds = {k: v.dtype for k, v in halved(state).items()}
    assert kinds["conv.weight"] == torch.float16
    assert kinds["running_var"] == torch.float32
    assert kinds["num_batches_tracked"] == torch.int64


def test_a_training_learns_what_is_plain_to_see(cifake, tmp_path):
    train(cifake, tmp_path / "o", "--from-scratch", "--epochs", "12", "--schedule", "cosine")
    record = json.loads((tmp_path / "o/training.json").read_text())
    best = record["history"][record["best_epoch"] - 1]
    assert best["val_auc"] == 1.0
    assert record["history"][-1]["lr"] < 1e-4  # the cosine has come down


def test_imagenet_weights_out_of_reach_are_one_sentence_with_both_ways_out(
    cifake, tmp_path, monkeypatch
):
    monkeypatch.setattr("detectors.pretrained._reachable", lambda _: False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for detector in ("mobilenetv2_100", "googlenet"):
        with pytest.raises(
            BenchError, match=r"cannot be reached .* --init FILE, or .* --from-scratch"
        ):
            train(cifake, tmp_path / detector, detector=detector)


def test_weights_given_as_a_file_start_the_training(trained, cifake, tmp_path):
    donor = trained / "genimage-cnn.cifake.safetensors"
    train(cifake, tmp_path / "more", "--init", str(donor))
    card = json.loads((tmp_path / "more/genimage-cnn.cifake.json").read_text())
    assert card["training"]["started_from"].startswith("genimage-cnn.cifake.safetensors (")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--detector", "resnet51"), "did you mean 'resnet50"),
        ((), "pass --detector NAME or --recipe NAME"),
        (("--recipe", "S9"), "no recipe called 'S9'"),
        (("--recipe", "S3b", "--detector", "vgg"), "recipe S3b trains no 'vgg'"),
        (("--recipe", "S3b", "--budget", "tiny"), "has no budget 'tiny'"),
        (("--detector", "genimage-cnn", "--budget", "small"), "belongs to a recipe"),
        (
            ("--detector", "genimage-cnn", "--from-scratch", "--lr", "-1"),
            "lr: must be greater than 0, got -1.0",
        ),
        (("--detector", "cifake-cnn", "--from-scratch", "--size", "32"), "36 px at least, got 32"),
        (
            ("--detector", "genimage-cnn", "--from-scratch", "--augment", "jpg(30..100)"),
            "did you mean 'jpeg'",
        ),
        (
            ("--detector", "genimage-cnn", "--from-scratch", "--generators", "dalle"),
            "no generator 'dalle'",
        ),
        (
            ("--detector", "genimage-cnn", "--from-scratch", "--init", "x.pth"),
            "contradict each other",
        ),
    ],
)
def test_mistakes_are_one_sentence(cifake, tmp_path, words, says):
    with pytest.raises(BenchError, match=says):
        CliRunner().invoke(
            app, ["train", "--data", str(cifake), "--quiet", *words], catch_exceptions=False
        )


def epoch(number, auc, loss=0.5):
    return Epoch(number, 0.5, 0.5, loss, 0.5, auc, 0.1, 1.0, 1.0)


def test_early_stopping_counts_epochs_without_a_better_auc(tmp_path):
    keeper = Keeper(tmp_path, 2, None)
    keeper.load_state_dict(
        {"history": [epoch(i + 1, a).row() for i, a in enumerate([0.6, 0.7, 0.7])], "best": 2}
    )
    assert not keeper.worn_out
    keeper.history.append(epoch(4, 0.69))
    assert keeper.worn_out


def test_label_smoothing_is_torch_s_cross_entropy_over_two_classes():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 4 * 4, 2))
    spec = InputSpec(size=4, fit="resize", mean=(0, 0, 0), std=(1, 1, 1))
    images = torch.randint(0, 256, (6, 3, 4, 4), dtype=torch.uint8)
    labels = torch.tensor([0.0, 1, 1, 0, 1, 0])
    for smoothing in (0.0, 0.2):
        settings = Settings(detector="x", label_smoothing=smoothing, outputs=2)
        ours = Training(network, settings, spec, 1).training_step((images, labels), 0)
        plain = torch.nn.functional.cross_entropy(
            network(images / 255), labels.long(), label_smoothing=smoothing
        )
        torch.testing.assert_close(ours, plain)


def test_the_logged_auc_is_scikit_learn_s_of_the_kept_weights(trained, cifake):
    record = json.loads((trained / "training.json").read_text())
    best = record["history"][record["best_epoch"] - 1]
    from bench.datasets import index, load
    from bench.training.images.splits import split_rows

    manifest = index(cifake)
    split = split_rows(manifest, Settings.model_validate(record["settings"]))
    detector = resolve(DetectorRequest(str(trained / "genimage-cnn.cifake.safetensors"))).to(
        torch.device("cpu")
    )
    images = [detector.fit(load(manifest.root, r)) for r in manifest.records(split.val.tolist())]
    logits = detector.logits(torch.from_numpy(np.stack(images)).float() / 255).numpy()
    labels = manifest.table["label"].to_numpy()[split.val]
    assert best["val_auc"] == pytest.approx(roc_auc_score(labels, logits), abs=1e-6)


def test_two_processes_train_one_network_and_one_writes(cifake, tmp_path, bench):
    words = [
        "train",
        "--detector",
        "genimage-cnn",
        "--from-scratch",
        "--epochs",
        "1",
        "--batch",
        "8",
    ]
    running = bench(
        *words, "--data", cifake, "--out", tmp_path / "o", "--device", "cpu", "--devices", "2"
    )
    said = running.communicate(timeout=200)[0]
    assert running.returncode == 0, said
    assert said.count("written: ") == 1
    record = json.loads((tmp_path / "o/training.json").read_text())
    assert record["data"]["train"] == 44
    assert record["history"][0]["val_auc"] == record["history"][0]["val_auc"]  # a number, not nan


def test_the_python_face_trains_and_runs(cifake, tmp_path):
    import bench

    weights = bench.train(
        "genimage-cnn", cifake, epochs=1, batch=8, init="scratch", out=tmp_path / "t", device="cpu"
    )
    run = bench.run(str(weights), data=cifake, out=tmp_path / "r", device="cpu")
    assert list(run.board.rows["detector"]) == ["genimage-cnn.cifake"]
    with pytest.raises(BenchError, match="epoch"):
        bench.train("genimage-cnn", cifake, epoch=1)


def test_without_the_extra_the_error_names_it(cifake, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    with pytest.raises(BenchError, match=r"pip install 'detector-bench\[train\]'"):
        CliRunner().invoke(
            app,
            ["train", "-d", "genimage-cnn", "--from-scratch", "--data", str(cifake)],
            catch_exceptions=False,
        )


@pytest.mark.parametrize("augment", [(), ("--augment", "jpeg(30..100)@0.5")])
def test_a_detector_is_trained_on_rectangles_and_scores_them(cifake, tmp_path, augment):
    out = tmp_path / "out"
    words = ("--from-scratch", "--size", "32x48", "--epochs", "1", *augment)
    words = [word for word in WORDS if word not in ("--epochs", "2")] + list(words)
    command = [
        "train",
        "--detector",
        "dalle2-art-cnn",
        "--data",
        str(cifake),
        "--out",
        str(out),
        *words,
    ]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    card = json.loads((out / "dalle2-art-cnn.cifake.json").read_text())
    assert card["input"]["size"] == [32, 48]
    detector = resolve(DetectorRequest(str(out / "dalle2-art-cnn.cifake.safetensors")))
    canvas = detector.fit(np.zeros((64, 64, 3), np.uint8))
    assert canvas.shape == (3, 32, 48)
    assert detector.to(torch.device("cpu")).checked_logits(torch.zeros(2, 3, 32, 48)).shape == (2,)
    refused = CliRunner().invoke(app, [*command, "--size", "32x"], catch_exceptions=True)
    assert refused.exit_code != 0
