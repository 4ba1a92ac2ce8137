"""Published files of residual networks: names and shapes, directions, gradients, other people's layers."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import nn

from bench.errors import BenchError
from bench.inference.detector import DetectorRequest, resolve

BLOCKS = (3, 4, 6, 3)


def norm(name, width):
    vectors = {
        f"{name}.{key}": (width,) for key in ("weight", "bias", "running_mean", "running_var")
    }
    return {**vectors, f"{name}.num_batches_tracked": ()}


def bottleneck(name, inputs, width, kernel, *, shortcut):
    shapes = {
        f"{name}.conv1.weight": (width, inputs, 1, 1),
        **norm(f"{name}.bn1", width),
        f"{name}.conv2.weight": (width, width, kernel, kernel),
        **norm(f"{name}.bn2", width),
        f"{name}.conv3.weight": (4 * width, width, 1, 1),
        **norm(f"{name}.bn3", 4 * width),
    }
    if shortcut:
        shapes |= {f"{name}.downsample.0.weight": (4 * width, inputs, 1, 1)}
        shapes |= norm(f"{name}.downsample.1", 4 * width)
    return shapes


def stages(count, kernels):
    """Names and shapes of bottleneck stages; kernels of a stage's first block and of the others."""
    shapes, inputs = {}, 64
    for stage, blocks in enumerate(BLOCKS[:count], start=1):
        width = 32 * 2**stage
        for block in range(blocks):
            first, others = kernels[stage - 1]
            kernel = first if block == 0 else others
            name = f"layer{stage}.{block}"
            shapes |= bottleneck(name, inputs, width, kernel, shortcut=block == 0)
            inputs = 4 * width
    return shapes


def resnet50(outputs, *, kernel=7, count=4, head="fc", features=2048):
    return {
        "conv1.weight": (64, 3, kernel, kernel),
        **norm("bn1", 64),
        **stages(count, [(3, 3)] * 4),
        f"{head}.weight": (outputs, features),
        f"{head}.bias": (outputs,),
    }


def ladeda(outputs):
    return {
        "conv1.weight": (64, 3, 1, 1),
        "conv2.weight": (64, 64, 3, 3),
        **norm("bn1", 64),
        **stages(4, [(3, 1), (3, 1), (1, 1), (1, 1)]),
        "fc.weight": (outputs, 2048),
        "fc.bias": (outputs,),
    }


def tiny_ladeda(outputs):
    return {
        "conv1.weight": (8, 3, 1, 1),
        "conv2.weight": (8, 8, 3, 3),
        **norm("bn1", 8),
        "layer1.0.conv1.weight": (8, 8, 1, 1),
        **norm("layer1.0.bn1", 8),
        "layer1.0.conv2.weight": (8, 8, 3, 3),
        **norm("layer1.0.bn2", 8),
        "fc.weight": (outputs, 8),
        "fc.bias": (outputs,),
    }


def ferret_block(name, inputs, outputs, *, shortcut):
    shapes = {
        f"{name}.layers.0.conv1.weight": (outputs, 1, 3, 3),
        f"{name}.layers.0.conv2.weight": (outputs, 1, 3, 3),
        f"{name}.layers.0.conv3.weight": (outputs, outputs, 1, 1),
        **norm(f"{name}.layers.1", outputs),
        f"{name}.layers.3.depth_wise.weight": (outputs, 1, 3, 3),
        f"{name}.layers.3.point_wise.weight": (outputs, outputs, 1, 1),
        **norm(f"{name}.layers.4", outputs),
    }
    if shortcut:
        shapes[f"{name}.shortcut.0.weight"] = (outputs, inputs, 1, 1)
        shapes[f"{name}.shortcut.0.bias"] = (outputs,)
        shapes |= norm(f"{name}.shortcut.1", outputs)
    return shapes


def ferretnet(outputs, width):
    shapes = {
        "cbr1.0.weight": (width // 2, 3, 3, 3),
        **norm("cbr1.1", width // 2),
        "cbr2.0.weight": (width, width // 2, 3, 3),
        **norm("cbr2.1", width),
    }
    for stage, inputs in enumerate((width, 2 * width)):
        shapes |= ferret_block(f"feature.{stage}.0", inputs, 2 * inputs, shortcut=True)
        shapes |= ferret_block(f"feature.{stage}.1", 2 * inputs, 2 * inputs, shortcut=False)
    return {
        **shapes,
        "feature.2.weight": (4 * width, 4 * width, 1, 1),
        "logit.1.weight": (outputs, 4 * width),
        "logit.1.bias": (outputs,),
    }


def parallel(state):
    return {f"module.{key}": value for key, value in state.items()}


# By method: names and shapes for so many outputs, how the file wraps them, its head, a canvas.
METHODS = {
    "cnndetection-0.1": (resnet50, lambda state: {"model": state, "total_steps": 7}, "fc", 64),
    "cnndetection-0.5": (resnet50, lambda state: {"model": state, "optimizer": {}}, "fc", 64),
    "corvi-latent": (resnet50, lambda state: {"model": parallel(state)}, "fc", 64),
    "corvi-progan": (resnet50, lambda state: {"net": state}, "fc", 64),
    "ferretnet-b": (lambda n: ferretnet(n, 96), lambda state: {"model": state}, "logit.1", 64),
    "ferretnet-s": (lambda n: ferretnet(n, 32), lambda state: {"model": state}, "logit.1", 64),
    "genimage-resnet50": (resnet50, lambda state: {"state_dict": state, "epoch": 90}, "fc", 64),
    "ladeda": (ladeda, lambda state: state, "fc", 64),
    "npr": (
        lambda n: resnet50(n, kernel=3, count=2, head="fc1", features=512),
        lambda state: state,
        "fc1",
        64,
    ),
    "tiny-ladeda": (tiny_ladeda, lambda state: {"state_dict": state}, "fc", 64),
}
DIRECTIONS = {"genimage-resnet50": "z0-z1"}


def drawn(shapes):
    """Values of a plausible size for every name: variances positive, counters whole, half precision."""
    generator = torch.Generator().manual_seed(3)
    state = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(11)
            continue
        value = torch.randn(shape, generator=generator)
        fan = max(1, value[0].numel()) if value.ndim > 1 else 1
        value = value * (2 / fan) ** 0.5 if value.ndim > 1 else value * 0.1
        if name.endswith(("running_var",)) or (value.ndim == 1 and name.endswith("weight")):
            value = value.abs() + 0.5
        state[name] = value.half()
    return state


def outputs_of(name):
    return 2 if DIRECTIONS.get(name, "z") in ("z1-z0", "z0-z1") else 1


@pytest.fixture(scope="module")
def states():
    """Tensors of every method under the published names, drawn once."""
    return {name: drawn(shapes(outputs_of(name))) for name, (shapes, *_) in METHODS.items()}


def loaded(name, state, folder, **said):
    path = Path(folder) / "weights.pth"
    torch.save(METHODS[name][1](state), path)
    return resolve(DetectorRequest(name, path, **said)).to(torch.device("cpu"))


def canvases(name, count=2):
    side = METHODS[name][3]
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("name", METHODS)
def test_the_published_names_and_shapes_load_strictly(name, states, tmp_path):
    detector = loaded(name, states[name], tmp_path)
    ours = detector.network.state_dict()
    assert ours.keys() == states[name].keys()
    assert all(torch.equal(ours[key], value.to(ours[key])) for key, value in states[name].items())
    assert detector.card.fake_logit == DIRECTIONS.get(name, "z")
    batch = canvases(name)
    assert detector.checked_logits(batch).shape == (2,)
    pixels = batch.clone().requires_grad_()
    detector.checked_logits(pixels).sum().backward()
    assert (pixels.grad != 0).float().mean() > 0.5


@pytest.mark.parametrize("name", sorted(METHODS.keys() - {"cnndetection-0.1", "corvi-progan"}))
def test_a_key_that_is_missing_or_renamed_is_named(name, states, tmp_path):
    keys = [key for key in states[name] if key.endswith("weight")]
    lost = keys[len(keys) // 2]
    fewer = {key: value for key, value in states[name].items() if key != lost}
    with pytest.raises(BenchError, match=f"1 missing .{lost.replace('.', '[.]')}"):
        loaded(name, fewer, tmp_path)
    renamed = {("other." + key if key == lost else key): v for key, v in states[name].items()}
    with pytest.raises(BenchError, match=f"1 missing .{lost}.* 1 unexpected .other[.]{lost}"):
        loaded(name, renamed, tmp_path)


@pytest.mark.parametrize("name", ["npr", "tiny-ladeda", "ferretnet-s", "genimage-resnet50"])
def test_one_output_and_two_say_the_same(name, states, tmp_path):
    """A head of one output w is one of two whose difference is w, in either order."""
    head, batch = METHODS[name][2], canvases(name)
    state = dict(states[name])
    weight, bias = state[f"{head}.weight"].float()[:1], state[f"{head}.bias"].float()[:1]
    state |= {f"{head}.weight": weight, f"{head}.bias": bias}
    one = loaded(name, state, tmp_path, fake_logit="z").checked_logits(batch)
    assert not torch.allclose(one, torch.zeros_like(one), atol=1e-3)
    for direction, sign in (("z1-z0", 1), ("z0-z1", -1)):
        halves = {
            f"{head}.weight": torch.cat([-sign * weight / 2, sign * weight / 2]),
            f"{head}.bias": torch.cat([-sign * bias / 2, sign * bias / 2]),
        }
        two = loaded(name, {**state, **halves}, tmp_path, fake_logit=direction)
        torch.testing.assert_close(two.checked_logits(batch), one, atol=1e-4, rtol=1e-4)
    negative = {f"{head}.weight": -weight, f"{head}.bias": -bias}
    reverse = loaded(name, {**state, **negative}, tmp_path, fake_logit="-z")
    torch.testing.assert_close(reverse.checked_logits(batch), one, atol=1e-4, rtol=1e-4)


def test_a_head_of_two_outputs_is_not_taken_for_one(states, tmp_path):
    head = drawn(tiny_ladeda(2))
    with pytest.raises(
        BenchError, match=r"fc.weight has shape \(2, 8\), the network needs \(1, 8\)"
    ):
        loaded("tiny-ladeda", head, tmp_path)


def filled(network, state):
    network.load_state_dict({key: value.float() for key, value in state.items()})
    return network.eval()


def normalised(batch):
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    return (batch - mean) / torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


def test_cnndetection_is_torchvisions_network(states, tmp_path):
    detector = loaded("cnndetection-0.5", states["cnndetection-0.5"], tmp_path)
    batch = canvases("cnndetection-0.5")
    oracle = filled(torchvision.models.resnet50(num_classes=1), states["cnndetection-0.5"])
    with torch.inference_mode():
        expected = oracle(normalised(batch))[:, 0]
    torch.testing.assert_close(detector.checked_logits(batch), expected, atol=1e-4, rtol=1e-4)


def test_genimages_network_is_timms(states, tmp_path):
    detector = loaded("genimage-resnet50", states["genimage-resnet50"], tmp_path)
    batch = canvases("genimage-resnet50")
    oracle = filled(timm.create_model("resnet50", num_classes=2), states["genimage-resnet50"])
    with torch.inference_mode():
        ai, nature = oracle(normalised(batch)).T
    torch.testing.assert_close(detector.checked_logits(batch), ai - nature, atol=1e-4, rtol=1e-4)


def test_corvis_network_keeps_the_full_size_for_two_layers_longer(states, tmp_path):
    detector = loaded("corvi-latent", states["corvi-latent"], tmp_path)
    assert detector.card.input.fit == "native"
    oracle = filled(torchvision.models.resnet50(num_classes=1), states["corvi-latent"])
    oracle.conv1.stride, oracle.maxpool.stride = (1, 1), 1
    batch = canvases("corvi-latent")[:, :, :49, :62]
    with torch.inference_mode():
        expected = oracle(normalised(batch))[:, 0]
    torch.testing.assert_close(detector.checked_logits(batch), expected, atol=1e-4, rtol=1e-4)


def test_npr_is_half_a_resnet_on_the_residual(states, tmp_path):
    detector = loaded("npr", states["npr"], tmp_path)
    oracle = torchvision.models.resnet50()
    oracle.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
    oracle.layer3, oracle.layer4 = nn.Identity(), nn.Identity()
    oracle.fc = nn.Linear(512, 1)
    filled(oracle, {key.replace("fc1", "fc"): value for key, value in states["npr"].items()})
    batch = canvases("npr")
    x = normalised(batch)
    half = nn.functional.interpolate(x, scale_factor=0.5, mode="nearest")
    residual = x - nn.functional.interpolate(half, scale_factor=2, mode="nearest")
    with torch.inference_mode():
        expected = oracle(residual * 2 / 3)[:, 0]
    torch.testing.assert_close(detector.checked_logits(batch), expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="even sides, got 63 x 64 px"):
        detector.logits(batch[..., :63])


# LaDeDa sees 9 px of the residual, which start on a 2 x 2 block; the tiny one 5 px of a 3 x 3 gradient.
@pytest.mark.parametrize(
    ("name", "layer", "view"), [("ladeda", "layer4", 9), ("tiny-ladeda", "layer1", 7)]
)
def test_a_ladeda_score_is_the_mean_over_its_patches(name, layer, view, states, tmp_path):
    detector = loaded(name, states[name], tmp_path)
    maps = []
    module = detector.network.get_submodule(layer)
    module.register_forward_hook(lambda _module, _inputs, out: maps.append(out))
    pixels = canvases(name, count=1).requires_grad_()
    logit = detector.logits(pixels)
    patches = detector.network.fc(maps[0].permute(0, 2, 3, 1))
    torch.testing.assert_close(logit, patches.mean().reshape(1), atol=1e-5, rtol=1e-5)
    row, column = (side // 2 for side in maps[0].shape[-2:])
    maps[0][0, :, row, column].sum().backward()
    seen = pixels.grad[0].abs().amax(dim=0).nonzero()
    assert [int(side) for side in seen.amax(dim=0) - seen.amin(dim=0) + 1] == [view, view]


def test_the_card_says_what_the_paper_published(states, tmp_path):
    card = loaded("cnndetection-0.5", states["cnndetection-0.5"], tmp_path).card
    assert card.licence == "CC-BY-NC-SA-4.0"
    assert card.training_data.generators == ("progan",)
    assert card.weights.url == "https://github.com/PeterWang512/CNNDetection"
    assert len(card.weights.sha256) == 64


def test_a_file_that_is_not_the_published_one_has_seen_nobody_knows_what(states, tmp_path):
    card = loaded("ferretnet-s", states["ferretnet-s"], tmp_path).card
    assert card.training_data is None
    assert card.licence == "unknown"
    assert card.weights.url == ""
