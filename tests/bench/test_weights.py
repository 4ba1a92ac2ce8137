"""``bench weights``: strangers' checkpoints become files that score, or one sentence."""

from __future__ import annotations

import argparse
import hashlib
import json
import os

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from bench import registry
from bench.weights.known import candidates_of, shapes_of
from detectors.network import Architecture
from detectors.weights.listing.contents import read_contents

ARCH = registry.detectors()["genimage-cnn"]
CONVERT = ("-d", "genimage-cnn", "--fake-logit", "z1-z0", "-o", "new.safetensors")


def state(seed=0, outputs=2):
    torch.manual_seed(seed)
    return {key: value.clone() for key, value in ARCH.build(outputs).state_dict().items()}


RAW, AVERAGED = state(0), state(1)


def prefixed(weights, prefix):
    return {prefix + key: value for key, value in weights.items()}


def lightning():
    return {
        "epoch": 3, "global_step": 9, "pytorch-lightning_version": "2.6.0", "loops": {"fit": {"n": 1}},
        "state_dict": {**prefixed(RAW, "model."), "criterion.weight": torch.ones(2)},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}}], "callbacks": {},
    }  # fmt: skip


def inner(wrapper):
    return {key.replace("features.", f"features.{wrapper}"): value for key, value in RAW.items()}


# A checkpoint as each trainer writes it, of which one network's weights are meant.
TRAINERS = {
    "plain torch": RAW,
    "Lightning": lightning(),
    "Lightning, compiled": {"state_dict": prefixed(RAW, "model._orig_mod.")},
    "DistributedDataParallel": {"model": prefixed(RAW, "module."), "optimizer": {}, "epoch": 1},
    "DDP of a compiled network": {"model": prefixed(RAW, "module._orig_mod.")},
    "compiled DDP": {"model": prefixed(RAW, "_orig_mod.module.")},
    "Accelerate, Trainer": prefixed(RAW, "model."),
    "timm": {"epoch": 1, "arch": "x", "state_dict": RAW, "optimizer": {}, "metric": 0.9, "version": 2},
    "timm, the average alone": {"state_dict_ema": RAW},
    "DeiT, the average alone": {"model_ema": RAW, "epoch": 4},
    "mmengine": {"meta": {"epoch": 3}, "state_dict": prefixed(RAW, "backbone."), "message_hub": {}},
    "fastai": {"model": RAW, "opt": {"hypers": [{"lr": 0.1}], "state": []}},
    "SWA": {"n_averaged": torch.tensor(5), **prefixed(RAW, "module.")},
    "YOLO-like": {"ema": RAW, "updates": 5, "optimizer": None},
    "DeepSpeed": {"module": RAW, "ds_version": "0.17", "dp_world_size": 8},
    "CNNDetection": {"model": RAW, "optimizer": {"state": {}}, "total_steps": 9},
    "netC": {"netC": prefixed(RAW, "module.")},
    "a compiled part": {"state_dict": prefixed(inner("_orig_mod."), "model.")},
    "FSDP, recomputed": prefixed(
        inner("_fsdp_wrapped_module._checkpoint_wrapped_module."), "_fsdp_wrapped_module."
    ),
}  # fmt: skip


@pytest.mark.parametrize("trainer", TRAINERS)
def test_every_trainer_s_checkpoint_loads_without_a_flag(cli, tmp_path, trainer):
    torch.save(TRAINERS[trainer], tmp_path / "w.pth")
    code, out, err = cli("weights", "verify", "w.pth", "-d", "genimage-cnn", "--json")
    assert code == 0, err
    assert {c["check"]: c["outcome"] for c in json.loads(out)["checks"]}["fits"] == "ok"
    assert cli("weights", "convert", "w.pth", *CONVERT)[0] == 0
    written = load_file(tmp_path / "new.safetensors")
    assert written.keys() == RAW.keys()
    assert all(torch.equal(written[key], value) for key, value in RAW.items())


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("legacy", [False, True])
def test_later_pickles_than_torch_reads_are_plain_weights_too(cli, protocol, legacy):
    torch.save(
        {"model": RAW, "epoch": 3}, "w.pth",
        pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy,
    )  # fmt: skip
    assert cli("weights", "verify", "w.pth", "-d", "genimage-cnn")[0] == 0
    torch.save({"model": RAW, "args": argparse.Namespace()}, "args.pth", pickle_protocol=protocol)
    code, out, _ = cli("weights", "verify", "args.pth", "-d", "genimage-cnn", "--json")
    assert code == 2
    assert "argparse.Namespace" in out
    assert "weights_only" not in out


def test_inspect_says_what_is_in_a_file_and_how_to_use_it(cli, tmp_path):
    torch.save(
        {"model": prefixed(RAW, "module."), "optimizer": {"s": torch.ones(9)}, "epoch": 3}, "w.pth"
    )
    code, out, _ = cli("weights", "inspect", "w.pth", "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["sha256"] == hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    (weights,) = facts["sets"]
    assert weights["keys"]["features.0.weight"] == {"shape": [32, 3, 3, 3], "dtype": "float32"}
    assert weights["values"] == sum(value.numel() for value in RAW.values())
    assert facts["not weights"] == {"optimizer": "1 tensors of a training, 9 values", "epoch": "3"}
    assert [(fit["detector"], fit["outputs"]) for fit in facts["fits"]] == [("genimage-cnn", 2)]
    text = cli("weights", "inspect", "w.pth", "--keys")[1]
    assert "--detector genimage-cnn --weights w.pth --fake-logit z1-z0|z0-z1" in text
    assert "classifier.4.bias" in text


def test_a_converted_file_scores_without_any_flag_as_the_original_does(cli, tmp_path):
    torch.save({"state_dict": RAW}, "w.pth")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(tmp_path / "x.png")
    assert (
        cli("weights", "convert", "w.pth", *CONVERT, "--generators", "sd14", "--licence", "MIT")[0]
        == 0
    )
    flags = ("--weights", "w.pth", "--fake-logit", "z1-z0")
    before = json.loads(cli("predict", "x.png", "-d", "genimage-cnn", *flags, "--json", "-q")[1])
    after = json.loads(cli("predict", "x.png", "-d", "new.safetensors", "--json", "-q")[1])
    assert before[0]["logit"] == after[0]["logit"]
    card = json.loads((tmp_path / "new.json").read_text())
    assert card["training_data"]["generators"] == ["sd14"]
    assert card["licence"] == "MIT"
    code, out, _ = cli("weights", "verify", "new.safetensors", "--json")
    assert code == 0
    assert {check["outcome"] for check in json.loads(out)["checks"]} == {"ok"}


def test_a_published_file_keeps_its_direction_and_what_it_saw(cli, tmp_path):
    torch.save(registry.detectors()["tiny-ladeda"].build(1).state_dict(), "published.pth")
    text = cli("weights", "inspect", "published.pth")[1]
    assert "--detector tiny-ladeda --weights published.pth --fake-logit z\n" in text
    code, _, err = cli(
        "weights", "convert", "published.pth", "-d", "tiny-ladeda", "-o", "new.safetensors"
    )
    assert code == 0, err
    card = json.loads((tmp_path / "new.json").read_text())
    assert card["training_data"]["dataset"] == "WildRF (Reddit)"
    assert card["licence"] == "LicenseRef-Yissum-Software-Research"
    said = ("--dataset", "mine", "--licence", "MIT", "-o", "own.safetensors")
    assert cli("weights", "convert", "published.pth", "-d", "tiny-ladeda", *said)[0] == 0
    card = json.loads((tmp_path / "own.json").read_text())
    assert (card["training_data"]["dataset"], card["licence"]) == ("mine", "MIT")


def test_a_card_may_name_a_network_of_timm_s(cli, tmp_path):
    import timm

    torch.save(timm.create_model("resnet10t", num_classes=1).state_dict(), "w.pth")
    Image.new("RGB", (40, 40), (9, 99, 200)).save(tmp_path / "x.png")
    flags = ("-d", "timm/resnet10t", "--fake-logit", "z")
    assert cli("weights", "convert", "w.pth", *flags, "-o", "new.safetensors")[0] == 0
    before = cli("predict", "x.png", *flags, "-w", "w.pth", "--json", "-q")[1]
    after = cli("predict", "x.png", "-d", "new.safetensors", "--json", "-q")[1]
    assert json.loads(before)[0]["logit"] == json.loads(after)[0]["logit"]


def test_raw_or_average_is_asked_and_never_guessed(cli, tmp_path):
    torch.save({"state_dict": RAW, "state_dict_ema": AVERAGED}, "both.pth")
    advice = json.loads(cli("weights", "inspect", "both.pth", "--json")[1])["advice"]
    assert "both.pth::state_dict_ema" in advice
    code, _, err = cli("weights", "convert", "both.pth", *CONVERT)
    assert code == 2
    assert "say which" in err
    assert not (tmp_path / "new.safetensors").exists()
    assert cli("weights", "convert", "both.pth::state_dict_ema", *CONVERT)[0] == 0
    written = load_file(tmp_path / "new.safetensors")
    assert torch.equal(written["features.0.bias"], AVERAGED["features.0.bias"])


def test_a_trainer_s_own_objects_are_left_behind_and_named(cli, tmp_path):
    torch.save({"model": RAW, "args": argparse.Namespace(lr=1), "best": np.float64(1)}, "w.pth")
    code, out, _ = cli("weights", "verify", "w.pth", "-d", "genimage-cnn", "--json")
    assert code == 2
    safe = next(c for c in json.loads(out)["checks"] if c["check"] == "safe")
    assert safe["outcome"] == "failed"
    assert "argparse.Namespace" in safe["detail"]
    assert cli("weights", "convert", "w.pth", *CONVERT)[0] == 0
    assert cli("weights", "verify", "new.safetensors")[0] == 0


class Exploit:
    def __reduce__(self):
        return (os.mkdir, ("ran",))


def test_an_attack_is_named_and_nothing_is_taken_from_it(cli, tmp_path):
    torch.save({"model": RAW, "x": Exploit()}, "w.pth")
    out = cli("weights", "inspect", "w.pth")[1]
    assert "HOSTILE" in out
    code, _, err = cli("weights", "convert", "w.pth", *CONVERT)
    assert code == 2
    assert "attack" in err
    assert cli("weights", "verify", "w.pth")[0] == 2
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "new.safetensors").exists()


def test_a_renaming_is_proposed_and_has_to_be_said(cli, tmp_path):
    other = {
        k.replace("features.", "body.").replace("classifier.4.", "fc."): v for k, v in RAW.items()
    }
    save_file(other, tmp_path / "w.safetensors")
    (near,) = json.loads(cli("weights", "inspect", "w.safetensors", "--json")[1])["nearly"]
    assert near["renames"] == {"body.": "features.", "fc.": "classifier.4."}
    code, _, err = cli("weights", "convert", "w.safetensors", *CONVERT)
    assert code == 2
    assert "--rename body.=features. --rename fc.=classifier.4." in err
    renames = ("--rename", "body.=features.", "--rename", "fc.=classifier.4.")
    assert cli("weights", "convert", "w.safetensors", *CONVERT, *renames)[0] == 0
    assert load_file(tmp_path / "new.safetensors").keys() == RAW.keys()


@pytest.mark.parametrize("there", ["new.safetensors", "new.json"])
def test_nothing_is_overwritten(cli, tmp_path, there):
    torch.save(RAW, "w.pth")
    (tmp_path / there).write_text("mine")
    code, _, err = cli("weights", "convert", "w.pth", *CONVERT)
    assert code == 2
    assert "is there already" in err
    assert (tmp_path / there).read_text() == "mine"
    assert len(list(tmp_path.glob("new.*"))) == 1


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--input", "sizes=32"], "did you mean 'size'?"),
        (["--input", "size=huge"], "--input size=huge"),
        (["--input", "std=0,0,0"], "std must be positive"),
        (["--input", "size"], "write NAME=VALUE"),
        (["--rename", "a"], "write NAME=VALUE"),
    ],
)
def test_flags_that_cannot_be_right(cli, flags, says):
    torch.save(RAW, "w.pth")
    code, _, err = cli("weights", "convert", "w.pth", *CONVERT, *flags)
    assert code == 2
    assert says in err


def test_the_label_direction_is_asked(cli):
    torch.save(RAW, "w.pth")
    code, _, err = cli("weights", "convert", "w.pth", "-d", "genimage-cnn", "-o", "new.safetensors")
    assert code == 2
    assert "--fake-logit" in err


def spoil(path, how):
    if how == "a NaN":
        torch.save({**RAW, "classifier.4.bias": torch.tensor([float("nan"), 0])}, path)
    elif how == "an 8-bit float":
        torch.save(
            {**RAW, "classifier.4.bias": RAW["classifier.4.bias"].to(torch.float8_e4m3fn)}, path
        )
    elif how == "sparse":
        torch.save({**RAW, "classifier.4.bias": RAW["classifier.4.bias"].to_sparse()}, path)
    elif how == "a flipped bit":
        torch.save(RAW, path)
        data = bytearray(path.read_bytes())
        data[data.index(RAW["features.0.weight"].numpy().tobytes()[:16]) + 3] ^= 4
        path.write_bytes(data)
    elif how == "a key missing":
        torch.save({k: v for k, v in RAW.items() if k != "classifier.4.bias"}, path)
    elif how == "a shape":
        torch.save({**RAW, "classifier.4.bias": torch.zeros(3)}, path)


@pytest.mark.parametrize(
    ("how", "check"),
    [
        ("a NaN", "finite"), ("an 8-bit float", "finite"), ("sparse", "finite"),
        ("a flipped bit", "whole"), ("a key missing", "fits"), ("a shape", "fits"),
    ],
)  # fmt: skip
def test_verify_names_what_fails(cli, tmp_path, how, check):
    spoil(tmp_path / "w.pth", how)
    code, out, err = cli("weights", "verify", "w.pth", "-d", "genimage-cnn", "--json")
    assert code == 2
    assert check in err
    result = json.loads(out)
    assert not result["ok"]
    assert {c["check"] for c in result["checks"]} == {
        "whole",
        "safe",
        "sha256",
        "finite",
        "card",
        "fits",
    }


def test_verify_names_the_key_that_is_missing_whatever_the_number_of_outputs(cli):
    first = next(iter(RAW))
    torch.save({key: value for key, value in RAW.items() if key != first}, "w.pth")
    code, out, _ = cli("weights", "verify", "w.pth", "-d", "genimage-cnn")
    assert code == 2
    assert f"1 missing ({first})" in out


def test_verify_holds_a_file_against_a_hash(cli, tmp_path):
    torch.save(RAW, "w.pth")
    right = hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    assert cli("weights", "verify", "w.pth", "--sha256", right.upper())[0] == 0
    assert cli("weights", "verify", "w.pth", "--sha256", "0" * 64)[0] == 2
    code, _, err = cli("weights", "verify", "w.pth", "--sha256", "abc")
    assert code == 2
    assert "64 hex digits" in err


def test_verify_holds_a_card_against_its_file(cli, tmp_path):
    torch.save(RAW, "w.pth")
    cli("weights", "convert", "w.pth", *CONVERT)
    card = json.loads((tmp_path / "new.json").read_text())
    for change in ({"arch": "resnet50"}, {"fake_logit": "z"}, {"weights": {"sha256": "0" * 64}}):
        (tmp_path / "new.json").write_text(json.dumps(card | change))
        assert cli("weights", "verify", "new.safetensors")[0] == 2, change
    (tmp_path / "new.json").write_text(json.dumps(card))
    assert cli("weights", "verify", "new.safetensors", "-d", "vit")[0] == 2


@pytest.mark.parametrize("command", ["inspect", "verify"])
def test_what_is_no_weights_file_is_one_sentence(cli, tmp_path, command):
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "folder.pth").mkdir()
    (tmp_path / "empty.pth").touch()
    (tmp_path / "page.pth").write_text("<!doctype html>")
    with (tmp_path / "huge.safetensors").open("wb") as stream:
        stream.truncate(60 << 30)
    (tmp_path / "net.onnx").write_bytes(b"\x08\x08\x12\x07pytorch")
    for name in (
        "pipe.pth",
        "folder.pth",
        "empty.pth",
        "page.pth",
        "huge.safetensors",
        "net.onnx",
        "none",
    ):
        code, _, err = cli("weights", command, name)
        assert code == 2, name
        assert len(err.strip().splitlines()) == 1, err
        assert "internal" not in err


def test_names_in_a_file_do_not_drive_the_terminal(cli):
    torch.save({"\x1b[31mred\nnext: do": torch.ones(1), "note\x1b]0;t\x07": "x"}, "w.pth")
    out = cli("weights", "inspect", "w.pth", "--keys")[1]
    assert "\x1b" not in out
    assert "\x07" not in out
    assert out.count("next:") == 2
    assert [line for line in out.splitlines() if line.startswith("next:")] == [out.splitlines()[-1]]


def test_shapes_are_those_of_the_network_and_every_network_knows_its_own(tmp_path):
    for name, architecture in registry.detectors().items():
        if not isinstance(architecture, Architecture):
            continue
        shapes = shapes_of(architecture, 1)
        assert shapes, name
        if sum(np.prod(shape) for shape in shapes.values()) > 3e6:
            continue  # the small ones tell; a large one takes seconds to write
        network = architecture.network(1, architecture.input.size)
        torch.save(network.state_dict(), tmp_path / "w.pth")
        found = candidates_of(read_contents(tmp_path / "w.pth").tree)
        assert name in {each.detector for each in found if each.match.verdict == "fits"}
