"""A plan is everything a training needs, resolved before its first step; nothing of it changes afterwards."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.support.progress import Silent
from bench.training.options import TrainOptions, TrainRequest
from bench.training.plan import plan_training
from bench.training.settings import Settings


def request(data, **options):
    settings = Settings(detector="genimage-cnn", init="scratch", limit=20)
    return TrainRequest(settings, TrainOptions(data=str(data), **options))


def test_a_plan_resolves_every_choice_and_writes_nothing(cifake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = plan_training(request(cifake), Silent())
    assert plan.name == "genimage-cnn.cifake"
    assert plan.folder == Path("trainings/genimage-cnn.cifake")
    assert plan.weights_file == plan.folder / "genimage-cnn.cifake.safetensors"
    assert (plan.spec.size, plan.started_from) == (32, "random weights")
    assert len(plan.split.train) == 20
    assert not plan.folder.exists()
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.name = "other"


def test_the_same_request_gives_the_same_plan(cifake):
    one, other = (plan_training(request(cifake), Silent()) for _ in range(2))
    assert one.split.train.tolist() == other.split.train.tolist()
    for first, second in zip(one.network.parameters(), other.network.parameters(), strict=True):
        assert bool((first == second).all())


def test_names_become_folders_and_files_any_system_takes(cifake, tmp_path):
    plan = plan_training(request(cifake, name="lab/net: 1", out=tmp_path / "o"), Silent())
    assert plan.weights_file == tmp_path / "o" / "lab_net__1.safetensors"


def test_one_device_cannot_be_several(cifake):
    with pytest.raises(BenchError, match="--devices 2 has no effect beside --device cuda:1"):
        plan_training(request(cifake, devices=2, device="cuda:1"), Silent())


def test_a_rectangle_is_a_canvas_like_any_other(cifake):
    settings = Settings(detector="dalle2-art-cnn", init="scratch", limit=20)
    options = TrainOptions(data=str(cifake))
    plan = plan_training(TrainRequest(settings, options), Silent())
    assert plan.spec.describe() == "resize to 245 x 255 px (bilinear)"  # as the study says
    cut = settings.model_copy(update={"size": (32, 48), "fit": "shortest-crop"})
    plan = plan_training(TrainRequest(cut, options), Silent())
    assert plan.spec.describe() == "short side to 48 px (bilinear), centre crop 32 x 48 px"
    square = settings.model_copy(update={"detector": "cifake-cnn", "size": (40, 48)})
    with pytest.raises(BenchError, match="squares, not for 40 x 48 px"):
        plan_training(TrainRequest(square, options), Silent())
