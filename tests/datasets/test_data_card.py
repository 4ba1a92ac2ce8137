"""Whose work a data set is: the card beside it, under boards and in exports, and as Croissant."""

from __future__ import annotations

import csv
import hashlib
import json

import pytest
from typer.testing import CliRunner

from bench.cli.main import app
from bench.datasets.data_card import read_card
from bench.errors import BenchError

BIBTEX = "@misc{doe2026,\n  title = {Faces},\n  author = {Doe},\n  year = {2026}\n}\n"
SAID = ["--reference", "Doe et al., Faces, 2026", "--licence", 'CC BY 4.0 "as is"']


def bench(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, BenchError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def root(lay):
    return lay([f"glide/{k}/{i}.png" for k in ("real", "fake") for i in range(6)], size=(40, 40))


@pytest.fixture
def bibtex(tmp_path):
    path = tmp_path / "faces.bib"
    path.write_text(BIBTEX)
    return path


def test_describe_writes_a_card_that_every_board_and_export_prints(root, bibtex, tmp_path):
    digest = json.loads(bench("data", "index", root, "--json"))["digest"]
    bench("data", "describe", root, *SAID, "--citation", bibtex, "-q")
    card = read_card(root)
    assert (card.reference, card.licence, card.citation) == (SAID[1], SAID[3], BIBTEX.strip())
    told = json.loads(bench("data", "index", root, "--json"))
    assert told["card"]["licence"] == SAID[3]
    assert told["digest"] == digest  # a card is no image
    out = tmp_path / "out"
    bench(
        "run",
        "-d",
        "genimage-cnn.cifake",
        "--suite",
        "smoke",
        "--split",
        "all",
        "--data",
        root,
        "-o",
        out,
        "-q",
    )
    for text in ((out / "leaderboard.md").read_text(), bench("export", out, "--format", "latex")):
        assert "Doe et al., Faces, 2026" in text
        assert "CC BY 4.0" in text
        assert "doe2026" in text
    lines = json.loads(bench("export", out, "--format", "json"))["notes"]["data_card"]
    assert lines[:2] == ["Data set: Doe et al., Faces, 2026.", f"Licence of the data: {SAID[3]}."]


def test_what_is_not_said_is_kept(root, bibtex):
    bench("data", "describe", root, *SAID, "-q")
    bench("data", "describe", root, "--citation", bibtex, "-q")
    assert read_card(root).reference == SAID[1]
    assert "doe2026" in bench("data", "describe", root, "-q")


def test_a_table_and_an_archive_have_cards_of_their_own(lay, encode):
    root = lay(
        {"a.csv": b"path,label\na.png,1\nb.png,0\n", "a.png": encode(), "b.png": encode("PNG", 1)}
    )
    bench("data", "describe", root / "a.csv", *SAID, "-q")
    assert (root / "a.card.toml").is_file()
    assert read_card(root / "a.csv").reference == SAID[1]
    assert read_card(root / "b.csv") is None


def test_the_card_of_a_layout_stands_in_and_says_so(lay):
    root = lay([f"sdxl/{k}/0.png" for k in ("0_real", "1_fake")])
    assert "the layout is that of: Wang et al." in bench("data", "index", root)
    bench("data", "describe", root, *SAID, "-q")
    assert "the data set is that of: Doe et al." in bench("data", "index", root)


def test_half_a_card_and_one_that_is_none_are_refused(root, tmp_path):
    with pytest.raises(BenchError, match="--licence is missing"):
        bench("data", "describe", root, "--reference", "Doe")
    with pytest.raises(BenchError, match="--out has no effect"):
        bench("data", "describe", root, "--out", tmp_path / "x.toml")
    with pytest.raises(BenchError, match="cannot be read as text"):
        bench("data", "describe", root, *SAID, "--citation", tmp_path / "no.bib")
    (root / "data-card.toml").write_text("reference = 3\n")
    with pytest.raises(BenchError, match=r"data-card\.toml"):
        bench("data", "index", root)


def test_croissant_lists_every_image_and_is_what_its_digest_says(root, tmp_path):
    bench("data", "describe", root, *SAID, "--croissant", tmp_path / "faces.json", "-q")
    document = json.loads((tmp_path / "faces.json").read_text())
    assert document["@type"] == "sc:Dataset"
    assert document["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert document["license"] == SAID[3]
    (file,) = document["distribution"]
    listing = tmp_path / file["contentUrl"]
    assert hashlib.sha256(listing.read_bytes()).hexdigest() == file["sha256"]
    rows = list(csv.DictReader(listing.open()))
    assert {row["sample_id"]: row["sha256"] for row in rows} == {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*.png")
    }
    (records,) = document["recordSet"]
    assert [field["name"] for field in records["field"]] == list(rows[0])


def test_croissant_passes_its_own_library(root, tmp_path):
    mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    bench("data", "describe", root, *SAID, "--croissant", tmp_path / "faces.json", "-q")
    dataset = mlcroissant.Dataset(tmp_path / "faces.json")
    assert sum(1 for _ in dataset.records("images")) == 12
