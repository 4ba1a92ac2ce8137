"""An image classifier's folder through `bench run`: board, request, repetition."""

from __future__ import annotations

import json
import tomllib

import pytest
import torch

from bench.store.rundir import RunDir

transformers = pytest.importorskip("transformers", reason="needs the extra [hf]: transformers")

SUITE = """
name = "mini"
slices = ["generator"]
conditions = ["clean", "fgsm(eps=4/255)"]
"""


@pytest.fixture
def classifier(tmp_path):
    """A tiny ResNet of three labels that say nothing, with the preprocessing beside it."""
    torch.manual_seed(0)
    names = {0: "LABEL_0", 1: "LABEL_1", 2: "cartoon"}
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic",
        id2label=names, label2id={name: i for i, name in names.items()},
    )  # fmt: skip
    folder = tmp_path / "my classifier"
    transformers.ResNetForImageClassification(config).save_pretrained(folder)
    processor = transformers.ConvNextImageProcessorPil(size={"shortest_edge": 32})
    processor.save_pretrained(folder)
    return folder


def test_a_run_says_what_the_logit_is_of_and_another_label_is_another_request(
    cli, tree, classifier, tmp_path
):
    suite = tmp_path / "mini.toml"
    suite.write_text(SUITE)
    detector = f"hf:{classifier}"
    common = (
        "run",
        "-d",
        detector,
        "--data",
        tree,
        "--suite",
        suite,
        "--device",
        "cpu",
        "--batch-size",
        8,
    )
    said = ("--fake-label", "LABEL_1", "--ignore-label", "Cartoon")
    code, out, err = cli(*common, *said, "--out", "out")
    assert code == 0, err
    assert (
        "my classifier: input rule: short side to 36 px (bicubic), centre crop 32 px, framed in black where "
        "smaller; logit of LABEL_1 against LABEL_0." in out
    )
    record = RunDir(tmp_path / "out").spec().detectors[0]
    assert record.card["fake_labels"] == ["LABEL_1"]
    assert set(record.card["weights"]["files"]) == {
        "config.json", "preprocessor_config.json", "model.safetensors",
    }  # fmt: skip
    assert record.asked == f"{detector} --fake-label LABEL_1 --ignore-label Cartoon"
    code, _, err = cli(
        *common, "--fake-label", "LABEL_0", "--ignore-label", "cartoon", "--out", "out"
    )
    assert code == 2
    assert "another request" in err
    assert "--fake-label LABEL_0" in err
    config = tomllib.loads((tmp_path / "out" / "config.toml").read_text())
    assert config["fake-label"] == [f"{detector}=LABEL_1"]
    code, again, err = cli("run", "--config", tmp_path / "out" / "config.toml")
    assert code == 0, err
    assert "0 scored in this run" in err
    assert again == out


def test_predictions_and_refusals_say_the_same_flags(cli, tree, classifier):
    image = tree / "alpha" / "real" / "00.png"
    code, _, err = cli("predict", image, "-d", f"hf:{classifier}")
    assert code == 2
    assert "--fake-label LABEL,..." in err
    flags = (
        "--fake-label",
        "LABEL_1,cartoon",
        "--input",
        "crop(32, mean=half, std=half)",
        "--offline",
    )
    code, out, err = cli(
        "predict", image, "-d", f"hf:{classifier}", *flags, "--json", "--device", "cpu"
    )
    assert code == 0, err
    assert json.loads(out)[0]["logit"] is not None
    code, _, err = cli("predict", image, "-d", "genimage-cnn", *flags)
    assert code == 2
    assert "--fake-label LABEL_1,cartoon has no effect on genimage-cnn" in err
