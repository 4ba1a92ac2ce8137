"""Checkpoints as training scripts write them: weights are found, one of two sets is asked for."""

from __future__ import annotations

import argparse
import datetime
import itertools
import os
import pathlib
import re
import struct
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from detectors.adapters.base import LoadOptions
from detectors.adapters.construct import construct
from detectors.architectures.genimage_cnn import DETECTORS
from detectors.card import DetectorCard, InputSpec, WeightsRef, card_beside
from detectors.errors import DetectorError, WeightsError
from detectors.network import load_network
from detectors.pretrained import PretrainedError, read_start, start_from
from detectors.weights import read_state

ARCH = DETECTORS["genimage-cnn"]


def state(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {k: v.clone() for k, v in ARCH.build(2).state_dict().items()}


RAW, AVERAGED = state(0), state(1)


def load(path):
    return load_network(ARCH, path, fake_logit="z1-z0")


def assert_holds(detector, expected) -> None:
    own = detector.network.state_dict()
    assert own.keys() == expected.keys()
    assert all(torch.equal(own[key], value) for key, value in expected.items())


def prefixed(weights, prefix):
    return {prefix + key: value.contiguous() for key, value in weights.items()}


def adam(weights) -> dict:
    network = ARCH.build(2)
    network.load_state_dict(weights)
    optimizer = torch.optim.AdamW(network.parameters(), amsgrad=True)
    network(torch.rand(2, 3, 32, 32)).sum().backward()
    optimizer.step()
    return optimizer.state_dict()


PREFIXES = ["module.", "_orig_mod.", "model.", "net."]


@pytest.mark.parametrize(
    "prefix",
    ["".join(order) for n in (1, 2, 3) for order in itertools.permutations(PREFIXES, n)][::3],
)
def test_prefixes_in_any_order_and_either_format(tmp_path, prefix):
    torch.save(prefixed(RAW, prefix), tmp_path / "w.pth")
    save_file(prefixed(RAW, prefix), tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        assert_holds(load(tmp_path / name), RAW)
        assert read_state(tmp_path / name).keys() == RAW.keys()


WRAPPED = {
    "containers in containers": {"model": {"state_dict": prefixed(RAW, "module._orig_mod.")}},
    "the other way round": {"state_dict": {"model": {"module": RAW}}},
    "a list of them": {"models": [{"state_dict": RAW}]},
    "an unknown name": {"my_best_net": prefixed(RAW, "student.")},
    "an optimizer": {"model": RAW, "optimizer": adam(RAW), "epoch": 3},
    "an optimizer first": {"optimizer": adam(RAW), "amp": {"scale": torch.ones(1)}, "net": RAW},
    "numbers beside the weights": {**RAW, "epoch": 3, "lr": 0.1},
    "Lightning with a loss": {
        "state_dict": {
            **prefixed(RAW, "model."), "criterion.weight": torch.ones(2), "val_acc.total": torch.ones(1),
        },
        "optimizer_states": [adam(RAW)],
    },
    "an average alone": {"state_dict_ema": RAW},
    "AveragedModel": {"swa_model": {**prefixed(RAW, "module."), "n_averaged": torch.tensor(5)}},
    "the same weights twice": {"model": RAW, "best": {k: v.clone() for k, v in RAW.items()}},
    "half precision": {"state_dict": {k: v.half() if v.is_floating_point() else v for k, v in RAW.items()}},
    "another network larger than ours": {"netC": RAW, "generator": {"w": torch.zeros(3_000_000)}},
}  # fmt: skip


@pytest.mark.parametrize("kind", WRAPPED)
@pytest.mark.parametrize("legacy", [False, True])
def test_wrappers_of_training_scripts(tmp_path, kind, legacy):
    path = tmp_path / "w.pth"
    torch.save(WRAPPED[kind], path, _use_new_zipfile_serialization=not legacy)
    expected = RAW
    if kind == "half precision":
        expected = {k: v.half().float() if v.is_floating_point() else v for k, v in RAW.items()}
    assert_holds(load(path), expected)


BOTH = {
    "timm": ({"state_dict": RAW, "state_dict_ema": AVERAGED}, "state_dict", "state_dict_ema"),
    "ema first": ({"ema": AVERAGED, "model": RAW}, "model", "ema"),
    "nested": ({"model": {"raw": RAW, "ema": {"module": AVERAGED}}}, "model.raw", "model.ema"),
    "prefixes": (
        {"state_dict": {**prefixed(RAW, "net."), **prefixed(AVERAGED, "net_ema.")}},
        "state_dict.net", "state_dict.net_ema",
    ),
    "model and optimizer": (
        {"model": RAW, "model_ema": prefixed(AVERAGED, "module."), "optimizer": adam(RAW)},
        "model", "model_ema",
    ),
    "swa": (
        {"net": RAW, "swa": {**prefixed(AVERAGED, "module."), "n_averaged": torch.tensor(3)}},
        "net", "swa",
    ),
    "best and last": ({"last": RAW, "best": AVERAGED}, "last", "best"),
    "teacher": ({"student": RAW, "teacher": AVERAGED}, "student", "teacher"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BOTH)
def test_two_sets_of_weights_are_asked_for(tmp_path, kind):
    content, raw, averaged = BOTH[kind]
    path = tmp_path / "both.pth"
    torch.save(content, path)
    with pytest.raises(WeightsError, match="holds 2 different sets") as error:
        load(path)
    assert repr(raw) in str(error.value)
    assert repr(averaged) in str(error.value)
    assert f"{path.name}::" in str(error.value)
    assert_holds(load(tmp_path / f"both.pth::{raw}"), RAW)
    chosen = load(tmp_path / f"both.pth::{averaged}")
    assert_holds(chosen, AVERAGED)
    assert chosen.card.weights.part == averaged
    with pytest.raises(WeightsError, match="no weights for this network under 'nothing'"):
        load(tmp_path / "both.pth::nothing")


def test_two_sets_in_safetensors(tmp_path):
    path = tmp_path / "both.safetensors"
    save_file({**prefixed(RAW, "model."), **prefixed(AVERAGED, "ema.")}, path)
    with pytest.raises(WeightsError, match="'model' and 'ema'"):
        load(path)
    assert_holds(load(tmp_path / "both.safetensors::ema"), AVERAGED)


def test_the_card_may_say_which(tmp_path):
    path = tmp_path / "both.pth"
    torch.save({"state_dict": RAW, "state_dict_ema": AVERAGED}, path)
    card = DetectorCard(name="mine", arch="genimage-cnn", fake_logit="z1-z0", input=ARCH.input)
    card = card.model_copy(update={"weights": WeightsRef(part="state_dict_ema")})
    card_beside(path).write_text(card.model_dump_json())
    assert_holds(load(path), AVERAGED)
    assert_holds(load(tmp_path / "both.pth::state_dict_ema"), AVERAGED)
    with pytest.raises(WeightsError, match="contradicts the card"):
        load(tmp_path / "both.pth::state_dict")


@pytest.mark.parametrize(
    "averaged",
    [
        {"shadow_params": list(AVERAGED.values()), "decay": 0.999},
        {"".join(key.split(".")): value for key, value in AVERAGED.items()},
    ],
    ids=["a list", "keys without dots"],
)
def test_an_average_of_unknown_form_is_not_passed_over(tmp_path, averaged):
    path = tmp_path / "both.pth"
    torch.save({"state_dict": RAW, "ema": averaged}, path)
    with pytest.raises(WeightsError, match="'state_dict' and 'ema"):
        load(path)
    assert_holds(load(tmp_path / "both.pth::state_dict"), RAW)


def test_a_training_started_from_a_file_asks_too(tmp_path):
    path = tmp_path / "both.pth"
    torch.save({"state_dict": prefixed(RAW, "module."), "state_dict_ema": AVERAGED}, path)
    with pytest.raises(WeightsError, match="::state_dict_ema"):
        read_start(path)
    assert torch.equal(
        read_start(tmp_path / "both.pth::state_dict")["classifier.4.bias"], RAW["classifier.4.bias"]
    )
    save_file({**prefixed(RAW, "model."), **prefixed(AVERAGED, "ema.")}, tmp_path / "b.safetensors")
    with pytest.raises(WeightsError, match="'model' and 'ema'"):
        read_start(tmp_path / "b.safetensors")


def test_extra_keys_beside_a_prefix_are_no_detector_of_this_name(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({**prefixed(RAW, "model."), "second_head.weight": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match=r"missing.*unexpected|unexpected"):
        load(path)


def test_a_part_for_code_of_ones_own_is_refused(tmp_path):
    class Own:
        def __init__(self, weights=None): ...

    torch.save({"a": RAW}, tmp_path / "w.pth")
    with pytest.raises(DetectorError, match="not told of 'a'"):
        construct(Own, "own", LoadOptions(weights=tmp_path / "w.pth::a"))


KEY = "classifier.4.bias"
BAD_TENSORS = {
    "int64": lambda t: t.to(torch.int64),
    "uint8": lambda t: t.to(torch.uint8),
    "bool": lambda t: t > 0,
    "complex64": lambda t: t.to(torch.complex64),
    "float8_e4m3fn": lambda t: t.to(torch.float8_e4m3fn),
    "float8_e5m2": lambda t: t.to(torch.float8_e5m2),
    "sparse": lambda t: t.to_sparse(),
    "meta": lambda t: t.to("meta"),
    "quantised": lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8),
    "not finite": lambda t: t * float("inf"),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", BAD_TENSORS)
@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_tensors_that_are_no_real_numbers_are_refused_by_key(tmp_path, kind, ending):
    content = {**RAW, KEY: BAD_TENSORS[kind](RAW[KEY] + 1)}
    path = tmp_path / f"w{ending}"
    if ending == ".pth":
        torch.save(content, path)
    elif kind in ("sparse", "meta", "quantised"):
        pytest.skip("not a kind that safetensors can hold")
    else:
        save_file(content, path)
    with pytest.raises(WeightsError, match=rf"{KEY} .*{kind}"):
        load(path)


def test_counters_may_have_changed_with_all_the_rest():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(3)
            self.register_buffer("mask", torch.ones(2, dtype=torch.bool))

    network = Net()
    from detectors.weights import load_strict

    good = {key: value.clone() for key, value in network.state_dict().items()}
    counter = "norm.num_batches_tracked"
    for value in (torch.tensor(7), torch.tensor(7, dtype=torch.int32), torch.tensor(7.0)):
        load_strict(network, {**good, counter: value}, "w")
        assert network.norm.num_batches_tracked.item() == 7
    for change in ({counter: torch.tensor(7.5)}, {"mask": torch.ones(2, dtype=torch.uint8)}):
        with pytest.raises(WeightsError, match=next(iter(change))):
            load_strict(network, {**good, **change}, "w")
    with pytest.raises(PretrainedError, match=r"norm\.weight"):
        start_from(network, {**good, "norm.weight": torch.ones(3, dtype=torch.int64)}, None)


def flip(path, marker: bytes, offset: int, value: int) -> None:
    data = bytearray(path.read_bytes())
    data[data.rindex(marker) + offset] = value
    path.write_bytes(data)


@pytest.mark.parametrize("offset", range(0, 46, 3))
def test_a_damaged_directory_of_an_archive_is_one_sentence(tmp_path, offset):
    path = tmp_path / "w.pth"
    torch.save(RAW, path)
    flip(path, b"PK\x01\x02", offset, 200)
    try:
        assert_holds(load(path), RAW)  # a field nobody reads
    except WeightsError as error:
        assert str(path) in str(error)  # noqa: PT017


def test_a_flipped_bit_in_an_archive_is_noticed(tmp_path):
    path = tmp_path / "w.pth"
    torch.save(RAW, path)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        entry = max(archive.infolist(), key=lambda e: e.file_size)
    data[entry.header_offset + 200 + entry.file_size // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="checksum"):
        load(path)


def test_an_archive_that_tells_of_further_disks_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    torch.save(RAW, path)
    data = path.read_bytes()
    end = data.rindex(b"PK\x05\x06")
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, 0, 9)  # zip64: nine disks
    path.write_bytes(data[:end] + locator + data[end:])
    with pytest.raises(WeightsError, match=re.escape(str(path))):
        load(path)


@pytest.mark.parametrize(
    "name", ["huge.safetensors", "huge.pth", "cut.safetensors", "long.safetensors"]
)
def test_files_that_are_not_as_long_as_they_say(tmp_path, name):
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(RAW, path)
    else:
        torch.save(RAW, path, _use_new_zipfile_serialization=False)
    if name.startswith("huge"):
        os.truncate(path, 60 << 30)
    else:
        os.truncate(path, path.stat().st_size + (9 if name.startswith("long") else -9))
    with pytest.raises(WeightsError, match=r"huge|cut|long"):
        load(path)


OBJECTS = {
    "argparse.Namespace": argparse.Namespace(lr=1),
    "numpy": np.float64(0.9),
    "datetime.datetime": datetime.datetime(2025, 1, 1),  # noqa: DTZ001
    "PosixPath": pathlib.PurePosixPath("/x"),
    "GenimageCnn|Sequential|torch.nn": ARCH.build(2),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_what_only_code_could_restore_is_named(tmp_path, name):
    path = tmp_path / "w.pth"
    torch.save({"model": RAW, "extra": OBJECTS[name]}, path)
    with pytest.raises(WeightsError, match=rf"\(it holds .*({name})") as error:
        load(path)
    assert "\x1b" not in str(error.value)
    assert "weights_only" not in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mean", (float("nan"), 0.5, 0.5)),
        ("mean", (0.5, float("inf"), 0.5)),
        ("mean", (0.5, 1e39, 0.5)),
        ("std", (1.0, 1.0, float("nan"))),
        ("std", (float("inf"), 1.0, 1.0)),
        ("std", (1e-320, 1.0, 1.0)),
        ("std", (1.0, 0.0, 1.0)),
        ("std", (1.0, -1.0, 1.0)),
    ],
)
def test_a_normalisation_that_leaves_no_number(field, value):
    with pytest.raises(ValueError, match=field):
        InputSpec(**{field: value})
