"""The autoencoder against layers written out once more, by torch's functions alone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from torch.nn import functional as F

from attacks.laundering.autoencoder import Autoencoder
from attacks.laundering.tiny_autoencoder import Decoder, Encoder
from bench import registry
from bench.errors import BenchError
from bench.protocol.condition import parse

PUBLISHED = Path(os.environ.get("BENCH_TEST_PUBLISHED", ""))


def convolution(inputs, outputs, generator, *, bias=True, size=3):
    weight = torch.randn(outputs, inputs, size, size, generator=generator)
    state = {"weight": weight / (inputs * size * size) ** 0.5}
    return state | ({"bias": torch.randn(outputs, generator=generator) / 10} if bias else {})


def block(generator, *, pool):
    state = {
        f"conv.{i}.{key}": value
        for i in (0, 2, 4)
        for key, value in convolution(64, 64, generator).items()
    }
    if pool:
        for i, (inputs, outputs) in ((0, (64, 256)), (3, (256, 64))):
            made = convolution(inputs, outputs, generator, bias=False, size=1)
            state[f"pool.{i}.weight"] = made["weight"]
        state["pool.1.weight"], state["pool.1.bias"] = torch.ones(256), torch.zeros(256)
    return state


def state_of(parts):
    return {f"{place}.{key}": value for place, part in parts.items() for key, value in part.items()}


@pytest.fixture(scope="module")
def states():
    """State dicts of an encoder and a decoder as the data card lists their layers, drawn at random."""
    g = torch.Generator().manual_seed(0)
    encoder = {0: convolution(3, 64, g), 1: block(g, pool=False), 14: convolution(64, 4, g)}
    decoder = {1: convolution(4, 64, g), 18: block(g, pool=False), 19: convolution(64, 3, g)}
    for stage in range(3):
        encoder[2 + 4 * stage] = convolution(64, 64, g, bias=False)
        decoder[7 + 5 * stage] = convolution(64, 64, g, bias=False)
        for i in range(3):
            encoder[3 + 4 * stage + i] = block(g, pool=stage == 2)
            decoder[3 + 5 * stage + i] = block(g, pool=stage == 0)
    return state_of(encoder), state_of(decoder)


@pytest.fixture
def weights(states, tmp_path):
    for name, state in zip(("encoder", "decoder"), states, strict=True):
        torch.save(
            {key: value.half() for key, value in state.items()}, tmp_path / f"tiny_{name}.pth"
        )
    return tmp_path / "tiny_encoder.pth"


def by_hand(image, states):
    """The layers once more, from the words of the data card."""
    encoder, decoder = ({k: v.half().float() for k, v in state.items()} for state in states)

    def conv(x, state, name, stride=1):
        return F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), stride, padding=1)

    def residual(x, state, i):
        if f"{i}.pool.0.weight" in state:
            y = F.group_norm(F.conv2d(x, state[f"{i}.pool.0.weight"]), 4)
            x = x + F.conv2d(F.relu(y), state[f"{i}.pool.3.weight"])
        y = F.relu(conv(x, state, f"{i}.conv.0"))
        return F.relu(conv(F.relu(conv(y, state, f"{i}.conv.2")), state, f"{i}.conv.4") + x)

    x = torch.from_numpy(image.transpose(2, 0, 1)[None].copy()).float() / 255
    x = residual(conv(x, encoder, 0), encoder, 1)
    for stage in range(3):
        x = conv(x, encoder, 2 + 4 * stage, stride=2)
        for i in range(3):
            x = residual(x, encoder, 3 + 4 * stage + i)
    x = 3 * torch.tanh(conv(x, encoder, 14) / 3)
    x = F.relu(conv(x, decoder, 1))
    for stage in range(3):
        for i in range(3):
            x = residual(x, decoder, 3 + 5 * stage + i)
        x = conv(F.interpolate(x, scale_factor=2), decoder, 7 + 5 * stage)
    x = conv(residual(x, decoder, 18), decoder, 19).clamp(0, 1)
    return (x[0] * 255).numpy().transpose(1, 2, 0)


def test_the_round_trip_is_that_of_the_layers_by_hand(states, weights):
    image = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)
    out = Autoencoder(weights=str(weights))(image, None)
    assert np.abs(out - by_hand(image, states)).max() <= 0.51
    twice = Autoencoder(weights=str(weights), times=2)(image, None)
    assert np.array_equal(twice, Autoencoder(weights=str(weights))(out, None))


def test_sides_that_are_no_multiples_of_eight_are_filled_up_and_cut_off(states, weights):
    image = np.random.default_rng(1).integers(0, 256, (13, 17, 3), dtype=np.uint8)
    out = Autoencoder(weights=str(weights))(image, None)
    filled = np.pad(image, ((0, 3), (0, 7), (0, 0)), mode="edge")
    assert out.shape == image.shape
    assert np.abs(out - by_hand(filled, states)[:13, :17]).max() <= 0.51
    assert Autoencoder(weights=str(weights))(image[:1, :1], None).shape == (1, 1, 3)


def test_safetensors_and_a_changed_file_are_read(states, weights, tmp_path):
    image = np.random.default_rng(2).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    first = Autoencoder(weights=str(weights))(image, None)
    for name, state in zip(("encoder", "decoder"), states, strict=True):
        half = {key: value.half() for key, value in state.items()}
        safetensors.torch.save_file(half, tmp_path / f"tiny_{name}.safetensors")
    same = Autoencoder(weights=str(tmp_path / "tiny_encoder.safetensors"))
    assert np.array_equal(same(image, None), first)
    torch.save({k: v / 2 for k, v in states[1].items()}, tmp_path / "tiny_decoder.pth")
    assert not np.array_equal(Autoencoder(weights=str(weights))(image, None), first)


def test_it_is_a_step_of_a_condition_with_five_severities(weights):
    kind = registry.launderings()["autoencoder"]
    assert kind.summary
    assert len(kind.severities) == 5
    condition = parse(f"only(fakes)+autoencoder(weights={weights},severity=2)+jpeg(quality=75)")
    assert parse(str(condition)) == condition
    assert parse(condition.resolved) == condition
    assert condition.attack is None
    assert not condition.draws
    step, _ = condition.steps
    assert step.plugin == kind.at_severity(2, weights=str(weights))
    assert step.plugin.times == 2
    assert "sha256" in step.plugin.as_done


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("autoencoder", "name the encoder's file"),
        ("autoencoder(weights=vae.pth)", "name the encoder's file"),
        ("autoencoder(weights=tiny_encoder.pth,times=0)", "the nearest valid one is 1"),
        ("autoencodr(weights=a_encoder.pth)", "autoencoder"),
    ],
)
def test_bad_calls_say_what_to_write(text, message):
    with pytest.raises(BenchError, match=message):
        parse(text)


def test_files_that_are_no_such_weights_say_so(states, weights, tmp_path):
    image = np.zeros((8, 8, 3), np.uint8)
    launder = Autoencoder(weights=str(weights))
    torch.save({"0.weight": torch.zeros(1)}, tmp_path / "tiny_decoder.pth")
    with pytest.raises(ValueError, match="no decoder of the TAESD family"):
        launder(image, None)
    (tmp_path / "tiny_decoder.pth").write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match="no file of weights"):
        launder(image, None)
    (tmp_path / "tiny_decoder.pth").unlink()
    with pytest.raises(ValueError, match="there are no autoencoder weights"):
        launder(image, None)
    with pytest.raises(ValueError, match="holds weights that are not finite"):
        Encoder.of({key: value * float("nan") for key, value in states[0].items()})
    with pytest.raises(ValueError, match="no encoder"):
        Encoder.of(states[1])
    with pytest.raises(ValueError, match="at most 4194304 pixels"):
        launder(np.zeros((4097, 1024, 3), np.uint8), None)
    assert Decoder.of(states[1])[1].in_channels == 4


@pytest.mark.skipif(
    not os.environ.get("BENCH_TEST_PUBLISHED"),
    reason="BENCH_TEST_PUBLISHED names no folder with taef2_encoder.pth",
)
def test_published_weights_draw_a_photograph_nearly_as_it_was():
    with Image.open(next((PUBLISHED / "images").glob("real*"))) as picture:
        image = np.asarray(picture.convert("RGB"))[:128, :128]
    out = Autoencoder(weights=str(PUBLISHED / "taef2_encoder.pth"))(image, None)
    assert peak_signal_noise_ratio(image, out) > 24
    assert not np.array_equal(out, image)
