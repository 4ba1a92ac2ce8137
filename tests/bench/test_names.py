"""Detectors by a name of the user's own: on the board, in options, in the file that repeats a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

import bench
from bench.cli.detector_options import requests
from bench.cli.main import app
from bench.cli.values import parse_figures, parse_rates
from bench.errors import BenchError
from bench.inference.detector import DetectorRequest
from detectors import zoo

NETWORK = "genimage-cnn"
HEAD = ("classifier.4.weight", "classifier.4.bias")


def asked(*detectors, **said):
    options = dict.fromkeys(
        ("weights", "fake_label", "ignore_label", "processor", "input_rule", "output", "backbone"),
        (),
    )
    return requests(detectors, **{**options, "fake_logit": None, **said})


@pytest.fixture
def checkpoints(tmp_path) -> tuple[Path, Path]:
    """Two checkpoints of one architecture, each with its card, whose logits differ in sign."""
    source = zoo.weights()["genimage-cnn.pocket"]
    state = load_file(source)
    files = (tmp_path / "first.pth", tmp_path / "second.pth")
    for file, sign in zip(files, (1, -1), strict=True):
        changed = {k: v * sign if k in HEAD else v for k, v in state.items()}
        torch.save(changed, file)
        card = json.loads(source.with_suffix(".json").read_text())
        file.with_suffix(".json").write_text(json.dumps({**card, "weights": None}))
    return files


@pytest.mark.parametrize(
    ("text", "label", "name", "weights"),
    [
        ("resnet50", "resnet50", "resnet50", None),
        ("a=resnet50", "a", "resnet50", None),
        ("a=resnet50:runs/a.pth", "a", "resnet50", "runs/a.pth"),
        ("resnet50:a.safetensors", "resnet50", "resnet50", "a.safetensors"),
        ("resnet50:a.pth::ema", "resnet50", "resnet50", "a.pth::ema"),
        ("x=timm/resnet18:a.pth", "x", "timm/resnet18", "a.pth"),
        ("own.py:Name", "Name", "own.py:Name", None),
        ("x=own.py:Name", "x", "own.py:Name", None),
        ("x=hf:some/net", "x", "hf:some/net", None),
        ("hf:some=net", "some=net", "hf:some=net", None),
        ("genimage-cnn.pocket", "genimage-cnn.pocket", "genimage-cnn.pocket", None),
    ],
)
def test_a_detector_is_spelled_alias_name_file(text, label, name, weights):
    request = DetectorRequest.spelled(text)
    assert (request.label, request.name) == (label, name)
    assert request.weights == (None if weights is None else Path(weights))


def test_a_file_with_an_equals_sign_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a=b.safetensors").touch()
    assert DetectorRequest.spelled("a=b.safetensors").name == "a=b.safetensors"


def test_commas_name_several_but_not_inside_parentheses():
    assert [d.name for d in asked("resnet50, vit", "x=f(a, b)")] == ["resnet50", "vit", "f(a, b)"]


def test_options_take_the_name_the_board_shows():
    one, two = asked(
        "a=resnet50", "b=resnet50", weights=["b=b.pth", "a=a.pth"], output=["a=probability"]
    )
    assert (one.weights, two.weights) == (Path("a.pth"), Path("b.pth"))
    assert (one.output, two.output) == ("probability", None)
    by_label, _ = asked("own.py:Mine", "resnet50", weights=["Mine=w.pth"])
    assert by_label.weights == Path("w.pth")


@pytest.mark.parametrize(
    ("detectors", "weights", "reason"),
    [
        (("a=resnet50", "b=resnet50"), ["resnet50=w.pth"], "asked for more than once"),
        (("a=resnet50:a.pth", "vit"), ["a=b.pth"], "has weights already"),
        (("a=resnet50", "vit"), ["w.pth"], "no weights file there"),
        (("a=resnet50", "vit"), ["there.pth"], "several detectors"),
        (("a=resnet50", "vit"), ["c=w.pth"], "not among the detectors"),
        (("a=resnet50",), ["a=w.pth", "a=v.pth"], "given twice for 'a'"),
    ],
)
def test_what_is_not_clear_is_refused(detectors, weights, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("there.pth").touch()
    with pytest.raises(BenchError, match=reason):
        asked(*detectors, weights=weights)


def test_two_checkpoints_of_one_architecture_stand_on_one_board(tree, checkpoints, tmp_path):
    first, second = checkpoints
    out, suite = tmp_path / "out", tmp_path / "one.toml"
    suite.write_text('name = "one"\nconditions = ["clean"]\nslices = ["generator"]\n')
    words = ["run", "-d", f"a={NETWORK}:{first},b={second}", "--data", str(tree), "--out", str(out)]
    assert CliRunner().invoke(app, [*words, "--quiet", "--suite", str(suite)]).exit_code == 0
    record = json.loads((out / "run.json").read_text())
    assert [d["label"] for d in record["detectors"]] == ["a", "b"]
    cells = bench.leaderboard(out).rows
    clean = cells[(cells.condition == "clean") & (cells.generator == "alpha")]
    auc = dict(zip(clean.detector, clean.auc, strict=True))
    assert auc["a"] == pytest.approx(1 - auc["b"])
    board = (out / "leaderboard.csv").read_bytes()
    again = ["run", "--config", str(out / "config.toml"), "--out", str(tmp_path / "again")]
    assert CliRunner().invoke(app, [*again, "--quiet"]).exit_code == 0
    assert (tmp_path / "again/leaderboard.csv").read_bytes() == board


def test_two_of_one_name_are_told_how_to_be_told_apart(tree, checkpoints):
    first, second = checkpoints
    with pytest.raises(BenchError, match=f"as --detector {NETWORK}-2={NETWORK}"):
        bench.run([f"{NETWORK}:{first}", f"{NETWORK}:{second}"], suite="smoke", data=str(tree))


def test_figures_and_rates_are_numbers_by_name():
    assert parse_figures("--figure", ["write_ms=12", "data_gbit=1e1"]) == {
        "write_ms": 12.0,
        "data_gbit": 10.0,
    }
    assert parse_rates(["900", "hf:a=b=12.5"]) == {"": 900.0, "hf:a=b": 12.5}


@pytest.mark.parametrize("item", ["12", "=12", "write_ms", "write_ms=", "write_ms=nan", "a=twelve"])
def test_a_figure_has_a_name_and_a_number(item):
    with pytest.raises(BenchError, match=f"--figure {item}: give a name and a number"):
        parse_figures("--figure", [item])


@pytest.mark.parametrize("item", ["0", "-1", "inf", "nan", "vit", "vit=", "vit=-3"])
def test_a_rate_is_a_positive_number(item):
    with pytest.raises(BenchError, match=f"--rate {item}: give forward passes a second"):
        parse_rates([item])


def test_neither_is_given_twice():
    with pytest.raises(BenchError, match="--figure is given twice for a"):
        parse_figures("--figure", ["a=1", "a=1"])
    with pytest.raises(BenchError, match="--rate is given twice for all detectors"):
        parse_rates(["1", "2"])
