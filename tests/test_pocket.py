"""The embedded set and the shipped detectors: what the first minute with bench shows."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

import bench
from bench.data import POCKET, open_data
from bench.datasets import load, pocket_root
from bench.progress import Silent
from bench.report import report
from bench.rundir import RunDir
from bench.store import Store
from bench.suite import Suite
from detectors import zoo

PUBLISHED = Path(__file__).resolve().parent.parent / "leaderboards" / "published"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return open_data(POCKET, Silent(), cache=tmp_path_factory.mktemp("cache"))


def test_the_set_is_as_large_as_promised_and_no_larger(manifest):
    frame = manifest.samples()
    sizes = frame.groupby(["split", "label", "generator"]).size()
    for split, real, fake in (("train", 600, 200), ("val", 150, 50), ("test", 300, 150)):
        assert sizes[split, 0].sum() >= real
        assert len(sizes[split, 1]) >= 3
        assert sizes[split, 1].min() >= fake
    assert sum(path.stat().st_size for path in pocket_root().glob("*.parquet")) < 20_000_000
    assert len(manifest.bad) == 0


def test_no_photograph_is_in_two_splits(manifest):
    assert manifest.samples().groupby("group")["split"].nunique().max() == 1


def test_format_and_size_tell_nothing(manifest):
    facts = manifest.table.select(["format", "width", "height", "bytes"]).to_pandas()
    assert len(facts.drop_duplicates()) == 1


def test_fakes_are_variations_of_reals_that_are_there(manifest):
    """A fake keeps the content of its own real tile: closer to it than to any other of its photograph."""
    frame = manifest.samples()
    test = frame[frame["split"] == "test"].reset_index(drop=True)
    root, table = manifest.root, manifest.select("test")
    pixels = {r.sample_id: load(root, r).astype(float) for r in table.records()}
    reals = {sample.split("/")[-1]: sample for sample in test.loc[test["label"] == 0, "sample_id"]}
    closer = []
    for sample in test.loc[test["label"] == 1, "sample_id"].iloc[::7]:
        name = sample.split("/")[-1]
        assert name in reals
        photo = name.rsplit("-", 1)[0]
        others = [reals[r] for r in reals if r.rsplit("-", 1)[0] == photo and r != name][:20]
        own = np.abs(pixels[sample] - pixels[reals[name]]).mean()
        closer += [own < np.abs(pixels[sample] - pixels[other]).mean() for other in others]
    assert np.mean(closer) > 0.97


def test_every_photograph_is_attributed(manifest):
    text = (pocket_root() / "ATTRIBUTION.md").read_text()
    for group in set(manifest.samples()["group"]):
        assert f"| {group} |" in text


def test_zoo_and_set_stay_small():
    assert sum(path.stat().st_size for path in zoo.weights().values()) < 70_000_000


def test_the_first_command_shows_what_the_field_is_about_and_the_published_board_holds(tmp_path):
    run = bench.run(["resnet50", "genimage-cnn"], suite="cross-generator", out=tmp_path / "out")
    found = {
        (r["detector"], r["generator"]): r for r in csv.DictReader(io.StringIO(run.board.to_csv()))
    }
    for detector in ("resnet50", "genimage-cnn"):
        mine = [row for (name, _), row in found.items() if name == detector]
        seen = [float(row["auc"]) for row in mine if row["seen"] == "seen"]
        unseen = [float(row["auc"]) for row in mine if row["seen"] == "unseen"]
        assert min(seen) > 0.95
        assert min(unseen) < min(seen) - 0.05
    with (PUBLISHED / "cross-generator" / "leaderboard.csv").open() as stream:
        published = {(r["detector"], r["generator"]): r for r in csv.DictReader(stream)}
    assert published.keys() == found.keys()
    for key, row in published.items():
        for metric in ("accuracy", "auc"):
            # Other machines round otherwise: a handful of images at most may change sides.
            assert float(found[key][metric]) == pytest.approx(float(row[metric]), abs=0.01)
        assert [found[key][c] for c in ("n_real", "n_fake", "seen")] == [
            row[c] for c in ("n_real", "n_fake", "seen")
        ]


def test_a_trained_detector_gives_the_same_flags_for_any_batch_size(tmp_path):
    suite = Suite(
        name="s", slices=["generator"], conditions=["clean", "pgd(eps=2/255)", "jpeg(quality=50)"]
    )
    scores = []
    for size in (1, 32):
        run = bench.run(
            "genimage-cnn", suite=suite, out=tmp_path / str(size), batch_size=size, limit=60
        )
        assert report(run.folder).incomplete == 0
        folder = RunDir(run.folder)
        store = Store(folder.store(folder.spec()))
        scores.append(
            {
                (unit["condition"], row["sample_id"]): row["logit"]
                for unit in folder.units().to_pylist()
                for row in store.read(unit["fingerprint"]).to_pylist()
            }
        )
    assert scores[0].keys() == scores[1].keys()
    for key, logit in scores[0].items():
        assert logit == pytest.approx(
            scores[1][key], abs=0.05 if key[0].startswith("pgd") else 1e-4
        )
        assert (logit > 0) == (scores[1][key] > 0)
