"""Checkpoints that are fine, of another network, damaged or hostile."""

from __future__ import annotations

import argparse
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from detectors.architectures.genimage_cnn import DETECTORS
from detectors.card import DetectorCard, WeightsRef, card_beside
from detectors.network import load_network, untrained
from detectors.weights import WeightsError, file_sha256, read_state

ARCH = DETECTORS["genimage-cnn"]


@pytest.fixture
def state():
    torch.manual_seed(0)
    return ARCH.build(2).state_dict()


def card(path, **changes):
    made = DetectorCard(name="mine", arch="genimage-cnn", fake_logit="z1-z0", input=ARCH.input)
    card_beside(path).write_text(made.model_copy(update=changes).model_dump_json())


def logits(detector):
    torch.manual_seed(1)
    detector.to(torch.device("cpu"))
    return detector.logits(torch.rand(4, 3, 32, 32))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": {f"module.{k}": v for k, v in s.items()}},
        lambda s: {f"_orig_mod.{k}": v for k, v in s.items()},
        lambda s: {"netC": s},
    ],
)
def test_published_wrappers_are_opened(tmp_path, state, wrap):
    reference = tmp_path / "plain.safetensors"
    save_file(state, reference)
    card(reference)
    path = tmp_path / "wrapped.pth"
    torch.save(wrap(state), path)
    card(path)
    assert torch.equal(logits(load_network(ARCH, path)), logits(load_network(ARCH, reference)))


def test_a_stated_key_map_renames(tmp_path, state):
    path = tmp_path / "renamed.pth"
    torch.save({k.replace("features.", "backbone.conv."): v for k, v in state.items()}, path)
    card(path)
    with pytest.raises(WeightsError, match=r"key_map"):
        load_network(ARCH, path)
    card(path, weights=WeightsRef(key_map={"backbone.conv.": "features."}))
    assert load_network(ARCH, path).card.weights.sha256 == file_sha256(path)


@pytest.mark.parametrize(("rule", "sign"), [("z1-z0", 1), ("z0-z1", -1)])
def test_the_card_decides_which_output_is_fake(tmp_path, state, rule, sign):
    path = tmp_path / "two.safetensors"
    save_file(state, path)
    card(path, fake_logit=rule)
    detector = load_network(ARCH, path)
    raw = ARCH.build(2).eval()
    raw.load_state_dict(state)
    torch.manual_seed(1)
    out = raw((torch.rand(4, 3, 32, 32) - 0.5) / 0.5)
    assert torch.allclose(logits(detector), sign * (out[:, 1] - out[:, 0]), atol=1e-6)


def test_label_direction_is_never_guessed(tmp_path, state):
    path = tmp_path / "nocard.pth"
    torch.save(state, path)
    with pytest.raises(WeightsError, match="--fake-logit"):
        load_network(ARCH, path)
    assert load_network(ARCH, path, fake_logit="z1-z0").card.fake_logit == "z1-z0"
    with pytest.raises(WeightsError, match="shape"):
        load_network(ARCH, path, fake_logit="z")


def test_an_option_that_contradicts_the_card_is_refused(tmp_path, state):
    path = tmp_path / "w.safetensors"
    save_file(state, path)
    card(path)
    with pytest.raises(WeightsError, match="contradicts the card"):
        load_network(ARCH, path, fake_logit="z0-z1")


class Exploit:
    def __reduce__(self):
        return (exec, ("open('/tmp/pwned-by-bench-test', 'w')",))


def _hostile(tmp_path, state, kind):
    path = tmp_path / f"{kind}.pth"
    if kind == "html":
        path.write_text("<!DOCTYPE html><html>login</html>")
    elif kind == "lfs":
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        torch.save(state, path)
        path.write_bytes(path.read_bytes()[:5000])
    elif kind == "exec":
        path.write_bytes(pickle.dumps({"state_dict": Exploit()}))
    elif kind == "namespace":
        torch.save({"state_dict": state, "opt": argparse.Namespace(lr=1)}, path)
    elif kind == "module":
        torch.save(ARCH.build(2), path)
    elif kind == "nan":
        torch.save({k: v * float("nan") for k, v in state.items()}, path)
    elif kind == "shape":
        torch.save({**state, "classifier.4.bias": torch.zeros(7)}, path)
    elif kind == "other network":
        torch.save({"fc.weight": torch.zeros(1, 2048)}, path)
    elif kind == "no state":
        torch.save({"accuracy": 0.9}, path)
    elif kind == "bomb":
        torch.save({"features.0.weight": torch.zeros(100_000_000)}, path)
        with (
            zipfile.ZipFile(path) as source,
            zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as t,
        ):
            for entry in source.infolist():
                t.writestr(entry.filename, source.read(entry))
        path = tmp_path / "b.pth"
        assert path.stat().st_size < 1_000_000
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("html", "web page"),
        ("lfs", "git lfs pull"),
        ("empty", "is empty"),
        ("truncated", "cannot be read as plain weights"),
        ("exec", "cannot be read as plain weights"),
        ("namespace", "cannot be read as plain weights"),
        ("module", "cannot be read as plain weights"),
        ("nan", "not finite"),
        ("shape", "classifier.4.bias has shape"),
        ("other network", "keys .* missing"),
        ("no state", "no state dict"),
        ("bomb", "unpacks to"),
        ("absent", "no weights file"),
    ],
)
def test_a_file_that_is_not_the_weights_says_what_it_is(tmp_path, state, kind, says, monkeypatch):
    # Disarms torch's default; the explicit argument must hold all the same.
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path = _hostile(tmp_path, state, kind)
    with pytest.raises(WeightsError, match=says):
        load_network(ARCH, path, fake_logit="z1-z0")


def test_a_flipped_bit_is_caught_by_the_hash(tmp_path, state):
    path = tmp_path / "w.safetensors"
    save_file(state, path)
    good = file_sha256(path)
    read_state(path, sha256=good)
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="damaged or another file"):
        read_state(path, sha256=good)


def test_without_weights_there_are_no_scores_unless_asked_for():
    with pytest.raises(ValueError, match="--allow-untrained"):
        untrained(ARCH, allow=False)
    first, second = untrained(ARCH, allow=True), untrained(ARCH, allow=True)
    assert first.identity() == second.identity()
    assert "untrained" in first.card.name


def test_identity_follows_weights_and_card(tmp_path, state):
    path = tmp_path / "w.safetensors"
    save_file(state, path)
    card(path)
    base = load_network(ARCH, path).identity()
    assert load_network(ARCH, path).identity() == base
    card(path, fake_logit="z0-z1")
    assert load_network(ARCH, path).identity() != base
    card(path)
    state["classifier.4.bias"] = state["classifier.4.bias"] + 1e-6
    save_file(state, path)
    assert load_network(ARCH, path).identity() != base


def test_a_broken_card_names_the_key(tmp_path, state):
    path = tmp_path / "w.safetensors"
    save_file(state, path)
    card_beside(path).write_text('{"name": "x", "arch": "y", "fake_logit": "maybe"}')
    with pytest.raises(ValueError, match="fake_logit"):
        load_network(ARCH, path)
