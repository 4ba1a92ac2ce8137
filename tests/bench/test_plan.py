from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from bench.datasets import index
from bench.errors import NothingSelectedError
from bench.protocol.condition import parse
from bench.store import units as planning
from bench.store.units import PlannedDetector, Settings, build, cut, select

SETTINGS = Settings(seed=0, environment={"torch": "1"}, decode="policy")
TOY = PlannedDetector("toy", "identity", 32)
CONDITIONS = [parse("clean"), parse("jpeg(quality=75)")]


@pytest.fixture
def manifest(tree):
    return index(tree)


def prints(plan):
    return [unit.fingerprint for unit in plan.units]


def test_every_chunk_meets_every_detector_and_condition_once(manifest, monkeypatch):
    monkeypatch.setattr(planning, "CHUNK_IMAGES", 10)
    rows = select(manifest, "", None, 0)
    chunks = cut(manifest, rows)
    assert [len(c.rows) for c in chunks] == [10, 10, 10, 10, 8]
    assert np.array_equal(np.concatenate([c.rows for c in chunks]), rows)
    plan = build(chunks, [TOY, PlannedDetector("b", "other", 32)], CONDITIONS, SETTINGS)
    assert len(plan.units) == 5 * 2 * 2
    assert len(set(prints(plan))) == 5 * 2 * 2


def test_chunks_hold_a_bounded_number_of_pixels(manifest, monkeypatch):
    monkeypatch.setattr(planning, "CHUNK_PIXELS", 5 * 40 * 48)
    assert {len(c.rows) for c in cut(manifest, select(manifest, "", None, 0))} == {5, 3}
    monkeypatch.setattr(planning, "CHUNK_PIXELS", 1)
    assert {len(c.rows) for c in cut(manifest, select(manifest, "", None, 0))} == {1}


@pytest.mark.parametrize(
    "change",
    [
        {"settings": dataclasses.replace(SETTINGS, environment={"torch": "2"})},
        {"settings": dataclasses.replace(SETTINGS, decode="other")},
        {"detector": dataclasses.replace(TOY, identity="retrained")},
        {"detector": dataclasses.replace(TOY, batch_size=16)},
        {"conditions": [parse("noise(sigma=0.1)"), parse("jpeg(quality=74)")]},
    ],
)
def test_whatever_can_change_a_score_changes_every_fingerprint(manifest, change):
    chunks = cut(manifest, select(manifest, "", None, 0))
    before = build(chunks, [TOY], CONDITIONS, SETTINGS)
    after = build(
        chunks,
        [change.get("detector", TOY)],
        change.get("conditions", CONDITIONS),
        change.get("settings", SETTINGS),
    )
    assert not set(prints(before)) & set(prints(after))


def test_a_changed_image_changes_its_chunk_and_no_other(tree, manifest, monkeypatch):
    monkeypatch.setattr(planning, "CHUNK_IMAGES", 12)
    before = cut(manifest, select(manifest, "", None, 0))
    Image.new("RGB", (48, 40)).save(tree / "beta" / "real" / "03.png")
    changed = index(tree)
    after = cut(changed, select(changed, "", None, 0))
    assert [a.digest == b.digest for a, b in zip(before, after, strict=True)] == [
        True,
        True,
        True,
        False,
    ]


def test_renaming_a_detector_does_not_change_its_fingerprints(manifest):
    chunks = cut(manifest, select(manifest, "", None, 0))
    again = dataclasses.replace(TOY, label="another name")
    plans = [build(chunks, [d], CONDITIONS, SETTINGS) for d in (TOY, again)]
    assert prints(plans[0]) == prints(plans[1])


@pytest.mark.parametrize("limit", [4, 8, 10, 21, 47])
def test_a_limit_is_stratified_and_seeded(manifest, limit):
    rows = select(manifest, "", limit, seed=0)
    assert len(rows) == limit
    assert list(rows) == sorted(set(rows))
    taken = manifest.table.take(rows).to_pandas()
    sizes = taken.groupby(["label", "generator"]).size()
    assert len(sizes) == 4
    assert sizes.max() - sizes.min() <= 1
    assert np.array_equal(rows, select(manifest, "", limit, seed=0))
    if limit < 40:
        assert not np.array_equal(rows, select(manifest, "", limit, seed=1))


def test_a_limit_past_the_end_takes_everything(manifest):
    assert len(select(manifest, "", 10_000, 0)) == 48


def test_a_split_that_is_not_there_names_those_that_are(tmp_path, tree):
    (tmp_path / "split").mkdir()
    tree.rename(tmp_path / "split" / "val")
    with pytest.raises(NothingSelectedError, match="'val'"):
        select(index(tmp_path / "split"), "test", None, 0)
