"""`--detector hf:DIR` against transformers: geometry by its Pillow backend, logits by its own models."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from bench.errors import BenchError
from bench.inference.detector import DetectorRequest, resolve
from bench.protocol.condition import parse
from bench.protocol.input_rule import parse_input

transformers = pytest.importorskip("transformers", reason="needs the extra [hf]: transformers")

AI = {"id2label": {0: "artificial", 1: "human"}, "label2id": {"artificial": 0, "human": 1}}
SHAPES = [(5, 9), (33, 47), (47, 33), (32, 32), (100, 41), (36, 37), (31, 200)]


def swin(**config):
    return transformers.SwinForImageClassification(
        transformers.SwinConfig(
            image_size=32, patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4,
            **{**AI, **config},
        )
    )  # fmt: skip


def vit(**config):
    return transformers.ViTForImageClassification(
        transformers.ViTConfig(
            image_size=32, patch_size=8, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, **{**AI, **config},
        )
    )  # fmt: skip


def siglip(**config):
    vision = {
        "image_size": 32, "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 32,
    }  # fmt: skip
    return transformers.SiglipForImageClassification(
        transformers.SiglipConfig(
            vision_config=vision, text_config={"num_hidden_layers": 1}, **{**AI, **config}
        )
    )


def convnext(**config):
    return transformers.ConvNextForImageClassification(
        transformers.ConvNextConfig(
            hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, **{**AI, **config}
        )
    )


def resnet(**config):
    return transformers.ResNetForImageClassification(
        transformers.ResNetConfig(
            embedding_size=8,
            hidden_sizes=[8, 16],
            depths=[1, 1],
            layer_type="basic",
            **{**AI, **config},
        )
    )


NETWORKS = {
    "swin": (swin, "ViT", {"size": {"height": 32, "width": 32}}),
    "vit": (vit, "ViT", {"size": {"height": 32, "width": 32}, "resample": 3}),
    "siglip": (siglip, "Siglip", {"size": {"height": 32, "width": 32}}),
    "convnext": (convnext, "ConvNext", {"size": {"shortest_edge": 32}}),
    "resnet": (resnet, "ConvNext", {"size": {"shortest_edge": 40}, "crop_pct": 0.9}),
}


def random_image(seed, shape):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def made(folder, build, kind=None, processor=None, **config):
    """Save a tiny network with random weights, large enough to tell images apart."""
    torch.manual_seed(0)
    network = build(**config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    network.save_pretrained(folder)
    if kind:
        getattr(transformers, f"{kind}ImageProcessorPil")(**(processor or {})).save_pretrained(
            folder
        )
    return network


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One folder a network, written once."""
    root = tmp_path_factory.mktemp("hub")
    networks = {
        name: made(root / name, build, kind, processor)
        for name, (build, kind, processor) in NETWORKS.items()
    }
    return root, networks


@pytest.fixture
def folder(folders, tmp_path):
    """A copy of the Swin folder, to spoil."""
    return shutil.copytree(folders[0] / "swin", tmp_path / "swin")


def load(folder, **said):
    return resolve(DetectorRequest(f"hf:{folder}", **said)).to(torch.device("cpu"))


def edit(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize("name", NETWORKS)
def test_geometry_is_the_processors_bit_for_bit_and_logits_are_the_networks(name, folders):
    root, networks = folders
    detector = load(root / name)
    processor = getattr(transformers, f"{NETWORKS[name][1]}ImageProcessorPil").from_pretrained(
        root / name
    )
    canvases = []
    for seed, shape in enumerate(SHAPES):
        image = random_image(seed, shape)
        raw = processor(Image.fromarray(image), do_rescale=False, do_normalize=False)[
            "pixel_values"
        ][0]
        canvas = detector.fit(image)
        assert np.array_equal(canvas, raw)
        canvases.append(canvas)
    batch = torch.from_numpy(np.stack(canvases)) / 255
    with torch.no_grad():
        pixels = [processor(Image.fromarray(random_image(i, s)), return_tensors="pt")["pixel_values"]
                  for i, s in enumerate(SHAPES)]  # fmt: skip
        expected = networks[name](torch.cat(pixels)).logits
        got = detector.checked_logits(batch)
    assert float((got - (expected[:, 0] - expected[:, 1])).abs().max()) < 1e-5
    assert float(expected.std()) > 1e-3
    assert detector.card.fake_labels == ("artificial",)


@pytest.mark.parametrize("name", NETWORKS)
def test_pgd_moves_every_network(name, folders):
    detector = load(folders[0] / name)
    batch = (
        torch.from_numpy(np.stack([detector.fit(random_image(i, (40, 40))) for i in range(4)]))
        / 255
    )
    labels = torch.tensor([0, 1, 0, 1])
    attack = parse("pgd(eps=4/255,steps=3)").attack
    done = attack(detector.checked_logits, batch, labels, range(4)).adversarial
    with torch.no_grad():
        moved = detector.checked_logits(done) - detector.checked_logits(batch)
    assert bool((moved * (1 - 2 * labels) > 1e-4).all())


STATED = [
    ("ViT", {"size": {"height": 20, "width": 28}, "resample": 0}),
    ("ViT", {"size": {"height": 20, "width": 28}, "resample": 5}),
    ("ViT", {"size": {"shortest_edge": 23}, "resample": 4}),
    ("ViT", {"do_resize": False}),
    ("ViT", {"size": {"height": 24, "width": 24}, "rescale_factor": 1 / 127.5, "do_normalize": False}),
    ("ViT", {"size": {"height": 24, "width": 24}, "do_rescale": False, "image_mean": [120.0, 110.0, 100.0],
             "image_std": [58.0, 57.0, 57.5]}),
    ("DeiT", {"size": {"height": 41, "width": 41}, "crop_size": {"height": 32, "width": 32}}),
    ("CLIP", {"size": {"shortest_edge": 40}, "crop_size": {"height": 33, "width": 30}, "resample": 1}),
    ("CLIP", {"size": {"shortest_edge": 20}, "crop_size": {"height": 33, "width": 30}}),
    ("CLIP", {"do_resize": False, "crop_size": {"height": 33, "width": 30}}),
    ("Bit", {"size": {"shortest_edge": 33}, "crop_size": {"height": 32, "width": 32}}),
    ("MobileNetV2", {"size": {"shortest_edge": 37}, "crop_size": {"height": 32, "width": 32}}),
    ("ConvNext", {"size": {"shortest_edge": 31}, "crop_pct": 0.77}),
    ("ConvNext", {"size": {"shortest_edge": 384}}),
    ("Levit", {"size": {"shortest_edge": 31}, "crop_size": {"height": 31, "width": 31}}),
    ("PoolFormer", {"size": {"shortest_edge": 31}, "crop_size": {"height": 31, "width": 31}}),
    ("Beit", {"size": {"height": 25, "width": 25}, "do_center_crop": True,
              "crop_size": {"height": 24, "width": 23}}),
    ("EfficientNet", {"size": {"height": 24, "width": 24}, "rescale_offset": True}),
    ("EfficientNet", {"size": {"height": 24, "width": 24}, "include_top": False, "resample": 0}),
    ("MobileViT", {"size": {"shortest_edge": 35}, "crop_size": {"height": 32, "width": 32}}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "said"), STATED)
def test_every_form_of_a_processor_gives_its_pixels_and_its_values(kind, said, tmp_path):
    from detectors.fit import fit_image
    from detectors.huggingface.folder import read_json
    from detectors.huggingface.processor import preprocessing

    processor = getattr(transformers, f"{kind}ImageProcessorPil")(**said)
    processor.save_pretrained(tmp_path)
    file = tmp_path / "preprocessor_config.json"
    ours = preprocessing(read_json(file), "", str(file))
    mean, std = (np.array(values).reshape(3, 1, 1) for values in (ours.input.mean, ours.input.std))
    for seed, shape in enumerate(SHAPES):
        image = random_image(seed, shape)
        theirs = np.asarray(processor(Image.fromarray(image))["pixel_values"][0])
        values = (fit_image(image, ours.input) / 255 - mean) / std
        values = values[::-1] if ours.reverse_channels else values
        assert values.shape == theirs.shape
        assert np.abs(values - theirs).max() < 3e-5 * max(1, np.abs(theirs).max())
        assert len({tuple(v) for v in (values * std / 3).round(9).reshape(3, -1)[:1]}) == 1


@pytest.mark.parametrize(
    "said",
    [
        {"size": 33, "crop_size": 30},
        {"size": 33, "crop_size": 30, "default_to_square": True},
        {"size": {"height": 33, "width": 34}, "do_center_crop": None},
        {
            "size": {"shortest_edge": 33},
            "crop_size": {"height": 30, "width": 31},
            "do_normalize": None,
        },
        {"do_resize": None, "do_center_crop": True, "crop_size": [30, 31]},
        {},
    ],
)
@pytest.mark.parametrize(
    "kind", ["ViT", "DeiT", "Siglip", "CLIP", "ConvNext", "MobileNetV2", "Beit"]
)
def test_a_file_that_says_little_means_what_the_library_takes_it_for(kind, said, tmp_path):
    from detectors.fit import fit_image
    from detectors.huggingface.processor import preprocessing

    said = {"image_processor_type": f"{kind}ImageProcessor", **said}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    image = random_image(0, (61, 77))
    try:
        processor = getattr(transformers, f"{kind}ImageProcessorPil").from_pretrained(tmp_path)
        theirs = np.asarray(processor(Image.fromarray(image))["pixel_values"][0])
    except (ValueError, AttributeError):  # a size that this processor has no step for
        with pytest.raises(ValueError, match="shortest_edge"):
            preprocessing(said, "", "file")
        return
    ours = preprocessing(said, "", "file").input
    mean, std = (np.array(values).reshape(3, 1, 1) for values in (ours.mean, ours.std))
    values = (fit_image(image, ours) / 255 - mean) / std
    assert values.shape == theirs.shape
    assert np.abs(values - theirs).max() < 1e-5


def without(*keys):
    return lambda config: [config.pop(key, None) for key in keys]


def with_(**values):
    return lambda config: config.update(values)


LABELS = {"0": "AI", "1": "Deepfake", "2": "Real"}


@pytest.mark.parametrize(
    ("labels", "said", "fake", "real"),
    [
        (["AI", "Deepfake", "Real"], {}, (0, 1), (2,)),
        (["dalle", "real", "sd"], {}, (0, 2), (1,)),
        (["human", "AI-generated"], {}, (1,), (0,)),
        (["AiArtData", "RealArt"], {}, (0,), (1,)),
        (["hum", "ai"], {}, (1,), (0,)),
        (["ai", "not ai"], {}, (0,), (1,)),
        (["Realism", "Deepfake"], {}, (1,), (0,)),
        (["LABEL_0", "LABEL_1"], {"fake_labels": ("LABEL_1",)}, (1,), (0,)),
        (["LABEL_0", "LABEL_1"], {"fake_labels": ("0",)}, (0,), (1,)),
        (["cat", "ai", "real"], {"ignore_labels": ("cat",)}, (1,), (2,)),
        (["cat", "gan", "real"], {"fake_labels": ("GAN",)}, (1,), (0, 2)),
    ],
)
def test_k_labels_become_one_logit_by_log_sum_exp(labels, said, fake, real, tmp_path):
    names = dict(enumerate(labels))
    network = made(
        tmp_path, resnet, "ConvNext", {"size": {"shortest_edge": 32}},
        id2label=names, label2id={v: k for k, v in names.items()},
    )  # fmt: skip
    detector = load(tmp_path, **said)
    batch = (
        torch.from_numpy(np.stack([detector.fit(random_image(i, (40, 40))) for i in range(3)]))
        / 255
    )
    with torch.no_grad():
        out = network((batch - 0.5) / 0.5).logits.double()
        got = detector.checked_logits(batch)
    odds = out.exp()[:, list(fake)].sum(1) / out.exp()[:, list(real)].sum(1)
    assert got.tolist() == pytest.approx(odds.log().tolist(), abs=1e-5)


REFUSED = [
    # what is spoilt in config.json, what was said, what the refusal says
    (with_(id2label={"0": "LABEL_0", "1": "LABEL_1"}), {}, "--fake-label"),
    (without("id2label", "label2id"), {}, "'LABEL_0', 'LABEL_1' tell nothing"),
    (with_(id2label={"0": "cat", "1": "real"}), {}, "'cat' do not tell"),
    (with_(id2label={"0": "ai", "1": "deepfake"}), {}, "left to mean real"),
    (with_(id2label={"0": "human", "1": "real"}), {}, "left to mean AI-generated"),
    (with_(id2label={"0": "ai", "1": "real"}), {"ignore_labels": ("real",)}, "left to mean real"),
    (with_(id2label={"0": "ai", "1": "real"}), {"fake_labels": ("fake",)}, "no such label"),
    (with_(id2label={"0": "ai", "1": "real"}), {"fake_labels": ("ai",), "ignore_labels": ("ai",)}, "both in"),
    (with_(id2label={"0": "ai", "1": "gan"}), {"fake_labels": ("ai",)}, "'gan' means AI-generated"),
    (with_(id2label={"0": "ai", "2": "real"}), {}, "numbers from 0"),
    (with_(id2label="ai"), {}, "a label for each output"),
    (with_(id2label={"0": "ai", "1": "ai"}), {"fake_labels": ("ai",)}, "by position"),
    (with_(problem_type="multi_label_classification"), {}, "do not exclude each other"),
    (with_(problem_type="regression"), {}, "a regression"),
    (with_(auto_map={"AutoModel": "evil.Evil"}), {}, "never run"),
    (with_(quantization_config={"bits": 4}), {}, "quantised"),
    (with_(model_type="my_own"), {}, "does not know"),
    (without("model_type"), {}, "no configuration of transformers"),
    (with_(num_channels=1), {}, "1 channels"),
    (with_(architectures=["SwinModel"]), {}, "no image classifier"),
    (with_(embed_dim="wide"), {}, "configuration of 'swin'|cannot build"),
    (with_(embed_dim=32), {}, "of another shape"),
    (with_(depths=[1, 2]), {}, "missing"),
    (with_(patch_size=0), {}, "cannot build|configuration of"),
    (with_(id2label={"0": "ai", "1": "gan", "2": "real"}), {}, "classifier.weight has"),
    (None, {"fake_logit": "z1-z0"}, "--fake-logit z1-z0 has no effect"),
    (None, {"output": "probability"}, "--output probability has no effect"),
    (None, {"backbone": Path("vit.pth")}, "--backbone vit.pth has no effect"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said", "reason"), REFUSED)
def test_what_is_not_clear_is_refused_with_what_to_say(change, said, reason, folder):
    if change is not None:
        edit(folder / "config.json", change)
    with pytest.raises(BenchError, match=reason) as refused:
        load(folder, **said)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no JSON"), ("[1]", "holds a list"), ("{", "no JSON"), ("[" * 100_000, "no JSON"),
        ('{"model_size": "small", "input_size": 384, "patch_size": 16}', "keys are input_size, model_size"),
        ("{}", "keys are none"),
    ],
)  # fmt: skip
def test_a_config_of_something_else_is_refused_by_what_it_is(content, reason, folder):
    (folder / "config.json").write_text(content)
    with pytest.raises(BenchError, match=reason):
        load(folder)


def test_a_folder_without_its_files_says_which(folder, tmp_path):
    with pytest.raises(BenchError, match="no folder at"):
        load(tmp_path / "not there")
    with pytest.raises(BenchError, match="is a file"):
        load(folder / "config.json")
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    with pytest.raises(BenchError, match=r"neither model.safetensors nor .* other.safetensors"):
        load(folder)
    (folder / "config.json").unlink()
    with pytest.raises(BenchError, match=r"no config.json"):
        load(folder)


def test_a_missing_preprocessing_is_asked_for_and_taken_from_another_folder_or_a_rule(
    folder, folders
):
    whole = load(folder)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(BenchError, match=r"--processor DIR .*--input 'resize\(32, mean=half"):
        load(folder)
    other = load(folder, processor=folders[0] / "swin")
    rule = parse_input("resize(32, interpolation=bilinear, mean=half, std=half)")
    said = load(folder, input=rule)
    assert whole.card.input == other.card.input == said.card.input
    image = random_image(0, (50, 40))
    assert np.array_equal(whole.fit(image), said.fit(image))
    with pytest.raises(BenchError, match="one of the two"):
        load(folder, processor=folders[0] / "swin", input=rule)
    with pytest.raises(BenchError, match=r"no preprocessor_config\.json in it"):
        load(folder, processor=folder)


PROCESSORS = [
    (with_(image_processor_type="Siglip2ImageProcessor"), "steps are not known"),
    (with_(image_processor_type="MyProcessor", auto_map={}), "never run"),
    (with_(do_pad=True), "do_pad"),
    (with_(size={"longest_edge": 32}), "were expected"),
    (with_(size={"height": 0, "width": 32}), "pixels from 1"),
    (with_(size={"height": "32", "width": 32}), "pixels from 1"),
    (with_(size=float("nan")), "pixels from 1"),
    (with_(resample=9), "resample"),
    (with_(resample=None), "resample"),
    (with_(image_mean=[0.5]), None),
    (with_(image_mean=None), "three numbers"),
    (with_(size=None), "pixels from 1"),
    (with_(do_center_crop=None, crop_size=None, do_pad=None, default_to_square=None), None),
    (with_(image_mean=[0.5, 0.5]), "three numbers"),
    (with_(image_std=[0, 0, 0]), "positive"),
    (with_(image_std=[float("inf")] * 3), "finite"),
    (with_(rescale_factor="1/255"), "rescale_factor"),
    (with_(do_tile=True), "do_tile"),
    (with_(size=32), None),
    (with_(size=[32, 32]), None),
    (without("image_processor_type"), None),
    (with_(image_processor_type=None, feature_extractor_type="ViTFeatureExtractor"), None),
    (with_(image_processor_type="ViTImageProcessorFast"), None),
    (
        without("resample", "do_resize", "image_mean", "image_std", "rescale_factor", "do_rescale"),
        None,
    ),
]


@pytest.mark.parametrize(("change", "reason"), PROCESSORS)
def test_a_step_of_the_preprocessing_is_known_exactly_or_refused(change, reason, folder):
    whole = load(folder).card.input
    edit(folder / "preprocessor_config.json", change)
    if reason is None:
        assert load(folder).card.input == whole
    else:
        with pytest.raises(BenchError, match=reason):
            load(folder)


def test_preprocessing_nested_as_transformers_5_writes_it(folder):
    whole = load(folder).card.input
    inner = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": inner}))
    assert load(folder).card.input == whole
    (folder / "processor_config.json").write_text(json.dumps({"tokenizer": {}}))
    with pytest.raises(BenchError, match="no image_processor"):
        load(folder)


def test_an_input_that_the_network_does_not_take_is_refused_at_once(tmp_path):
    made(tmp_path, vit, "ViT", {"size": {"height": 40, "width": 40}})
    with pytest.raises(BenchError, match=r"does not take .*--input 'resize\(32"):
        load(tmp_path)
    rule = parse_input("resize(32, resize_to=40, mean=half, std=half, padding=zero)")
    assert (
        load(tmp_path, input=rule)
        .card.input.describe()
        .startswith("resize to 40 px (bicubic), centre")
    )


def spoil(folder, change):
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def test_keys_that_are_missing_or_too_many_and_values_that_are_none_are_refused_by_name(folder):
    key = "swin.layernorm.weight"
    value = load_file(folder / "model.safetensors")[key]
    spoil(folder, lambda state: state.pop(key))
    with pytest.raises(BenchError, match=rf"1 missing \({key}\)"):
        load(folder)
    spoil(folder, lambda state: state.update({"swin.layernorm.wieght": value}))
    with pytest.raises(BenchError, match=r"missing .* and 1 unexpected \(swin.layernorm.wieght\)"):
        load(folder)
    spoil(
        folder,
        lambda state: (
            state.update({key: value * float("nan")}) or state.pop("swin.layernorm.wieght")
        ),
    )
    with pytest.raises(BenchError, match=rf"{key} holds values that are not finite"):
        load(folder)
    spoil(folder, lambda state: state.update({key: torch.ones(3)}))
    with pytest.raises(BenchError, match=rf"1 of another shape \({key} has"):
        load(folder)


def test_weights_in_pieces_in_half_precision_and_as_a_checkpoint_are_the_same_detector(
    folder, folders
):
    image = torch.from_numpy(load(folder).fit(random_image(0, (40, 40))))[None] / 255
    with torch.no_grad():
        whole = float(load(folder).checked_logits(image)[0])
        state = load_file(folder / "model.safetensors")
        names = sorted(state)
        (folder / "model.safetensors").unlink()
        torch.save(state, folder / "pytorch_model.bin")
        assert float(load(folder).checked_logits(image)[0]) == whole
        (folder / "pytorch_model.bin").unlink()
        halves = {
            "model-00001-of-00002.safetensors": names[:9],
            "model-00002-of-00002.safetensors": names[9:],
        }
        for file, part in halves.items():
            save_file({name: state[name] for name in part}, folder / file)
        index = {"weight_map": {name: file for file, part in halves.items() for name in part}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        detector = load(folder)
        assert float(detector.checked_logits(image)[0]) == whole
        assert set(halves) < set(detector.card.weights.files)
        (folder / "model-00002-of-00002.safetensors").unlink()
        with pytest.raises(BenchError, match="names model-00002"):
            load(folder)
        index["weight_map"][names[0]] = "../elsewhere.safetensors"
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        with pytest.raises(BenchError, match="no file beside it"):
            load(folder)


class Evil:
    def __reduce__(self):
        return (print, ("code of the file was run",))


def test_a_pickle_that_holds_more_than_tensors_is_refused_and_not_run(folder, capsys):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Evil()}))
    with pytest.raises(BenchError, match="cannot be read as plain weights"):
        load(folder)
    assert "code of the file" not in capsys.readouterr().out


def test_one_output_has_a_direction_that_is_asked_for(tmp_path):
    network = made(
        tmp_path, resnet, "ConvNext", {"size": {"shortest_edge": 32}},
        id2label={0: "LABEL_0"}, label2id={"LABEL_0": 0},
    )  # fmt: skip
    with pytest.raises(BenchError, match="--fake-logit z"):
        load(tmp_path)
    batch = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network((batch - 0.5) / 0.5).logits[:, 0]
        assert load(tmp_path, fake_logit="z").checked_logits(batch).tolist() == pytest.approx(
            expected.tolist(), abs=1e-6
        )
        assert load(tmp_path, fake_logit="-z").checked_logits(batch).tolist() == pytest.approx(
            (-expected).tolist(), abs=1e-6
        )


def test_another_label_file_or_weight_is_another_detector_and_a_moved_folder_is_not(
    folder, tmp_path
):
    first = load(folder).identity()
    assert load(folder).identity() == first
    moved = shutil.copytree(folder, tmp_path / "moved" / "swin")
    assert load(moved).identity() == first
    edit(moved / "config.json", with_(id2label={"0": "LABEL_0", "1": "LABEL_1"}))
    assert (
        len(
            {load(moved, fake_labels=(name,)).identity() for name in ("LABEL_0", "LABEL_1")}
            | {first}
        )
        == 3
    )
    spoil(folder, lambda state: state["classifier.bias"].add_(1))
    assert load(folder).identity() != first


def test_a_folder_of_timm_is_loaded_with_its_own_rule_and_its_own_keys(tmp_path):
    import timm
    from torchvision.transforms import v2

    torch.manual_seed(0)
    network = timm.create_model("resnet10t", num_classes=2).eval()
    config = {
        "architecture": "resnet10t", "num_classes": 2, "label_names": ["ai", "human"],
        "pretrained_cfg": {
            "input_size": [3, 38, 38], "crop_pct": 0.95, "crop_mode": "center", "interpolation": "bicubic",
            "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "num_classes": 2,
        },
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    detector = load(tmp_path)
    for seed, shape in enumerate(SHAPES):
        image = random_image(seed, shape)
        steps = timm.data.create_transform(
            input_size=(3, 38, 38),
            interpolation="bicubic",
            crop_pct=0.95,
            mean=(0.5,) * 3,
            std=(0.25,) * 3,
        )
        steps.transforms = [*steps.transforms[:2], v2.PILToTensor()]
        assert np.array_equal(detector.fit(image), steps(Image.fromarray(image)).numpy())
    batch = torch.rand(2, 3, 38, 38)
    with torch.no_grad():
        out = network((batch - 0.5) / 0.25)
        assert torch.allclose(detector.checked_logits(batch), out[:, 0] - out[:, 1], atol=1e-5)
    spoil(tmp_path, lambda state: state.pop("fc.bias"))
    with pytest.raises(BenchError, match=r"1 missing \(fc.bias\)"):
        load(tmp_path)
    edit(tmp_path / "config.json", with_(architecture="hf-hub:evil/model"))
    with pytest.raises(BenchError, match="is a place"):
        load(tmp_path)
    edit(tmp_path / "config.json", with_(architecture="resnet10t", pretrained_cfg={}))
    with pytest.raises(BenchError, match="states no input"):
        load(tmp_path)


def test_a_name_of_the_hub_is_not_asked_for_offline(monkeypatch, tmp_path):
    asked = []

    def snapshot(repository, **arguments):
        asked.append((repository, arguments))
        raise OSError("nothing cached")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    monkeypatch.chdir(tmp_path)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "BENCH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
        with monkeypatch.context() as patch:
            patch.setenv(name, "1")
            with pytest.raises(BenchError, match="not in the cache"):
                resolve(DetectorRequest("hf:owner/name"))
    with pytest.raises(BenchError, match="not in the cache"):
        resolve(DetectorRequest("hf:owner/name", offline=True))
    assert [arguments["local_files_only"] for _, arguments in asked] == [True] * 4
    with pytest.raises(BenchError, match="cannot be fetched"):
        resolve(DetectorRequest("hf:owner/name@v1.0"))
    assert asked[-1][0] == "owner/name"
    assert asked[-1][1]["revision"] == "v1.0"
    assert not any(
        pattern.endswith((".bin", ".pth", ".py")) for pattern in asked[-1][1]["allow_patterns"]
    )
    for name in ("owner", "a/b/c", "../secret", "/nowhere", "owner/..", ""):
        with pytest.raises(BenchError, match="no folder at"):
            resolve(DetectorRequest(f"hf:{name}"))
    assert len(asked) == 5


def test_a_snapshot_of_the_hub_says_its_revision_and_the_hash_of_every_file(
    monkeypatch, folder, tmp_path
):
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "models--owner--name" / "snapshots" / commit
    shutil.copytree(folder, snapshot)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(snapshot))
    monkeypatch.chdir(tmp_path)
    request = DetectorRequest("hf:owner/name")
    card = resolve(request).card
    assert request.label == card.name == "owner/name"
    assert card.weights.revision == commit
    assert set(card.weights.files) == {
        "config.json",
        "preprocessor_config.json",
        "model.safetensors",
    }
    assert all(len(digest) == 64 for digest in card.weights.files.values())
    assert DetectorRequest(f"hf:{snapshot}").label == "owner/name"
    (snapshot / "model.safetensors").rename(snapshot / "pytorch_model.bin")
    with pytest.raises(BenchError, match="a pickle is not fetched"):
        resolve(request)


def test_without_the_extra_the_refusal_names_it(monkeypatch, folder):
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(BenchError, match=r"pip install 'detector-bench\[hf\]'"):
        load(folder)
