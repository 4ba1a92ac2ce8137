"""Weights files looked into: torch's own loader is the oracle, hostile bytes end in one sentence."""

from __future__ import annotations

import argparse
import datetime
import io
import os
import pathlib
import pickle
import random
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from detectors.architectures.genimage_cnn import DETECTORS
from detectors.errors import WeightsError
from detectors.network import load_network
from detectors.weights.leaf import Leaf
from detectors.weights.listing.contents import read_contents
from detectors.weights.listing.file_kind import file_kind
from detectors.weights.matching import matches, renames
from detectors.weights.parts import weight_sets

ARCH = DETECTORS["genimage-cnn"]


def state(seed=0, outputs=2):
    torch.manual_seed(seed)
    return {key: value.clone() for key, value in ARCH.build(outputs).state_dict().items()}


RAW = state()
SHAPES = {key: tuple(value.shape) for key, value in RAW.items()}


def leaves(tree, prefix=""):
    for key, value in tree.items():
        if isinstance(value, Leaf):
            yield prefix + key, value
        else:
            yield from leaves(value, f"{prefix}{key}.")


def tensors(value, prefix=""):
    """Every tensor of what torch loaded, by the names that the listing gives."""
    items = enumerate(value) if isinstance(value, list | tuple) else value.items()
    for key, item in items:
        if isinstance(item, torch.Tensor):
            yield f"{prefix}{key}", item
        elif isinstance(item, dict | list | tuple):
            yield from tensors(item, f"{prefix}{key}.")


def adam():
    network = ARCH.build(2)
    optimizer = torch.optim.AdamW(network.parameters(), amsgrad=True)
    network(torch.rand(2, 3, 32, 32)).sum().backward()
    optimizer.step()
    return optimizer.state_dict()


PLAIN = {
    "a state dict": RAW,
    "a training": {"model": RAW, "optimizer": adam(), "epoch": 3, "lr": [0.1, 0.01], "note": "x"},
    "kinds of numbers": {
        str(dtype): torch.arange(6).reshape(2, 3).to(dtype)
        for dtype in (torch.float16, torch.bfloat16, torch.float64, torch.int32, torch.uint8,
                      torch.bool, torch.complex64)
    },
    "8-bit floats": {"f": torch.arange(6.0).to(torch.float8_e5m2)},
    "views": {
        "part": torch.arange(20.0)[3:17:2], "turned": torch.randn(3, 4).t(), "empty": torch.empty(0, 3),
        "one": torch.tensor(7), "parameter": torch.nn.Parameter(torch.ones(3)),
    },
    "one storage twice": {"a": (shared := torch.randn(4)), "b": shared, "c": shared[1:]},
}  # fmt: skip


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("what", PLAIN)
def test_the_listing_equals_what_torch_loads(tmp_path, what, legacy):
    if what == "8-bit floats" and legacy:
        pytest.skip("torch itself cannot load these")
    path = tmp_path / "w.pth"
    torch.save(PLAIN[what], path, _use_new_zipfile_serialization=not legacy)
    expected = dict(tensors(torch.load(path, weights_only=True)))
    listed = dict(leaves(read_contents(path).tree))
    assert listed.keys() == expected.keys()
    for key, value in expected.items():
        assert listed[key].shape == tuple(value.shape)
        assert f"torch.{listed[key].dtype}" == str(value.dtype)
        assert torch.equal(
            listed[key].read().reshape(-1).view(torch.uint8),
            value.detach().contiguous().reshape(-1).view(torch.uint8),
        )


@pytest.mark.parametrize("legacy", [False, True])
def test_what_is_no_tensor_is_said_in_words(tmp_path, legacy):
    path = tmp_path / "w.pth"
    content = {
        "model": RAW, "args": argparse.Namespace(lr=1), "best": np.float64(0.5), "epoch": 7,
        "when": datetime.date(2026, 1, 1), "path": pathlib.PurePosixPath("/x"), "name": "run",
    }  # fmt: skip
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    contents = read_contents(path)
    assert contents.remainder["epoch"] == "7"
    assert contents.remainder["name"] == "'run'"
    assert contents.remainder["args"] == "argparse.Namespace"
    assert {"argparse.Namespace", "datetime.date"} <= set(contents.foreign)
    assert not contents.acting
    assert not contents.unknown
    assert [part.name for part in weight_sets(contents.tree)] == ["model"]


class Exploit:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (os.mkdir, (str(self.mark),))


def test_no_code_of_a_hostile_file_runs(tmp_path):
    for name, legacy in (("zip", False), ("legacy", True)):
        path = tmp_path / f"{name}.pth"
        content = {"model": RAW, "x": Exploit(tmp_path / "ran")}
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
        contents = read_contents(path)
        assert any(each.endswith(".mkdir") for each in contents.acting)
        assert torch.equal(
            dict(leaves(contents.tree))["model.features.0.bias"].read(), RAW["features.0.bias"]
        )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name",
    [
        "builtins.eval", "builtins.exec", "builtins.__import__", "builtins.getattr", "os.system",
        "posix.system", "nt.system", "subprocess.Popen", "sys.exit", "socket.socket", "runpy.run_path",
        "shutil.rmtree", "importlib.import_module", "torch.hub.load", "__builtin__.eval", "torch.load",
        "pickle.loads",
    ],
)  # fmt: skip
def test_names_that_act_on_the_machine_are_hostile(tmp_path, name):
    path = tmp_path / "w.pth"
    module, _, attribute = name.rpartition(".")
    program = (
        b"\x80\x02}X\x01\x00\x00\x00xc"
        + f"{module}\n{attribute}\n".encode()
        + b"X\x01\x00\x00\x00y\x85Rs."
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", program)
    assert read_contents(path).acting == (name,)


def archive_of(program: bytes, path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", program)
    return path


def laughs() -> bytes:
    level: list = []
    for _ in range(40):
        level = [level] * 10
    return pickle.dumps({"x": level}, 4)


def circle() -> bytes:
    inner: dict = {}
    inner["again"] = inner
    inner["list"] = [inner]
    return pickle.dumps(inner, 2)


def parameter_circle() -> bytes:
    """A parameter whose tensor is, two lists further, itself."""
    rebuild = b"ctorch._tensor\n_rebuild_from_type_v2\n"
    inside = b"ctorch._utils\n_rebuild_parameter\n"
    return (
        b"\x80\x02}X\x01\x00\x00\x00x" + rebuild + b"(" + inside + b"N]q\x01tRq\x02h\x01h\x02a0s."
    )


PROGRAMS = {
    "a memo of 4 GiB": b"\x80\x02}r\xff\xff\xff\xff.",
    "a text longer than the file": b"\x80\x04\x8d" + (1 << 60).to_bytes(8, "little") + b"x.",
    "a number of 2 GiB": b"\x80\x02\x8b\xff\xff\xff\x7f\x01.",
    "lists of lists of lists": laughs(),
    "a circle": circle(),
    "a parameter in a circle": parameter_circle(),
    "a stack that runs dry": b"\x80\x02R.",
    "no end": b"\x80\x02}",
    "an extension": b"\x80\x02\x82\x01.",
    "nothing": b"",
    "a tensor beyond all memory": pickle.dumps({"x": 1}),
}


@pytest.mark.parametrize("what", PROGRAMS)
def test_hostile_programs_end_in_a_sentence_or_in_nothing(tmp_path, what):
    path = archive_of(PROGRAMS[what], tmp_path / "w.pth")
    try:
        contents = read_contents(path)
    except WeightsError as error:
        assert str(path) in str(error)  # noqa: PT017
        assert len(str(error).splitlines()) == 1  # noqa: PT017
    else:
        assert not weight_sets(contents.tree)


@pytest.mark.parametrize("legacy", [False, True])
def test_damaged_checkpoints_end_in_one_sentence(tmp_path, legacy):
    """Cut at many places, a byte changed at many others: only the sentence, whatever torch would say."""
    torch.save(
        {"model": {"w": torch.ones(3)}}, tmp_path / "w", _use_new_zipfile_serialization=not legacy
    )
    data = (tmp_path / "w").read_bytes()
    draw = random.Random(0)
    path = tmp_path / "w.pth"
    for number in range(300):
        if number < 100:
            spoilt = data[: draw.randrange(1, len(data))]
        else:
            spoilt = bytearray(data)
            spoilt[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(spoilt)
        try:
            for _, leaf in leaves(read_contents(path).tree):
                leaf.read()
        except WeightsError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017


def test_a_tensor_larger_than_its_numbers_is_damage(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"w": torch.zeros(1).expand(10**9)}, path)
    (leaf,) = (leaf for _, leaf in leaves(read_contents(path).tree))
    with pytest.raises(WeightsError, match="beyond its numbers"):
        leaf.read()


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    torch.save({"w": torch.zeros(6_000_000)}, tmp_path / "w.pth")
    with (
        zipfile.ZipFile(tmp_path / "w.pth") as source,
        zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for entry in source.infolist():
            bomb.writestr(entry.filename, source.read(entry))
    (leaf,) = (leaf for _, leaf in leaves(read_contents(tmp_path / "b.pth").tree))
    with pytest.raises(WeightsError, match="zip bomb"):
        leaf.read()


def torchscript(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}.")
        archive.writestr("m/constants.pkl", b"\x80\x02).")
        archive.writestr("m/code/__torch__.py", "def forward(self): ...")


def tarred(path):
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"), io.BytesIO())


KINDS = {
    "TorchScript": (torchscript, "TorchScript archive"),
    "ONNX": (lambda p: p.write_bytes(b"\x08\x08\x12\x07pytorch\x1a\x032.0:\x00"), "ONNX model"),
    "web page": (lambda p: p.write_text("\n <!DOCTYPE html><html>"), "web page"),
    "LFS": (lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\n"), "Git LFS pointer"),
    "JSON": (lambda p: p.write_text('{"weight_map": {}}'), "JSON text"),
    "text": (lambda p: p.write_text("Not Found"), "text"),
    "gzip": (lambda p: p.write_bytes(b"\x1f\x8b\x08\x00"), "gzip archive"),
    "Keras": (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n\x00"), "HDF5 file (Keras)"),
    "npz": (lambda p: np.savez(p.open("wb"), a=np.ones(2)), "NumPy archive (.npz)"),
    "npy": (lambda p: np.save(p.open("wb"), np.ones(2)), "NumPy array"),
    "tar": (tarred, "tar archive"),
    "pickle": (lambda p: p.write_bytes(pickle.dumps({"a": 1})), "pickle that torch did not write"),
    "noise": (lambda p: p.write_bytes(bytes(range(200, 256)) * 9), "no known form"),
}  # fmt: skip


@pytest.mark.parametrize("what", KINDS)
def test_a_file_of_another_kind_is_named_with_a_way_out(tmp_path, what):
    path = tmp_path / "w.pth"
    write, name = KINDS[what]
    write(path)
    kind = file_kind(path)
    assert (kind.name, kind.form) == (name, "other")
    with pytest.raises(WeightsError, match="not weights that can be read") as error:
        read_contents(path)
    assert kind.advice in str(error.value)
    with pytest.raises(WeightsError):
        load_network(ARCH, path, fake_logit="z1-z0")


def test_what_is_no_regular_file_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "folder.pth").mkdir()
    (tmp_path / "empty.pth").touch()
    (tmp_path / "dangling.pth").symlink_to("nowhere")
    for name, says in (
        ("pipe", "pipe or device"), ("folder", "is a folder"), ("empty", "is empty"),
        ("dangling", "no weights file"), ("absent", "no weights file"), ("a\0b", "no weights file"),
    ):  # fmt: skip
        with pytest.raises(WeightsError, match=says):
            read_contents(tmp_path / f"{name}.pth")


def test_safetensors_under_another_ending_are_read(tmp_path):
    save_file(RAW, tmp_path / "model.bin")
    assert load_network(ARCH, tmp_path / "model.bin", fake_logit="z1-z0").card.weights.sha256
    assert file_kind(tmp_path / "model.bin").name == "safetensors"


def listed(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    return read_contents(tmp_path / "w.pth").tree


def test_weights_fit_under_any_wrapper_and_no_other_network(tmp_path):
    for prefix in ("", "module.", "model.", "module._orig_mod.", "encoder.", "student.backbone."):
        tree = listed(tmp_path, {"state_dict": {prefix + k: v for k, v in RAW.items()}})
        assert [match.verdict for match in matches(tree, SHAPES)] == ["fits"], prefix
    short = {key: value for key, value in RAW.items() if key != "classifier.4.bias"}
    (near,) = matches(listed(tmp_path, short), SHAPES)
    assert (near.verdict, near.detail) == ("near", "1 missing (classifier.4.bias)")
    assert not matches(listed(tmp_path, {"fc.weight": torch.ones(1, 9)}), SHAPES)


def test_another_head_is_told_by_its_number_of_outputs(tmp_path):
    (match,) = matches(listed(tmp_path, state(outputs=1000)), SHAPES)
    assert match.verdict == "another head"
    assert "1000 outputs" in match.detail


def test_two_sets_that_fit_are_both_listed(tmp_path):
    tree = listed(tmp_path, {"state_dict": RAW, "state_dict_ema": state(1)})
    assert [m.part for m in matches(tree, SHAPES)] == ["state_dict", "state_dict_ema"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("features.", "backbone.conv."), ("classifier.4.", "fc."), ("", "vit.")],
)
def test_renamings_are_found_and_make_the_file_load(tmp_path, old, new):
    other = {new + k.removeprefix(old) if k.startswith(old) else k: v for k, v in RAW.items()}
    torch.save({**other, "epoch": 1}, tmp_path / "w.pth")
    tree = read_contents(tmp_path / "w.pth").tree
    (match,) = matches(tree, SHAPES)
    if old:
        assert match.verdict == "fits renamed"
        assert match.key_map == {new: old}
    else:
        assert match.verdict == "fits"


def test_no_renaming_is_made_up():
    def shaped(**shapes):
        return {key: Leaf(shape, lambda: torch.ones(1)) for key, shape in shapes.items()}

    assert renames(shaped(a=(1, 2)), {"b": (2, 1)}) is None
    assert renames(shaped(a=(1,)), {"b": (1,), "c": (1,)}) is None
    assert renames({}, {}) == {}
