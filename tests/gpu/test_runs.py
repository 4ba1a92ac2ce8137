"""Whole runs on the device: every kind of detector, every attack, corruptions before, between and after."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import bench
from bench.protocol.suite import Suite
from bench.results.scores import load_run

DETECTORS = ["genimage-cnn", "dalle2-art-cnn", "mobilenetv2_100", "vit"]
CONDITIONS = [
    "fgsm(eps=2/255)",
    "pgd(eps=2/255,steps=3)",
    "pgd-l2(eps=0.5,steps=3)",
    "apgd(eps=2/255,steps=4)",
    "square(eps=4/255,queries=20)",
    "ensemble(eps=2/255,members=fgsm+pgd)",
    "transfer(eps=4/255,surrogate=genimage-cnn)",
    "jpeg(quality=75)+pgd(eps=2/255,steps=2)+jpeg(quality=75)",
]


def scored(out, detectors, conditions, **options):
    suite = Suite(name="gpu", slices=["pooled"], conditions=["clean", *conditions])
    settings = {"data": "pocket", "limit": 2, "out": out} | options
    run = bench.run(detectors, suite=suite, allow_untrained=True, **settings)
    return run, {(c.detector, c.condition): c for c in load_run(run.folder)[1].columns}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_attack_runs_on_the_device(device, condition, tmp_path):
    _, columns = scored(tmp_path, ["genimage-cnn"], [condition], device=device)
    for column in columns.values():
        assert column.status != "failed", column.reason
        assert np.isfinite(column.logits).all()
    attacked = [c for c in columns.values() if c.condition != "clean"]
    assert all(c.linf is not None and np.nanmax(c.linf) > 0 for c in attacked)


@pytest.mark.parametrize("detector", [*DETECTORS, "timm/test_resnet", "{toy}"])
def test_every_kind_of_detector_gives_the_cpu_s_scores(device, detector, tmp_path, toy):
    name = detector.replace("{toy}", toy())
    conditions = ["jpeg(quality=50)", "fgsm(eps=2/255)"]
    _, here = scored(tmp_path / "here", [name], conditions, device=device)
    _, cpu = scored(tmp_path / "cpu", [name], conditions, device="cpu")
    for cell, column in here.items():
        assert column.status != "failed", column.reason
        if cell[1] != conditions[1]:  # the sign of a gradient can turn on the last bit of it
            scale = max(1.0, float(np.abs(cpu[cell].logits).max()))
            assert np.abs(column.logits - cpu[cell].logits).max() <= 1e-3 * scale, cell


def test_detectors_of_a_run_share_a_device_and_attack_each_other(device, tmp_path):
    names = ["genimage-cnn", "vit"]
    run, columns = scored(tmp_path, names, ["transfer(eps=4/255,surrogate=each)"], device=device)
    assert len(columns) == 6
    assert not run.report.incomplete


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_precision_is_that_of_the_scores_and_gradients_stay_fp32(device, precision, tmp_path):
    conditions = ["fgsm(eps=2/255)"]
    _, plain = scored(tmp_path / "fp32", ["vit"], conditions, device=device)
    _, other = scored(tmp_path / "other", ["vit"], conditions, device=device, precision=precision)
    change = np.abs(other["vit", "clean"].logits - plain["vit", "clean"].logits)
    assert change.max() < 0.05 * max(1.0, float(np.abs(plain["vit", "clean"].logits).max()))
    assert (change.max() > 0) == (precision == "bf16")
    attacked = ("vit", conditions[0])
    assert np.array_equal(other[attacked].linf, plain[attacked].linf)


@pytest.mark.slow
def test_compiled_networks_score_alike(device, tmp_path):
    options = {"device": device, "batch_size": 4}
    _, plain = scored(tmp_path / "plain", ["genimage-cnn"], [], **options)
    _, compiled = scored(tmp_path / "compiled", ["genimage-cnn"], [], compile=True, **options)
    for cell, column in compiled.items():
        np.testing.assert_allclose(column.logits, plain[cell].logits, atol=1e-3)


def test_the_same_command_gives_the_same_bytes(device, tmp_path):
    conditions = ["noise(sigma=0.05)", "pgd(eps=2/255,steps=3)"]
    names = ["genimage-cnn", "mobilenetv2_100"]
    first, again = (
        scored(tmp_path / turn, names, conditions, device=device)[0] for turn in ("first", "again")
    )
    boards = [(run.folder / "leaderboard.csv").read_bytes() for run in (first, again)]
    assert boards[0] == boards[1]


def test_a_stopped_run_goes_on_with_the_same_bits(device, tmp_path):
    _, whole = scored(tmp_path / "whole", ["genimage-cnn"], ["jpeg(quality=50)"], device=device)
    run, _ = scored(tmp_path / "part", ["genimage-cnn"], [], device=device)
    run, rest = scored(
        tmp_path / "part", ["genimage-cnn"], ["jpeg(quality=50)"], device=device, force=True
    )
    assert run.counts.scored == len(rest["genimage-cnn", "clean"].logits)
    for cell, column in whole.items():
        assert column.logits.tobytes() == rest[cell].logits.tobytes()


def test_a_gpu_computes_in_full_float32(device, tmp_path):
    scored(tmp_path, ["genimage-cnn"], [], device=device)
    assert not torch.backends.cuda.matmul.allow_tf32
    if device == "cuda":
        assert not torch.backends.cudnn.allow_tf32
        assert torch.backends.cudnn.deterministic
