"""Linear probes from two files: their features, whose names CLIP comes in, and what is refused."""

from __future__ import annotations

import json

import pytest
import timm
import torch
from safetensors.torch import save_file

from bench.errors import BenchError
from bench.inference.detector import DetectorRequest, architecture, resolve
from bench.weights.verification import verify
from detectors.card import DetectorCard, InputSpec
from detectors.published.universalfakedetect import DETECTORS

TINY = "vit_xsmall_patch16_clip_224.tinyclip_yfcc15m"
WIDTH, PROJECTED, DEPTH = 256, 512, 10


@pytest.fixture(scope="module")
def tower():
    """A CLIP tower of timm with drawn weights, and its state under timm's names."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model(TINY, pretrained=False).eval()
        torch.nn.init.zeros_(network.head.bias)
    return network


@pytest.fixture(scope="module")
def bodies(tower, tmp_path_factory):
    """The same tower in files as four libraries write it, by library."""
    folder = tmp_path_factory.mktemp("bodies")
    state = tower.state_dict()
    text = {"logit_scale": torch.ones(()), "text_projection": torch.ones(4, 4)}
    files = {
        "timm": state,
        "open_clip": open_clip(state) | text,
        "transformers": transformers(state) | text,
    }
    for name, tensors in files.items():
        save_file({k: v.contiguous() for k, v in tensors.items()}, folder / f"{name}.safetensors")
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, folder / "wrapped.pth")
    return {path.stem: path for path in folder.iterdir()}


def open_clip(state):
    named = {
        "visual.class_embedding": state["cls_token"][0, 0],
        "visual.positional_embedding": state["pos_embed"][0],
        "visual.conv1.weight": state["patch_embed.proj.weight"],
        "visual.proj": state["head.weight"].T,
    }
    for end in ("weight", "bias"):
        named[f"visual.ln_pre.{end}"] = state[f"norm_pre.{end}"]
        named[f"visual.ln_post.{end}"] = state[f"norm.{end}"]
        for block in range(DEPTH):
            theirs, ours = f"visual.transformer.resblocks.{block}", f"blocks.{block}"
            named[f"{theirs}.ln_1.{end}"] = state[f"{ours}.norm1.{end}"]
            named[f"{theirs}.ln_2.{end}"] = state[f"{ours}.norm2.{end}"]
            named[f"{theirs}.attn.in_proj_{end}"] = state[f"{ours}.attn.qkv.{end}"]
            named[f"{theirs}.attn.out_proj.{end}"] = state[f"{ours}.attn.proj.{end}"]
            named[f"{theirs}.mlp.c_fc.{end}"] = state[f"{ours}.mlp.fc1.{end}"]
            named[f"{theirs}.mlp.c_proj.{end}"] = state[f"{ours}.mlp.fc2.{end}"]
    return named


def transformers(state):
    named = {
        "vision_model.embeddings.class_embedding": state["cls_token"][0, 0],
        "vision_model.embeddings.position_embedding.weight": state["pos_embed"][0],
        "vision_model.embeddings.position_ids": torch.arange(197)[None],
        "vision_model.embeddings.patch_embedding.weight": state["patch_embed.proj.weight"],
        "visual_projection.weight": state["head.weight"],
    }
    for end in ("weight", "bias"):
        named[f"vision_model.pre_layrnorm.{end}"] = state[f"norm_pre.{end}"]
        named[f"vision_model.post_layernorm.{end}"] = state[f"norm.{end}"]
        for block in range(DEPTH):
            theirs, ours = f"vision_model.encoder.layers.{block}", f"blocks.{block}"
            named[f"{theirs}.layer_norm1.{end}"] = state[f"{ours}.norm1.{end}"]
            named[f"{theirs}.layer_norm2.{end}"] = state[f"{ours}.norm2.{end}"]
            for part, value in zip("qkv", state[f"{ours}.attn.qkv.{end}"].chunk(3), strict=True):
                named[f"{theirs}.self_attn.{part}_proj.{end}"] = value
            named[f"{theirs}.self_attn.out_proj.{end}"] = state[f"{ours}.attn.proj.{end}"]
            named[f"{theirs}.mlp.fc1.{end}"] = state[f"{ours}.mlp.fc1.{end}"]
            named[f"{theirs}.mlp.fc2.{end}"] = state[f"{ours}.mlp.fc2.{end}"]
    return named


def head(folder, width, outputs=1, wrap=lambda state: state):
    generator = torch.Generator().manual_seed(width)
    state = {
        "weight": torch.randn(outputs, width, generator=generator),
        "bias": torch.randn(outputs, generator=generator),
    }
    path = folder / "fc_weights.pth"
    torch.save(wrap(state), path)
    return path, state


def probe(weights, backbone, name=f"probe/{TINY}", **said):
    request = DetectorRequest(name, weights, backbone=backbone, **({"fake_logit": "z"} | said))
    return resolve(request).to(torch.device("cpu"))


BATCH = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))


def clip_normalised(batch):
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
    return (batch - mean) / torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)


@pytest.mark.parametrize("library", ["timm", "open_clip", "transformers", "wrapped"])
def test_a_tower_in_anybodys_names_gives_the_same_logits(library, tower, bodies, tmp_path):
    weights, state = head(tmp_path, PROJECTED)
    detector = probe(weights, bodies[library])
    with torch.inference_mode():
        features = tower(clip_normalised(BATCH))
    expected = (features @ state["weight"].T + state["bias"])[:, 0]
    torch.testing.assert_close(detector.checked_logits(BATCH), expected, atol=1e-4, rtol=1e-4)
    assert len(detector.card.weights.backbone_sha256) == 64


def test_the_width_of_the_head_says_on_which_side_of_the_projection_it_stands(
    tower, bodies, tmp_path
):
    weights, state = head(tmp_path, WIDTH, wrap=lambda s: {"fc." + k: v for k, v in s.items()})
    detector = probe(weights, bodies["timm"])
    with torch.inference_mode():
        features = tower.forward_features(clip_normalised(BATCH))[:, 0]
    expected = (features @ state["weight"].T + state["bias"])[:, 0]
    torch.testing.assert_close(detector.checked_logits(BATCH), expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(
        BenchError, match=r"of 300 features.* 512 behind its projection and 256 before"
    ):
        probe(head(tmp_path, 300)[0], bodies["timm"])


def test_a_classifier_serves_as_a_body_without_its_head(tmp_path):
    body = timm.create_model("resnet18", pretrained=False).eval()
    torch.save(body.state_dict(), tmp_path / "resnet18.pth")
    weights, state = head(tmp_path, 512, outputs=2)
    name = "probe/resnet18.a1_in1k"
    detector = probe(weights, tmp_path / "resnet18.pth", name, fake_logit="z1-z0")
    pixels = torch.rand(2, 3, 96, 96).requires_grad_()
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    features = body.forward_features((pixels - mean) / std).mean(dim=(2, 3))
    scores = features @ state["weight"].T + state["bias"]
    logits = detector.checked_logits(pixels)
    torch.testing.assert_close(logits, scores[:, 1] - scores[:, 0], atol=1e-4, rtol=1e-4)
    logits.sum().backward()
    assert bool((pixels.grad != 0).flatten(1).any(dim=1).all())


def test_a_card_beside_the_head_holds_with_a_backbone_too(bodies, tmp_path):
    weights, _ = head(tmp_path, PROJECTED)
    plain = probe(weights, bodies["timm"])
    said = {
        "name": "mine",
        "arch": f"probe/{TINY}",
        "fake_logit": "-z",
        "input": plain.card.input.model_dump(mode="json"),
        "training_data": {"dataset": "d", "generators": ["sdxl"]},
    }
    path = weights.with_suffix(".json")
    path.write_text(json.dumps(said))
    detector = probe(weights, bodies["timm"], fake_logit=None)
    assert detector.card.training_data.generators == ("sdxl",)
    assert detector.card.weights.backbone_sha256 == plain.card.weights.backbone_sha256
    torch.testing.assert_close(detector.checked_logits(BATCH), -plain.checked_logits(BATCH))
    with pytest.raises(BenchError, match=r"--fake-logit contradicts the card .*fc_weights\.json"):
        probe(weights, bodies["timm"], fake_logit="z")
    with pytest.raises(BenchError, match=r"--input contradicts the card"):
        probe(weights, bodies["timm"], fake_logit=None, input=InputSpec(size=64))
    for name in ("sha256", "backbone_sha256"):
        path.write_text(json.dumps(said | {"weights": {name: "0" * 64}}))
        with pytest.raises(BenchError, match=f"is the card of another file than .*: its {name}"):
            probe(weights, bodies["timm"], fake_logit=None)


def test_a_head_alone_is_verified_as_what_it_is(tmp_path):
    weights, state = head(tmp_path, PROJECTED)
    fits = verify(weights, detector=f"probe/{TINY}")[-1]
    assert (fits.check, fits.outcome) == ("fits", "ok")
    assert "its backbone comes from other files" in fits.detail
    torch.save({"weight": state["weight"]}, weights)
    fits = verify(weights, detector=f"probe/{TINY}")[-1]
    assert fits.outcome == "failed"
    assert "1 missing (fc.bias)" in fits.detail


def test_what_a_probe_lacks_is_said(bodies, tmp_path):
    weights, _ = head(tmp_path, PROJECTED)
    with pytest.raises(BenchError, match="leaves out the backbone: pass --backbone FILE"):
        probe(weights, None)
    with pytest.raises(BenchError, match=r"no weights file of the backbone at .*nowhere.pth"):
        probe(weights, tmp_path / "nowhere.pth")
    with pytest.raises(BenchError, match="pass --fake-logit"):
        probe(weights, bodies["timm"], fake_logit=None)
    with pytest.raises(BenchError, match="timm knows no model 'vit_nonsense'"):
        probe(weights, bodies["timm"], name="probe/vit_nonsense")
    with pytest.raises(BenchError, match=r"--backbone .* has no effect on npr"):
        probe(weights, bodies["timm"], name="npr")
    with pytest.raises(BenchError, match=r"--backbone .* has no effect on resnet50"):
        probe(weights, bodies["timm"], name="resnet50")


def test_a_tower_of_another_size_is_refused_by_name(bodies, tower, tmp_path):
    weights, _ = head(tmp_path, PROJECTED)
    state = dict(tower.state_dict())
    del state["blocks.3.norm1.weight"]
    save_file(state, tmp_path / "short.safetensors")
    with pytest.raises(BenchError, match=r"1 missing \(blocks.3.norm1.weight"):
        probe(weights, tmp_path / "short.safetensors")


def test_universalfakedetect_is_the_projection_of_vit_l_14_and_one_line():
    """Shapes alone: nobody builds 300 million values for a test."""
    with torch.device("meta"):
        state = DETECTORS["universalfakedetect"].network(1, None).state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert shapes["fc.weight"] == (1, 768)
    assert shapes["fc.bias"] == (1,)
    assert shapes["backbone.head.weight"] == (768, 1024)
    assert shapes["backbone.pos_embed"] == (1, 257, 1024)
    assert sum(name.endswith("attn.qkv.weight") for name in shapes) == 24
    activation = DETECTORS["universalfakedetect"].network
    with torch.device("meta"):
        block = activation(1, None).backbone.blocks[0]
    assert type(block.mlp.act).__name__ == "QuickGELU"


@pytest.mark.parametrize("arch", ["timm/resnet18", "probe/resnet18"])
def test_a_card_may_name_a_network_that_an_adapter_builds(arch, tmp_path):
    """As `bench train --detector timm/resnet18` writes them."""
    network = architecture(arch).build(1)
    save_file(network.state_dict(), tmp_path / "own.safetensors")
    card = DetectorCard(name="own", arch=arch, input=InputSpec(size=64))
    (tmp_path / "own.json").write_text(card.model_dump_json())
    detector = resolve(DetectorRequest(str(tmp_path / "own.safetensors"))).to(torch.device("cpu"))
    batch = torch.rand(2, 3, 64, 64)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    with torch.inference_mode():
        expected = network.eval()((batch - mean) / std)[:, 0]
    torch.testing.assert_close(detector.checked_logits(batch), expected, atol=1e-4, rtol=1e-4)


def test_a_card_that_names_code_runs_none(tmp_path):
    (tmp_path / "evil.py").write_text("raise SystemExit('ran')")
    save_file({"weight": torch.zeros(1)}, tmp_path / "own.safetensors")
    card = DetectorCard(name="own", arch=f"{tmp_path / 'evil.py'}:Name")
    (tmp_path / "own.json").write_text(card.model_dump_json())
    with pytest.raises(BenchError, match="brings its own code or weights"):
        resolve(DetectorRequest(str(tmp_path / "own.safetensors")))
