"""Groups and equal files stay together; a leak between the data's own splits is an error."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from bench.datasets import index
from bench.errors import BenchError
from bench.training.images.splits import split_rows
from bench.training.settings import Settings


def settings(**more):
    return Settings(detector="genimage-cnn", **more)


def by_split(manifest, split, column):
    values = np.array(manifest.table[column].to_pylist(), dtype=object)
    return {name: values[getattr(split, name)].tolist() for name in ("train", "val", "test")}


@pytest.fixture
def pairs(lay):
    """Forty photographs with two variations each, as a manifest with groups."""
    root = lay({"real": (0, 40), "one": (1, 40), "two": (1, 40)})
    with (root / "pairs.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "generator", "group"])
        for i in range(40):
            for folder, label in (("real", "real"), ("one", "fake"), ("two", "fake")):
                writer.writerow(
                    [f"{folder}/{i:03d}.png", label, "" if label == "real" else folder, f"g{i}"]
                )
    return index(root / "pairs.csv")


@pytest.mark.parametrize("seed", range(4))
def test_a_photograph_and_its_variations_stay_together(pairs, seed):
    split = split_rows(pairs, settings(seed=seed, shares=(0.6, 0.2, 0.2)))
    groups = {name: set(values) for name, values in by_split(pairs, split, "group").items()}
    assert [len(groups[name]) for name in ("train", "val", "test")] == [24, 8, 8]
    assert not groups["train"] & groups["val"]
    assert not groups["train"] & groups["test"]
    assert not groups["val"] & groups["test"]
    assert sorted(np.concatenate([split.train, split.val, split.test])) == list(range(120))


def test_a_generator_s_fakes_bring_their_photographs(pairs):
    split = split_rows(pairs, settings(generators=("two",), shares=(0.6, 0.2, 0.2)))
    assert set(by_split(pairs, split, "generator")["train"]) == {"two", "real"}
    with pytest.raises(BenchError, match="no generator 'three': it has one, two"):
        split_rows(pairs, settings(generators=("three",)))


def test_controls_are_no_training_data(lay):
    root = lay({"real": (0, 20), "fake": (1, 20), "resampled": (0, 20)})
    with (root / "t.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "generator", "control"])
        for folder, label, name, control in (
            ("real", "real", "photos", 0), ("fake", "fake", "sd", 0), ("resampled", "real", "resampled", 1),
        ):  # fmt: skip
            writer.writerows([f"{folder}/{i:03d}.png", label, name, control] for i in range(20))
    manifest = index(root / "t.csv")
    split = split_rows(manifest, settings())
    used = by_split(manifest, split, "generator")
    assert set(used["train"]) == set(used["val"]) == {"photos", "sd"}
    assert set(used["test"]) == {"photos", "sd", "resampled"}


def test_what_was_not_trained_on_is_test_but_for_partners_of_what_was(pairs):
    one = split_rows(pairs, settings(generators=("one",), unseen_to_test=True))
    # Every photograph has a variation by `one`, so `two` shares its groups: only the test share is left.
    groups = by_split(pairs, one, "group")
    assert not set(groups["test"]) & {*groups["train"], *groups["val"]}


@pytest.fixture
def leaky(lay):
    root = lay(
        {f"{s}/{k}": (k == "FAKE", 20) for s in ("train", "test") for k in ("REAL", "FAKE")},
        side=32,
        suffix=".jpg",
    )
    for i in range(3):
        (root / f"train/FAKE/copy{i}.jpg").write_bytes(
            (root / f"test/FAKE/{i:03d}.jpg").read_bytes()
        )
    return index(root)


def test_a_file_in_two_splits_is_an_error_with_the_way_out(leaky):
    with pytest.raises(
        BenchError, match=r"3 training images are byte-identical .*--leaks drop .*keep"
    ):
        split_rows(leaky, settings())


def test_leaks_are_dropped_or_kept_and_said(leaky):
    dropped = split_rows(leaky, settings(leaks="drop"))
    kept = split_rows(leaky, settings(leaks="keep"))
    assert len(dropped.train) + len(dropped.val) == 40
    assert len(kept.train) + len(kept.val) == 43
    assert len(dropped.test) == len(kept.test) == 40
    assert "3 training images" in dropped.remarks[0]
    assert "kept, as published" in kept.remarks[0]


def test_equal_files_of_the_training_set_never_validate_each_other(lay):
    root = lay({f"train/{k}": (k == "FAKE", 20) for k in ("REAL", "FAKE")}, side=32, suffix=".jpg")
    for i in range(20):
        (root / f"train/FAKE/again{i}.jpg").write_bytes(
            (root / f"train/FAKE/{i:03d}.jpg").read_bytes()
        )
    manifest = index(root, layout="cifake")
    split = split_rows(manifest, settings(val=0.3))
    hashes = by_split(manifest, split, "sha256")
    assert len(hashes["val"]) == 6 + 12
    assert not set(hashes["train"]) & set(hashes["val"])


def test_a_study_s_validation_folder_may_be_its_test(lay):
    root = lay(
        {f"ADM/{s}/{k}": (k == "ai", 10) for s in ("train", "val") for k in ("ai", "nature")}
    )
    manifest = index(root)
    own = split_rows(manifest, settings())
    spared = split_rows(manifest, settings(spare_val=True))
    assert [len(own.train), len(own.val), len(own.test)] == [20, 20, 0]
    assert [len(spared.train), len(spared.val), len(spared.test)] == [18, 2, 20]


def test_a_limit_takes_as_many_of_each_class(pairs):
    split = split_rows(pairs, settings(limit=36, shares=(0.6, 0.2, 0.2)))
    labels = pairs.table["label"].to_numpy()[split.train]
    assert (len(labels), int(labels.sum())) == (36, 24)


def test_one_class_alone_cannot_be_trained_on(lay):
    root = lay(
        {"train/REAL": (0, 20), "train/FAKE": (1, 20), "val/REAL": (0, 4)}, side=32, suffix=".jpg"
    )
    with pytest.raises(BenchError, match="needed to validate on, found 4 and 0"):
        split_rows(index(root, layout="cifake"), settings())
