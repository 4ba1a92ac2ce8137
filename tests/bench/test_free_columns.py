"""From a table's further columns to slices and periods on the board, from the command line on."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench.cli.main import app
from bench.errors import BenchError

SUITE = """name = "cuts"
description = "by category"
split = ""
slices = {slices}
conditions = ["clean"]
"""


@pytest.fixture
def data(tmp_path):
    """Forty images in a table with a category and a release date."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(40):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(
            tmp_path / f"{i}.png"
        )
        generator, date = (("sd14", "2022-08-22"), ("gen_x", "2024-01-01"), ("", ""), ("", ""))[
            i % 4
        ]
        rows.append([f"{i}.png", int(bool(generator)), generator, "cat" if i < 20 else "dog", date])
    with (tmp_path / "list.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [["path", "label", "generator", "category", "release_date"], *rows]
        )
    return tmp_path / "list.csv"


def run(data, slices, *more):
    suite, out = data.with_name("s.toml"), data.with_name("out")
    suite.write_text(SUITE.format(slices=json.dumps(slices)))
    words = [
        "run",
        "-d",
        "genimage-cnn.cifake",
        "--suite",
        suite,
        "--data",
        data,
        "-o",
        out,
        "-q",
        *more,
    ]
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, BenchError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return out


def test_a_suite_cuts_by_a_column_of_the_table(data):
    out = run(data, ["generator", "category"])
    rows = list(csv.DictReader(io.StringIO((out / "leaderboard.csv").read_text())))
    cells = {(row["generator"], row["domain"]): row for row in rows}
    assert set(cells) == {
        ("gen_x", "all"),
        ("sd14", "all"),
        ("all", "category=cat"),
        ("all", "category=dog"),
    }
    assert (cells["all", "category=cat"]["n_real"], cells["all", "category=cat"]["n_fake"]) == (
        "10",
        "10",
    )
    # The card names SD 1.4, and so does the data set: another name there is another generator.
    assert {key[0]: row["seen"] for key, row in cells.items()} == {
        "gen_x": "unseen", "sd14": "seen", "all": "mixed",
    }  # fmt: skip
    board = json.loads(CliRunner().invoke(app, ["export", str(out), "--format", "json"]).stdout)
    assert [row["generators"] for row in board["periods"]] == ["sd14, gen_x"]
    assert "## Over time: release date" in (out / "leaderboard.md").read_text()


def test_each_column_has_a_table_of_its_own_and_the_headline_rests_on_the_first(data):
    out = run(data, ["category", "release_date"])
    text = (out / "leaderboard.md").read_text()
    assert "By domain" not in text
    assert text.index("## By category: AUC") < text.index("## By release date: AUC")
    assert "Worst category (AUC)" in text
    rows = list(csv.DictReader(io.StringIO((out / "leaderboard.csv").read_text())))
    of_category = [float(row["auc"]) for row in rows if row["domain"].startswith("category=")]
    macro = text.split("| AUC macro |")[1].splitlines()[2].split("|")[3]
    assert float(macro) == pytest.approx(sum(of_category) / 2, abs=6e-4)


def test_a_column_that_the_data_do_not_have_is_refused_before_anything_is_scored(data):
    with pytest.raises(BenchError, match=r"cuts by 'colour'.*category, release_date"):
        run(data, ["colour"])
    with pytest.raises(BenchError, match="did you mean 'generator'"):
        run(data, ["generatr"])


def test_a_baseline_keeps_the_column_it_is_cut_by(data):
    out = run(data, ["category"])
    folder = data.with_name("base")
    update = ["baseline", "update", out, "--to", folder, "--reason", "first"]
    for words in (update, ["gate", out, "--baseline", folder / "baseline.json"]):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code in (0, 11), (result.output, result.exception)  # 11: too few to tell
        assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "category=cat" in (folder / "baseline.json").read_text()
