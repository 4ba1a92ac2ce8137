"""Every study's recipe, end to end on a miniature of its layout: training, suite, figures, pictures."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench import registry
from bench.cli.main import app
from bench.studies.recipe import load_recipe


def reproduce(name, data, out, *more):
    words = [
        "reproduce",
        name,
        "--data",
        str(data),
        "--out",
        str(out),
        "--budget",
        "small",
        "--epochs",
        "1",
    ]
    done = CliRunner().invoke(
        app, [*words, "--threads", "1", "--quiet", *more], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return done.stdout, json.loads((out / "reproduction.json").read_text())


def check_outputs(out, facts):
    for network in facts["networks"]:
        assert (out / f"{network['name']}-confusion.svg").stat().st_size > 1000
        with Image.open(out / f"{network['name']}-gallery.png") as picture:
            assert len(np.unique(np.asarray(picture))) > 20
        with Image.open(out / f"{network['name']}-maps.png") as picture:
            assert len(np.unique(np.asarray(picture))) > 20
        folder = out / "trainings" / network["name"]
        assert "<svg" in (folder / "curves.svg").read_text()
        assert len(list(csv.DictReader((folder / "log.csv").open()))) == 1
        assert any("budget small" in text for text in network["departures"])


def test_s1_two_folders_of_art(lay, tmp_path):
    data = lay({"human": (0, 40), "ai": (1, 40)}, side=70)
    text, facts = reproduce("S1", data, tmp_path / "out")
    check_outputs(tmp_path / "out", facts)
    (network,) = facts["networks"]
    ours = network["ours"]
    assert ours["n_real"] + ours["n_fake"] == 12  # 15% of 80, by the recipe's shares
    assert f"{ours['accuracy'] - 0.842:+.4f}" in text
    rows = list(csv.DictReader((tmp_path / "out/trainings/dalle2-art-cnn.S1/split.csv").open()))
    assert [sum(r["split"] == s for r in rows) for s in ("train", "val", "test")] == [54, 14, 12]


def domains(lay):
    kinds = {"anime": 20, "castle": 20, "car": 20}
    folders = {f"{d}/sd/{k}": (k == "fake", n) for d, n in kinds.items() for k in ("real", "fake")}
    return lay(folders)


def test_s2_one_domain_at_a_time(lay, tmp_path):
    data = domains(lay)
    text, facts = reproduce(
        "S2", data, tmp_path / "out", "--layout", "domains", "--detector", "googlenet"
    )
    check_outputs(tmp_path / "out", facts)
    assert [n["name"] for n in facts["networks"]] == [
        f"googlenet.S2-{d}" for d in ("anime", "car", "castle")
    ]
    for network in facts["networks"]:
        # Of every domain 15% are test images: six seen, twelve of the other two.
        assert network["ours"]["n_real"] + network["ours"]["n_fake"] == 6
        assert network["unseen"]["n_real"] + network["unseen"]["n_fake"] == 12
    assert "On all other test images" in text


def test_s2_mixed_three_networks(lay, tmp_path):
    _, facts = reproduce("S2-mixed", domains(lay), tmp_path / "out", "--layout", "domains")
    check_outputs(tmp_path / "out", facts)
    assert [n["arch"] for n in facts["networks"]] == ["resnet50", "googlenet", "vit"]
    assert {n["unseen"] for n in facts["networks"]} == {None}


def test_s3a_two_folders_of_shoes(lay, tmp_path):
    _, facts = reproduce(
        "S3a", lay({"real": (0, 30), "midjourney_fake/fake": (1, 30)}, side=64), tmp_path / "out"
    )
    check_outputs(tmp_path / "out", facts)


def test_s3b_three_networks_on_cifake(cifake, tmp_path):
    out = tmp_path / "out"
    for i in range(3):  # as in the published set, some files stand in both splits
        (cifake / f"train/FAKE/{i:03d}.jpg").write_bytes(
            (cifake / f"test/FAKE/{i:03d}.jpg").read_bytes()
        )
    text, facts = reproduce("S3b", cifake, out)
    check_outputs(out, facts)
    assert [n["arch"] for n in facts["networks"]] == [
        "cifake-cnn",
        "mobilenetv2_100",
        "resnetv2_50",
    ]
    assert {n["ours"]["n_fake"] for n in facts["networks"]} == {8}
    assert {n["without_leaks"]["n_fake"] for n in facts["networks"]} <= {5, 6}  # one may validate
    assert "Without test images that are byte-identical" in text
    assert re.search(r"cifake-cnn\.S3b\s+\| parameters \(M\) \|\s+0\.68 \|\s+59 \|\s+-58\.32", text)
    done = CliRunner().invoke(app, ["board", str(out / "trainings"), "--table", "training"])
    assert done.exit_code == 0
    assert all(f"## {n['name']}" in done.stdout for n in facts["networks"])
    weights = out / "trainings/cifake-cnn.S3b/cifake-cnn.S3b.safetensors"
    words = [
        "run",
        "--detector",
        str(weights),
        "--data",
        str(cifake),
        "--out",
        str(tmp_path / "run"),
        "--json",
    ]
    board = json.loads(CliRunner().invoke(app, [*words, "--quiet"], catch_exceptions=False).stdout)
    assert "cifake-cnn.S3b" in json.dumps(board)


def test_s4_pairs_and_what_was_not_trained_on(lay, tmp_path):
    manifest = tmp_path / "pairs.csv"
    for domain, generator, root in (
        ("indoor", "sd", "indoor"), ("weather", "sd", "weather"), ("weather", "dalle2", "weather2"),
    ):  # fmt: skip
        data = lay({"photos/a": (0, 20), "made/a": (1, 20)}, root=root)
        words = ["data", "pairs", str(data / "photos"), str(data / "made"), "-o", str(manifest)]
        words += ["--domain", domain, "--generator", generator]
        assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    out = tmp_path / "out"
    _, facts = reproduce("S4", manifest, out, "--domains", "indoor", "--generators", "sd")
    check_outputs(out, facts)
    rows = list(csv.DictReader((out / "trainings/resnet34.S4/split.csv").open()))
    parted = {}
    for row in rows:
        parted.setdefault(row["group"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in parted.values()), "a pair straddles a split"
    assert {r["domain"] for r in rows if r["split"] != "test"} == {"indoor"}
    assert sum(r["domain"] == "weather" and r["split"] == "test" for r in rows) == 80
    (network,) = facts["networks"]
    assert network["ours"]["n_fake"] == 2
    assert network["unseen"]["n_fake"] == 40


def test_s5_seven_generators_and_their_own_reals(lay, tmp_path):
    names = ("ADM", "BigGAN")
    folders = {
        f"{g}/{s}/{k}": (k == "ai", n)
        for g in names
        for s, n in (("train", 10), ("val", 4))
        for k in ("ai", "nature")
    }
    out = tmp_path / "out"
    _, facts = reproduce("S5", lay(folders), out)
    check_outputs(out, facts)
    assert [n["arch"] for n in facts["networks"]] == [
        "genimage-cnn",
        "resnet50-frozen",
        "convnext_small",
    ]
    assert {n["ours"]["n_fake"] for n in facts["networks"]} == {
        8
    }  # the study's val folders, which chose nothing
    record = json.loads((out / "trainings/resnet50-frozen.S5/training.json").read_text())
    assert "learns too" in record["started_from"]


@pytest.mark.parametrize("name", registry.recipes())
def test_every_recipe_states_its_source_and_every_network_exists(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.source
    assert recipe.exact
    assert recipe.assumed
    assert recipe.suite in registry.suites()
    assert set(recipe.budget) == {"small"}
    assert {n.detector for n in recipe.networks} <= set(registry.detectors())
