"""The embedded set and the shipped detectors: what the first minute with bench shows."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bench
from bench.datasets import load, pocket_root
from bench.datasets.open import POCKET, open_data
from bench.datasets.pocket.build import checks, generators, photos, tiles
from bench.errors import BenchError
from bench.pictures.dataset_sheet import draw_samples
from bench.protocol.suite import Suite
from bench.results.board import report
from bench.store.rundir import RunDir
from bench.store.shards import Store
from bench.support.progress import Silent
from detectors import zoo
from detectors.card import card_beside, read_card

PUBLISHED = Path(__file__).resolve().parent.parent / "leaderboards" / "published"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return open_data(POCKET, Silent(), cache=tmp_path_factory.mktemp("cache"))


def test_the_set_is_as_large_as_promised_and_no_larger(manifest):
    frame = manifest.samples()
    sizes = frame.groupby(["split", "label", "generator"]).size()
    for split, real, fake in (("train", 600, 200), ("val", 150, 50), ("test", 300, 150)):
        assert sizes[split, 0].sum() >= real
        assert len(sizes[split, 1]) >= 5
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
    photos = test.loc[test["generator"] == "photo", "sample_id"]
    reals = {sample.split("/")[-1]: sample for sample in photos}
    closer = []
    for sample in test.loc[test["label"] == 1, "sample_id"].iloc[::7]:
        name = sample.split("/")[-1]
        assert name in reals
        photo = name.rsplit("-", 1)[0]
        others = [reals[r] for r in reals if r.rsplit("-", 1)[0] == photo and r != name][:20]
        own = np.abs(pixels[sample] - pixels[reals[name]]).mean()
        closer += [own < np.abs(pixels[sample] - pixels[other]).mean() for other in others]
    assert np.mean(closer) > 0.97


def test_domains_are_held_out_of_all_training(manifest):
    frame = manifest.samples()
    domains = frame[frame["generator"] != "resampled"].groupby("split")["domain"].agg(set)
    assert len(domains["train"] | domains["test"]) >= 4
    assert domains["test"] - domains["train"]
    for weights in zoo.weights().values():
        data = read_card(card_beside(weights)).training_data
        if data is not None and data.dataset == "pocket":
            assert set(data.domains) == domains["train"]


def test_the_control_is_real_compared_with_nothing_and_in_test_only(manifest):
    frame = manifest.samples()
    control = frame[frame["generator"] == "resampled"]
    assert set(control["split"]) == {"test"}
    assert set(control["label"]) == {0}
    assert set(control["domain"]) == {"resampled"}
    assert len(control) >= 150
    assert set(manifest.pairing.values()) == {("photo",)}


def test_file_metadata_and_mean_colours_are_near_chance():
    for found in checks.measure(pocket_root()):
        assert 0.45 <= found.metadata <= 0.55, found
        assert found.colour < 0.60, found


@pytest.mark.parametrize("name", ["diffusion", "vae", "vqgan"])
def test_the_committed_weights_make_the_committed_tiles(name, manifest):
    """On two photographs of scikit-learn; other CPUs may round 2% of the values otherwise."""
    val = manifest.select("val")
    kept = {record.sample_id: record for record in val.records()}
    generator = next(g for g in generators.GENERATORS if g.name == name)
    vary = generator.make()
    for photo in (p for p in photos.PHOTOS if p.id in {"china", "flower"}):
        pixels = photos.load_reduced(photo, pocket_root())
        for tile in generators.choose(
            tiles.cut(photo, pixels, generators.rng_for("cut", photo.id)), generator
        ):
            made = tiles.crop(vary(tile.window, generators.rng_for(name, tile.id)))
            committed = load(val.root, kept[f"val/{name}/{tile.id}"])
            assert (made != committed).mean() < 0.02
            assert np.abs(made.astype(int) - committed).mean() < 0.1
            assert not np.array_equal(made, tile.pixels)


def test_every_generator_has_a_card_with_pairs_to_look_at():
    cards = Path(__file__).resolve().parent.parent / "docs" / "pocket"
    for each in (*generators.GENERATORS, *generators.CONTROLS):
        text = (cards / f"{each.name}.md").read_text()
        assert "Parameters:" in text
        assert f"({each.name}.png)" in text
        assert (cards / f"{each.name}.png").is_file()


def test_the_sheet_shows_every_generator(tmp_path):
    drawn = draw_samples(tmp_path / "sheet.png")
    assert drawn == ["diffusion", "realesrgan", "resampled", "span", "vae", "vqgan"]
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 12 * 64
        assert sheet.height > 12 * 64
    with pytest.raises(BenchError, match=r"ends in \.png"):
        draw_samples(tmp_path / "sheet.jpg")


def test_every_photograph_is_attributed(manifest):
    text = (pocket_root() / "ATTRIBUTION.md").read_text()
    for group in set(manifest.samples()["group"]):
        assert f"| {group} |" in text


def test_zoo_and_set_stay_small():
    assert sum(path.stat().st_size for path in zoo.weights().values()) < 70_000_000


DETECTORS = ["resnet50", "mobilenetv2_100", "vit", "genimage-cnn", "dalle2-art-cnn"]


def test_the_first_command_shows_what_the_field_is_about_and_the_published_board_holds(tmp_path):
    run = bench.run(DETECTORS, suite="cross-generator", out=tmp_path / "out")
    found = {
        (r["detector"], r["generator"]): r for r in csv.DictReader(io.StringIO(run.board.to_csv()))
    }
    for detector in DETECTORS:
        mine = [row for (name, _), row in found.items() if name == detector]
        seen = [float(row["auc"]) for row in mine if row["seen"] == "seen"]
        unseen = [float(row["auc"]) for row in mine if row["seen"] == "unseen"]
        assert len(seen) == (1 if detector in {"resnet50", "vit"} else 2)
        assert min(seen) >= 0.90
        assert min(unseen) < min(seen) - 0.1
    assert "resampled (control)" in run.board.to_markdown()
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


def test_the_matrix_of_one_generator_against_all_is_published():
    with (PUBLISHED / "train-on-one" / "leaderboard.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    names = [generator.name for generator in generators.GENERATORS]
    found = {(r["detector"], r["generator"]): r for r in rows}
    for trained in names:
        assert zoo.find(f"genimage-cnn.{trained}") is not None
        for tested in names:
            row = found[f"genimage-cnn.{trained}", tested]
            assert row["status"] == "ok"
            assert row["seen"] == ("seen" if trained == tested else "unseen")


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
