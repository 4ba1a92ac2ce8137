"""Networks exported to ONNX: the same logits as torch, every question asked, no gradient believed unseen."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import bench
from bench.errors import BenchError
from bench.inference.detector import DetectorRequest, resolve
from bench.protocol.input_rule import parse_input
from bench.protocol.suite import Suite

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
timm = pytest.importorskip("timm")

RULE = "crop(size=32, mean=half, std=half)"
SUITE = Suite(
    name="attacked",
    slices=["generator"],
    conditions=["clean", "pgd(eps=2/255,steps=2)", "square(eps=8/255,queries=4)"],
)


def network(name, outputs):
    """A tiny network of the architecture with weights drawn wide enough for logits to differ."""
    torch.manual_seed(0)
    made = {
        "vit": lambda: timm.create_model(
            "vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=2,
            num_classes=outputs,
        ),
        "resnet": lambda: timm.create_model("resnet10t", num_classes=outputs),
        "convnext": lambda: timm.create_model(
            "convnext_atto", depths=(1, 1, 1, 1), dims=(8, 16, 24, 32), num_classes=outputs
        ),
        "conv": lambda: nn.Sequential(
            nn.Conv2d(3, 8, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, outputs)
        ),
    }[name]()  # fmt: skip
    for module in made.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.3)
    return made.eval()


def export(module, path, *, batch=None, size=32, **options):
    """Write a module as ONNX; the batch is open unless it is given, so is the size where it is None."""
    axes = {} if batch else {"x": {0: "n"}, "y": {0: "n"}}
    if size is None:
        axes["x"] |= {2: "h", 3: "w"}
    example = options.pop("example", torch.rand(batch or 2, 3, size or 32, size or 32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, example, str(path), input_names=["x"], output_names=["y"], dynamic_axes=axes,
            opset_version=17, dynamo=False,
        )  # fmt: skip
    return path


def detector(path, **options):
    if isinstance(options.get("input", RULE), str):
        options["input"] = parse_input(options.get("input", RULE))
    return resolve(DetectorRequest(str(path), **options))


def refused(path, **options):
    with pytest.raises(BenchError) as error:
        detector(path, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


BATCH = torch.randint(0, 256, (5, 3, 32, 32), generator=torch.Generator().manual_seed(1)) / 255


def theirs(module, batch=BATCH):
    with torch.no_grad():
        return module((batch - 0.5) / 0.5)


@pytest.mark.parametrize(("name", "outputs"), [("vit", 2), ("resnet", 1), ("convnext", 3)])
def test_logits_are_torch_s(tmp_path, name, outputs):
    module = network(name, outputs)
    path = export(module, tmp_path / f"{name}.onnx")
    options = {1: {"fake_logit": "-z"}, 2: {"fake_logit": "z0-z1"}, 3: {"fake_labels": ("0", "2")}}
    got = detector(path, **options[outputs]).checked_logits(BATCH)
    z = theirs(module)
    want = {
        1: lambda: -z[:, 0],
        2: lambda: z[:, 0] - z[:, 1],
        3: lambda: torch.logaddexp(z[:, 0], z[:, 2]) - z[:, 1],
    }[outputs]()
    assert float((got - want).abs().max()) < 1e-4
    assert float(want.std()) > 0.01


def test_the_board_says_not_attackable_by_gradient_and_square_runs(tmp_path, tree):
    path = export(network("conv", 1), tmp_path / "mine.onnx")
    request = DetectorRequest(str(path), fake_logit="z", input=parse_input(RULE))
    run = bench.run(request, suite=SUITE, data=tree, out=tmp_path / "out")
    status = run.board.rows.groupby("condition")[["status", "reason"]].first()
    assert status.loc["pgd(eps=2/255,steps=2)", "status"] == "not attackable"
    assert "no gradient" in status.loc["pgd(eps=2/255,steps=2)", "reason"]
    assert status.loc["square(eps=8/255,queries=4)", "status"] == "ok"
    assert status.loc["clean", "status"] == "ok"
    assert (run.board.rows["detector"] == "mine").all()
    again = bench.run(request, suite=SUITE, data=tree, out=tmp_path / "out")
    assert again.counts.scored == 0


@pytest.mark.parametrize(
    ("arithmetic", "flag"),
    [({"precision": "bf16"}, "--precision bf16"), ({"compile": True}, "--compile")],
)
def test_arithmetic_that_the_file_would_not_follow_is_refused(tmp_path, tree, arithmetic, flag):
    path = export(network("conv", 1), tmp_path / "mine.onnx")
    request = DetectorRequest(str(path), fake_logit="z", input=parse_input(RULE))
    with pytest.raises(BenchError, match=f"{flag} has no effect on mine: onnxruntime"):
        bench.run(request, suite=SUITE, data=tree, out=tmp_path / "out", **arithmetic)
    assert not (tmp_path / "out" / "leaderboard.csv").exists()


def test_an_option_of_other_detectors_is_refused(tmp_path):
    path = export(network("conv", 1), tmp_path / "mine.onnx")
    for option in ("weights", "backbone", "processor"):
        said = refused(path, fake_logit="z", **{option: tmp_path / "x"})
        assert f"--{option} {tmp_path / 'x'} has no effect" in said


@pytest.mark.parametrize(
    "kind", ["nhwc", "batch of one", "batch of three", "float16", "uint8", "any size"]
)
def test_forms_of_the_input(tmp_path, kind):
    module = network("conv", 1)

    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = module.half() if kind == "float16" else module

        def forward(self, x):
            if kind == "nhwc":
                x = x.permute(0, 3, 1, 2)
            if kind == "uint8":
                x = (x.float() / 255 - 0.5) / 0.5
            return self.inner(x)

    options = {
        "nhwc": {"example": torch.rand(2, 32, 32, 3)},
        "batch of one": {"batch": 1},
        "batch of three": {"batch": 3},
        "float16": {"example": torch.rand(2, 3, 32, 32).half()},
        "uint8": {"example": torch.zeros(2, 3, 32, 32, dtype=torch.uint8)},
        "any size": {"size": None},
    }[kind]
    path = export(Wrapped(), tmp_path / "x.onnx", **options)
    rule = "crop(size=32)" if kind == "uint8" else RULE
    got = detector(path, fake_logit="z", input=rule).checked_logits(BATCH)
    module.float()
    tolerance = 2e-3 if kind == "float16" else 1e-5
    assert float((got - theirs(module)[:, 0]).abs().max()) < tolerance
    if kind == "uint8":
        assert "8-bit" in refused(path, fake_logit="z")
    if kind == "any size":
        small = detector(path, fake_logit="z", input="crop(size=24, mean=half, std=half)")
        assert small.checked_logits(BATCH[..., :24, :24]).shape == (5,)
    else:
        assert "say size=32" in refused(path, fake_logit="z", input="crop(size=24)")
        bare = detector(
            path, fake_logit="z", input="crop" if kind == "uint8" else "crop(mean=half,std=half)"
        )
        assert bare.card.input.size == 32


def test_int8_models_and_files_beside_the_model_run_and_count(tmp_path):
    quantization = pytest.importorskip("onnxruntime.quantization")
    module = network("conv", 1)
    path = export(module, tmp_path / "x.onnx")
    quantization.quantize_dynamic(str(path), str(tmp_path / "q.onnx"))
    got = detector(tmp_path / "q.onnx", fake_logit="z").checked_logits(BATCH)
    assert float((got - theirs(module)[:, 0]).abs().max()) < 0.1
    folder = tmp_path / "outside"
    folder.mkdir()
    onnx.save(
        onnx.load(str(path)), str(folder / "x.onnx"), save_as_external_data=True,
        location="x.weights", size_threshold=0,
    )  # fmt: skip
    first = detector(folder / "x.onnx", fake_logit="z")
    assert float((first.checked_logits(BATCH) - theirs(module)[:, 0]).abs().max()) < 1e-5
    content = bytearray((folder / "x.weights").read_bytes())
    content[3] ^= 1
    (folder / "x.weights").write_bytes(content)
    assert detector(folder / "x.onnx", fake_logit="z").identity() != first.identity()
    (folder / "x.weights").unlink()
    assert "'x.weights', which is not beside it" in refused(folder / "x.onnx", fake_logit="z")
    model = onnx.load(str(path))
    onnx.external_data_helper.convert_model_to_external_data(
        model, location="../stolen", size_threshold=0
    )
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
    (folder / "y.onnx").write_bytes(model.SerializeToString())
    assert "outside its folder" in refused(folder / "y.onnx", fake_logit="z")


class Head(nn.Module):
    """Turns logits into what some exports give instead."""

    def __init__(self, module, form):
        super().__init__()
        self.module, self.form = module, form

    def forward(self, x):
        z = self.module(x) * 3
        return {"sigmoid": torch.sigmoid, "softmax": lambda v: torch.softmax(v, 1)}[self.form](z)


def test_probabilities_become_log_odds_and_nothing_is_guessed(tmp_path):
    for form, outputs, direction in (("sigmoid", 1, "z"), ("softmax", 2, "z1-z0")):
        module = network("conv", outputs)
        path = export(Head(module, form), tmp_path / f"{form}.onnx")
        assert "--output probability or --output logit" in refused(path, fake_logit=direction)
        got = detector(path, fake_logit=direction, output="probability").checked_logits(BATCH)
        z = theirs(module) * 3
        want = z[:, 0] if outputs == 1 else z[:, 1] - z[:, 0]
        assert float((got - want).abs().max()) < 1e-4
        raw = detector(path, fake_logit=direction, output="logit").checked_logits(BATCH)
        assert float((raw - want).abs().max()) > 0.01
    logits = export(network("convnext", 2), tmp_path / "logits.onnx")
    assert "--output logit" in refused(logits, fake_logit="z1-z0", output="probability")
    assert "nobody says what means AI-generated: pass --fake-logit z1-z0 or z0-z1" in refused(
        logits
    )
    assert "2 outputs" in refused(logits, fake_logit="z")
    assert "give their numbers" in refused(logits, fake_labels=("fake",))
    assert "without --fake-label" in refused(logits, fake_logit="z1-z0", ignore_labels=("0",))
    assert "leave at least one" in refused(logits, fake_labels=("0", "1"))
    with pytest.raises(BenchError, match=r"nobody says how images become .* --input"):
        resolve(DetectorRequest(str(logits), fake_logit="z1-z0"))


def test_saturated_probabilities_are_clamped_and_their_ties_told(tmp_path, tree):
    class Saturated(nn.Module):
        def forward(self, x):
            return torch.sigmoid(4000 * (x[:, :1].mean((2, 3)) - x[:, 2:].mean((2, 3))))

    path = export(Saturated(), tmp_path / "s.onnx")
    request = DetectorRequest(
        str(path), fake_logit="z", output="probability", input=parse_input(RULE)
    )
    suite = Suite(name="clean", slices=["generator"], conditions=["clean"])
    run = bench.run(request, suite=suite, data=tree, out=tmp_path / "out")
    told = [c for c in run.board.notes.warnings if c.code == "ties"]
    assert told
    assert told[0].detector == "s"
    assert set(run.board.rows["status"]) == {"ok"}


def test_a_card_beside_the_file_says_it_all(tmp_path):
    module = network("conv", 2)
    path = export(module, tmp_path / "mine.onnx")
    rule = {"size": 32, "fit": "crop", "mean": [0.5] * 3, "std": [0.5] * 3}
    card = {"name": "mine", "arch": "conv", "fake_logit": "z1-z0", "input": rule, "licence": "MIT",
            "training_data": {"dataset": "d", "generators": ["sdxl"]}}  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(card))
    loaded = resolve(DetectorRequest(str(path)))
    z = theirs(module)
    assert float((loaded.checked_logits(BATCH) - (z[:, 1] - z[:, 0])).abs().max()) < 1e-5
    assert loaded.card.training_data.generators == ("sdxl",)
    assert loaded.card.weights.sha256
    with pytest.raises(BenchError, match="contradicts the card"):
        resolve(DetectorRequest(str(path), fake_logit="z0-z1"))
    path.with_suffix(".json").write_text(json.dumps({**card, "weights": {"sha256": "0" * 64}}))
    with pytest.raises(BenchError, match="card of another file"):
        resolve(DetectorRequest(str(path)))


def test_gradients_of_a_twin_count_only_where_its_logits_are_the_model_s(tmp_path, tree):
    pytest.importorskip("onnx2torch")
    path = export(network("conv", 1), tmp_path / "mine.onnx")
    rule = {"size": 32, "fit": "crop", "mean": [0.5] * 3, "std": [0.5] * 3}
    card = {
        "name": "mine",
        "arch": "conv",
        "fake_logit": "z",
        "input": rule,
        "differentiable": True,
    }
    path.with_suffix(".json").write_text(json.dumps(card))
    loaded = resolve(DetectorRequest(str(path)))
    batch = BATCH.clone().requires_grad_()
    loaded.checked_logits(batch).sum().backward()
    direct = BATCH.clone().requires_grad_()
    network("conv", 1)((direct - 0.5) / 0.5).sum().backward()
    assert torch.allclose(batch.grad, direct.grad, rtol=1e-3, atol=1e-6)
    run = bench.run(str(path), suite=SUITE, data=tree, out=tmp_path / "out")
    assert set(run.board.rows["status"]) == {"ok"}
    with torch.no_grad():
        next(loaded.twin.parameters()).add_(0.05)
    from detectors.errors import GradientError

    with pytest.raises(GradientError, match="other logits than onnxruntime"):
        loaded.checked_logits(BATCH.clone().requires_grad_())
    assert torch.isfinite(loaded.checked_logits(BATCH)).all()


def test_a_twin_that_disagrees_is_not_attackable_on_the_board(tmp_path, tree, monkeypatch):
    pytest.importorskip("onnx2torch")
    from detectors.adapters import onnx_rules

    path = export(network("conv", 1), tmp_path / "mine.onnx")
    rule = {"size": 32, "fit": "crop", "mean": [0.5] * 3, "std": [0.5] * 3}
    card = {
        "name": "mine",
        "arch": "conv",
        "fake_logit": "z",
        "input": rule,
        "differentiable": True,
    }
    path.with_suffix(".json").write_text(json.dumps(card))
    honest = onnx_rules._twin

    def other(where):
        network = honest(where)
        with torch.no_grad():
            next(network.parameters()).add_(0.05)
        return network

    monkeypatch.setattr(onnx_rules, "_twin", other)
    run = bench.run(str(path), suite=SUITE, data=tree, out=tmp_path / "out")
    rows = run.board.rows.groupby("condition")[["status", "reason"]].first()
    assert rows.loc["pgd(eps=2/255,steps=2)", "status"] == "not attackable"
    assert "other logits than onnxruntime" in rows.loc["pgd(eps=2/255,steps=2)", "reason"]
    assert rows.loc["square(eps=8/255,queries=4)", "status"] == "ok"


def test_broken_and_hostile_files_are_one_sentence(tmp_path):
    path = export(network("conv", 1), tmp_path / "x.onnx")
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for n, bad in enumerate(
        [
            b"",
            b"hello",
            content[:200],
            content[:-1],
            bytes(1000),
            rng.bytes(4096),
            b"\x08" + b"\xff" * 40,
        ]
    ):
        broken = tmp_path / f"{n}.onnx"
        broken.write_bytes(bad)
        assert str(broken) in refused(broken, fake_logit="z")
    assert "no ONNX file at" in refused(tmp_path / "none.onnx")
    assert "no ONNX file at" in refused(tmp_path.with_suffix(".onnx"))
    make, types = onnx.helper, onnx.TensorProto

    def written(name, nodes, inputs=None, outputs=None, domain=""):
        graph = make.make_graph(
            nodes, "g",
            inputs or [make.make_tensor_value_info("x", types.FLOAT, ["n", 3, 32, 32])],
            outputs or [make.make_tensor_value_info("y", types.FLOAT, ["n", 1])],
        )  # fmt: skip
        opsets = [make.make_opsetid("", 17), *([make.make_opsetid(domain, 1)] if domain else [])]
        file = tmp_path / f"{name}.onnx"
        file.write_bytes(
            make.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
        )
        return file

    mean = make.make_node("ReduceMean", ["x"], ["y"], axes=[1, 2, 3], keepdims=1)
    odd = make.make_node("Magic", ["x"], ["y"], domain="evil.ops")
    assert "evil.ops:Magic" in refused(written("custom", [odd], domain="evil.ops"), fake_logit="z")
    unknown = make.make_node("NoSuchOperator", ["x"], ["y"])
    assert "cannot be loaded by onnxruntime" in refused(
        written("unknown", [unknown]), fake_logit="z"
    )
    grey = [make.make_tensor_value_info("x", types.FLOAT, ["n", 1, 32, 32])]
    assert "3 channels" in refused(written("grey", [mean], grey), fake_logit="z")
    flat = [make.make_tensor_value_info("x", types.FLOAT, ["n", 64])]
    identity = make.make_node("Identity", ["x"], ["y"])
    wide = [make.make_tensor_value_info("y", types.FLOAT, ["n", 64])]
    assert "batch of images" in refused(written("flat", [identity], flat, wide), fake_logit="z")
    best = make.make_node("ArgMax", ["x"], ["y"], axis=1)
    whole = [make.make_tensor_value_info("y", types.INT64, None)]
    assert "no scores" in refused(written("classes", [best], None, whole), fake_logit="z")
    two = [mean, make.make_node("Neg", ["y"], ["w"])]
    both = [make.make_tensor_value_info(name, types.FLOAT, None) for name in "yw"]
    assert "2 outputs (x, y, w)" in refused(written("two", two, None, both), fake_logit="z")
    sums = make.make_node("ReduceMean", ["x"], ["y"], keepdims=0)
    scalar = [make.make_tensor_value_info("y", types.FLOAT, [])]
    assert "one row of logits" in refused(written("scalar", [sums], None, scalar), fake_logit="z")


def test_torchscript_stays_refused_with_the_reason(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(network("conv", 1), torch.rand(1, 3, 32, 32)).save(str(tmp_path / "x.pt"))
    for request in (
        DetectorRequest(str(tmp_path / "x.pt")),
        DetectorRequest("resnet50", weights=tmp_path / "x.pt", fake_logit="z"),
    ):
        with pytest.raises(BenchError, match=r"TorchScript archive.* it is a program, .*ONNX"):
            resolve(request)
    torch.save(network("conv", 1).state_dict(), tmp_path / "w.pt")
    with pytest.raises(BenchError, match="--detector NAME --weights"):
        resolve(DetectorRequest(str(tmp_path / "w.pt")))
