"""The files of a run and its scores hold what is documented, also those of an earlier release."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import bench
from bench.catalogue.schemas import schema, schemas
from bench.protocol.suite import Suite
from bench.results.by_image.image_scores import image_scores
from bench.store.rundir import RunDir
from leaderboards.tables.cells import TEXT_COLUMNS

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "leaderboards" / "published"
SUITE = Suite(
    name="chains",
    slices=["generator"],
    conditions=[
        "clean",
        "jpeg(quality=75)",
        "resize(scale=0.5)+jpeg(quality=50)",
        "blur(sigma=1)+resize(scale=0.5)+resize(scale=2)",
        "only(fakes)+noise(sigma=0.05)",
        "fgsm(eps=4/255)+jpeg(quality=90)",
    ],
)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """A run over chains, with an image that cannot be read and a detector that fails."""
    from PIL import Image

    from tests.conftest import TOY, picture

    root = tmp_path_factory.mktemp("scored")
    for generator in ("alpha", "=beta"):
        for kind in ("real", "fake"):
            for i in range(6):
                path = root / "images" / generator / kind / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture(i, fake=kind == "fake")).save(path)
    (root / "toy.py").write_text(TOY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(root / "cache"))
        detectors = [f"{root}/toy.py:Toy", f"{root}/toy.py:Raises"]
        return bench.run(detectors, suite=SUITE, data=root / "images", out=root / "out")


def test_scores_are_those_of_the_shards_and_the_board(scored):
    frame = scored.scores
    assert len(frame) == 24 * 2 * 6
    toy = frame[frame["detector"] == "Toy"]
    assert set(toy["status"]) == {"ok"}
    raises = frame[frame["detector"] == "Raises"]
    assert set(raises["status"]) == {"failed"}
    assert raises["logit"].isna().all()
    assert raises["called"].isna().all()
    assert raises["reason"].str.contains("no such layer").all()
    # The board's accuracy, found again from single images.
    for row in scored.board.rows.query("detector == 'Toy' and generator == 'alpha'").to_dict(
        "records"
    ):
        own = toy[(toy["condition"] == row["condition"]) & toy["path"].str.startswith("alpha/")]
        assert len(own) == 12
        assert (own["called"] == own["label"]).mean() == pytest.approx(row["accuracy"])
        assert (own["called"] == (own["logit"] > own["threshold"])).all()
    assert (toy["class"] == np.where(toy["label"] == 1, "fake", "real")).all()


def test_parameters_of_conditions_are_columns(scored):
    frame = scored.scores.drop_duplicates("condition").set_index("condition")
    assert frame.loc["jpeg(quality=75)", "quality"] == 75
    assert frame.loc["jpeg(quality=75)", "subsampling"] == "4:2:0"
    assert np.isnan(frame.loc["clean", "quality"])
    both = frame.loc["resize(scale=0.5)+jpeg(quality=50)"]
    assert (both["scale"], both["quality"], both["steps"]) == (0.5, 50, "resize+jpeg")
    twice = frame.loc["blur(sigma=1)+resize(scale=0.5)+resize(scale=2)"]
    assert (twice["sigma"], twice["resize.scale"], twice["resize.scale'"]) == (1, 0.5, 2)
    noise = frame.loc["only(fakes)+noise(sigma=0.05)"]
    assert (noise["sigma"], noise["steps"]) == (0.05, "noise")
    attack = frame.loc["fgsm(eps=4/255)+jpeg(quality=90)"]
    assert (attack["eps"], attack["attack"], attack["steps"]) == (4 / 255, "fgsm", "fgsm+jpeg")
    assert attack["attack_linf"] == pytest.approx(4 / 255, abs=1e-6)
    assert np.isnan(frame.loc["clean", "attack_linf"])


def test_scores_come_as_csv_and_parquet_with_every_bit(cli, scored, tmp_path):
    code, out, _ = cli("export", scored.folder, "--format", "scores")
    assert code == 0
    rows = pd.read_csv(io.StringIO(out), keep_default_na=False, na_values=[""])
    frame = scored.scores
    assert list(rows.columns) == list(frame.columns)
    assert rows["logit"].astype("float32").equals(frame["logit"])
    assert rows.loc[rows["generator"].str.contains("beta"), "generator"].str.startswith("'=").all()
    assert cli("export", scored.folder, "-f", "scores", "-o", tmp_path / "s.parquet")[0] == 0
    kept = pq.read_table(tmp_path / "s.parquet").to_pandas()
    assert kept["logit"].equals(frame["logit"])
    assert list(kept.columns) == list(frame.columns)
    assert cli("export", scored.folder, "-f", "scores", "-o", tmp_path / "s.csv")[0] == 0
    assert (tmp_path / "s.csv").read_text() == out
    code, _, err = cli("export", scored.folder, "-f", "scores", "-o", tmp_path / "s.xlsx")
    assert (code, "ends in .csv or .parquet" in err) == (2, True)


def plain(rows):
    """Rows of a table as JSON has them."""
    return json.loads(pd.DataFrame(rows).to_json(orient="records", double_precision=15))


def read(text):
    """Rows of a CSV, numbers as numbers."""

    def value(cell):
        try:
            return float(cell) if cell.strip("-").replace(".", "", 1).isdigit() else cell
        except ValueError:
            return cell

    return [
        {key: value(cell) for key, cell in row.items()} for row in csv.DictReader(io.StringIO(text))
    ]


def documents(folder):
    """Every file of a run with what it holds: (name of its schema, object)."""
    yield "run.json", json.loads((folder / "run.json").read_text())
    yield "failures.json", json.loads((folder / "failures.json").read_text())
    for name in ("manifest.parquet", "units.parquet"):
        yield from ((name, row) for row in pq.read_table(folder / name).to_pylist())
    for shard in sorted(folder.glob("store/*/*.parquet"))[:3]:
        yield from (("shard.parquet", row) for row in pq.read_table(shard).to_pylist())
    for name in ("bad_images.csv", "leaderboard.csv"):
        texts = (*TEXT_COLUMNS, "path")
        for row in read((folder / name).read_text()):
            yield name, {key: str(value) if key in texts else value for key, value in row.items()}
    frame = image_scores(folder)
    yield from (("scores.csv", row) for row in plain(frame.sample(20, random_state=0)))


@pytest.mark.parametrize("which", ["now", "cross-generator", "train-on-one"])
def test_every_file_of_a_run_fits_its_schema(scored, which):
    jsonschema = pytest.importorskip("jsonschema")
    folder = scored.folder if which == "now" else PUBLISHED / which
    checkers = {name: jsonschema.Draft202012Validator(body) for name, body in schemas().items()}
    for checker in checkers.values():
        checker.check_schema(checker.schema)
    seen = set()
    for name, document in documents(folder):
        error = jsonschema.exceptions.best_match(checkers[name].iter_errors(document))
        assert error is None, f"{name}: {error.message} at {list(error.absolute_path)}"
        seen.add(name)
    assert seen >= {
        "run.json",
        "manifest.parquet",
        "units.parquet",
        "shard.parquet",
        "leaderboard.csv",
    }
    spoilt = json.loads((folder / "run.json").read_text()) | {"seed": "nought"}
    assert not checkers["run.json"].is_valid(spoilt)


def test_runs_of_an_earlier_release_are_still_read():
    spec = RunDir(PUBLISHED / "train-on-one").spec()
    assert spec.schema_version == 1
    frame = image_scores(PUBLISHED / "train-on-one")
    assert set(frame["status"]) == {"ok"}
    assert frame["logit"].notna().all()


def test_schemas_are_printed_with_their_version(cli):
    code, out, _ = cli("schema", "run.json")
    assert code == 0
    assert json.loads(out)["$id"] == "bench:1/run.json"
    assert set(json.loads(cli("schema")[1])) == set(schemas())
    assert schema("scores.csv")["required"][:3] == ["sample_id", "path", "class"]
    code, _, err = cli("schema", "rnu.json")
    assert (code, "did you mean 'run.json'" in err) == (2, True)
