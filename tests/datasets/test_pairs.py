"""Two parallel folders become one manifest in which a photograph and its variations share a group."""

from __future__ import annotations

import csv

import pytest
from typer.testing import CliRunner

from bench.cli.main import app
from bench.errors import DataError


def pair(*words):
    done = CliRunner().invoke(app, ["data", "pairs", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


@pytest.fixture
def folders(lay):
    photos = lay([f"kitchen/{i}.jpg" for i in range(4)] + ["alone.jpg"], root="photos")
    made = lay(
        [f"kitchen/{i}_v{k}.png" for i in range(4) for k in (1, 2)] + ["lost.png"], root="made"
    )
    return photos, made


def test_several_variations_share_their_photograph_s_group(folders, tmp_path, read):
    said = pair(*folders, "--generator", "sd", "--strip", "_v[0-9]+$", "-o", tmp_path / "p.csv")
    assert "4 pairs, 12 images" in said
    table = read(tmp_path / "p.csv").table.to_pylist()
    groups = {}
    for row in table:
        groups.setdefault(row["group"], []).append(row["label"])
    assert {name: sorted(labels) for name, labels in groups.items()} == {
        f"kitchen/{i}": [0, 1, 1] for i in range(4)
    }
    assert {row["generator"] for row in table if row["label"]} == {"sd"}


def test_images_without_a_partner_are_left_out_and_said(folders, tmp_path):
    words = ["data", "pairs", *map(str, folders), "--generator", "sd", "--strip", "_v[0-9]+$"]
    done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "p.csv")])
    assert "1 photographs without a partner, the first 'alone'" in done.output
    assert "1 variations without a partner, the first 'lost'" in done.output


def test_another_generator_of_the_same_photographs_is_added(folders, lay, tmp_path, read):
    photos, made = folders
    other = lay([f"kitchen/{i}.png" for i in range(3)], root="other")
    out = tmp_path / "p.csv"
    pair(photos, made, "--generator", "sd", "--strip", "_v[0-9]+$", "-o", out)
    said = pair(photos, other, "--generator", "dalle2", "-o", out)
    assert "lists 15" in said
    assert pair(photos, other, "--generator", "dalle2", "-o", out) == said  # again: nothing new
    manifest = read(out)
    assert sorted(manifest.pairing) == ["dalle2", "sd"]
    assert len({r["group"] for r in manifest.table.to_pylist() if r["group"].endswith("/0")}) == 1


def test_paths_beside_the_manifest_are_relative_to_it(folders):
    photos, made = folders
    out = photos.parent / "p.csv"
    pair(photos, made, "--generator", "sd", "--strip", "_v[0-9]+$", "-o", out)
    assert all(not row["path"].startswith("/") for row in csv.DictReader(out.open()))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ((), "--strip takes a part"),
        (("--strip", "("), "no regular expression"),
        (("--strip", "_v[0-9]+$", "--domain", "weather"), "with domain 'indoor', now 'weather'"),
    ],
)
def test_mistakes_are_one_sentence(folders, tmp_path, change, says):
    out = tmp_path / "p.csv"
    pair(*folders, "--generator", "sd", "--strip", "_v[0-9]+$", "--domain", "indoor", "-o", out)
    with pytest.raises(DataError, match=says):
        pair(*folders, "--generator", "sd", "-o", out, *change)
