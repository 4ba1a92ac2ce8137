"""What is stored is read as it was written: damage is healed by the same command, or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bench
from bench.errors import BenchError
from bench.protocol.suite import Suite
from bench.results import baseline
from bench.results.board import report
from bench.results.pairing import load_scores
from bench.store.rundir import RunDir
from bench.store.seal import sealed, table_digest
from bench.store.shards import SCHEMA, ShardDamagedError, Store

SUITE = Suite(name="mini", slices=["generator"], conditions=["clean", "jpeg(quality=50)"])
PUBLISHED = Path(__file__).parents[2] / "leaderboards" / "published" / "smoke"


@pytest.fixture
def run(tree, toy, tmp_path):
    """A finished run, and the command that made it."""

    class Finished:
        folder = tmp_path / "out"

        def again(self):
            return bench.run(toy(), suite=SUITE, data=tree, out=self.folder)

        def shard(self, condition="clean"):
            units = pq.read_table(self.folder / "units.parquet").to_pylist()
            name = next(u["fingerprint"] for u in units if u["condition"] == condition)
            return self.folder / "store" / name[:2] / f"{name}.parquet"

        def rewrite(self, change):
            """Change a shard's rows and leave all else in it as it was."""
            table = pq.read_table(self.shard())
            changed = change(table).replace_schema_metadata(table.schema.metadata)
            pq.write_table(changed, self.shard())

    finished = Finished()
    finished.again()
    return finished


def logits(values):
    return pa.array(values, pa.float32())


def with_logits(change):
    def changed(table):
        values = table["logit"].to_numpy().copy()
        return table.set_column(1, SCHEMA.field("logit"), logits(change(values)))

    return changed


def first_set(value):
    def change(values):
        values[0] = value
        return values

    return with_logits(change)


SHARDS = {
    "another order": lambda t: t.take(list(range(len(t)))[::-1]),
    "a row less": lambda t: t.slice(1),
    "a row twice": lambda t: pa.concat_tables([t, t.slice(0, 1)]),
    "no row": lambda t: t.slice(0, 0),
    "nan": first_set(np.nan),
    "infinite": first_set(np.inf),
    "one logit": first_set(0.125),
    "signs": with_logits(np.negative),
    "two names swapped": lambda t: t.set_column(
        0, "sample_id", pa.array([t["sample_id"][i].as_py() for i in (1, 0, *range(2, len(t)))])
    ),
    "bad, and a logit": lambda t: t.set_column(2, "bad", pa.array(["gone"] * len(t))),
    "unchanged": lambda t: t.set_column(3, "changed", pa.array([False] * len(t))),
    "a column less": lambda t: t.drop_columns(["unrounded"]),
}


@pytest.mark.parametrize("kind", SHARDS)
def test_a_changed_shard_is_refused_by_the_board_and_healed_by_the_same_command(run, kind):
    before = (run.folder / "leaderboard.csv").read_bytes()
    run.rewrite(SHARDS[kind])
    for _ in range(2):  # looking changes nothing
        with pytest.raises(ShardDamagedError, match=r"run the same command again.*config\.toml"):
            report(run.folder)
    again = run.again()
    assert again.counts.scored == 48
    assert (run.folder / "leaderboard.csv").read_bytes() == before
    assert report(run.folder).board.to_csv().encode() == before
    assert run.shard().with_suffix(".damaged").is_file()
    assert run.again().counts.scored == 0


@pytest.mark.parametrize("kind", ["another order", "two names swapped", "one row of another"])
def test_a_shard_whose_own_digest_fits_is_still_held_against_the_manifest(run, kind):
    before = (run.folder / "leaderboard.csv").read_bytes()
    store, shard = Store(run.folder / "store"), run.shard()
    table = store.read(shard.stem)
    change = SHARDS.get(kind) or (
        lambda t: t.set_column(0, "sample_id", pa.array(["x", *t["sample_id"].to_pylist()[1:]]))
    )
    store.write(shard.stem, change(table))
    with pytest.raises(ShardDamagedError, match="about other images"):
        report(run.folder)
    run.again()
    assert (run.folder / "leaderboard.csv").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not a table"])
def test_every_damaged_shard_is_healed_in_one_go(run, content):
    before = (run.folder / "leaderboard.csv").read_bytes()
    for condition in SUITE.conditions:
        run.shard(condition).write_bytes(content)
    with pytest.raises(ShardDamagedError, match="and 1 more"):
        report(run.folder)
    assert run.again().counts.scored == 96
    assert (run.folder / "leaderboard.csv").read_bytes() == before


def test_damaged_scores_of_the_calibration_are_healed_too(tree, toy, tmp_path):
    rows = [
        {
            "path": str(path.relative_to(tree)),
            "label": path.parent.name,
            "generator": path.parts[-3] if path.parent.name == "fake" else "",
            "split": ("val", "test")[int(path.stem) % 2],
        }
        for path in sorted(tree.rglob("*.png"))
    ]
    (tree / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    suite = SUITE.with_threshold("calibrate(split=val)")
    options = {"suite": suite, "data": tree / "manifest.jsonl", "out": tmp_path / "out"}
    first = bench.run(toy(), **options)
    kept = {unit["fingerprint"] for unit in RunDir(first.folder).units().to_pylist()}
    (calibration,) = (p for p in (tmp_path / "out/store").rglob("*.parquet") if p.stem not in kept)
    table = pq.read_table(calibration)
    flipped = with_logits(np.negative)(table).replace_schema_metadata(table.schema.metadata)
    pq.write_table(flipped, calibration)
    again = bench.run(toy(), **options)
    assert again.board.to_csv() == first.board.to_csv()
    assert again.counts.scored == 24


def test_a_disk_that_damages_what_is_written_is_named(run, monkeypatch):
    write = Store.write

    def damaging(self, fingerprint, scores):
        write(self, fingerprint, scores)
        self.path(fingerprint).write_bytes(b"PAR1")

    run.shard().write_bytes(b"PAR1")
    monkeypatch.setattr(Store, "write", damaging)
    with pytest.raises(BenchError, match="damaged again as soon as it was written"):
        run.again()


def test_the_same_command_tells_what_it_heals(run, tree, toy, capsys):
    from bench.cli.output import Bar
    from bench.inference.detector import DetectorRequest
    from bench.runs.request import RunRequest
    from bench.runs.runner import execute

    run.shard().write_bytes(b"PAR1")
    request = RunRequest(
        detectors=(DetectorRequest(toy()),), suite=SUITE, data=str(tree), out=run.folder
    )
    with Bar(quiet=True) as bar:
        execute(request, bar)
    said = capsys.readouterr().err
    assert "1 damaged score shards are set aside" in said
    assert "scored anew" in said


def labels_swapped(table):
    flipped = pa.array(1 - table["label"].to_numpy(), pa.int8())
    return table.set_column(table.schema.get_field_index("label"), "label", flipped)


MANIFESTS = {
    "another order": lambda t: t.take(list(range(len(t)))[::-1]),
    "labels": labels_swapped,
    "generators": lambda t: t.set_column(
        t.schema.get_field_index("generator"), "generator", pa.array(["beta"] * len(t))
    ),
    "a row less": lambda t: t.slice(1),
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_changed_manifest_is_refused_and_written_anew(run, kind):
    before = (run.folder / "leaderboard.csv").read_bytes()
    path = run.folder / "manifest.parquet"
    pq.write_table(MANIFESTS[kind](pq.read_table(path)), path)
    with pytest.raises(BenchError, match=r"manifest\.parquet is damaged"):
        report(run.folder)
    with pytest.raises(BenchError, match=r"manifest\.parquet is damaged"):
        load_scores(run.folder)
    assert run.again().counts.scored == 0
    assert report(run.folder).board.to_csv().encode() == before


def test_changed_units_are_refused_and_written_anew(run):
    before = (run.folder / "leaderboard.csv").read_bytes()
    path = run.folder / "units.parquet"
    units = pq.read_table(path)
    names = units["condition"].to_pylist()[::-1]
    pq.write_table(units.set_column(1, "condition", pa.array(names)), path)
    with pytest.raises(BenchError, match=r"units\.parquet is damaged"):
        report(run.folder)
    run.again()
    assert report(run.folder).board.to_csv().encode() == before


def edited(**changes):
    return lambda document: {**document, **changes}


SPECS = {
    "limit": edited(limit=7),
    "pairing": edited(pairing={"alpha": ["beta"], "beta": ["alpha"]}),
    "seed": edited(seed=1),
    "no digest": lambda d: {k: v for k, v in d.items() if k != "digest"},
    "thresholds": edited(thresholds={"Toy": {"value": 9.0, "n_real": 1, "n_fake": 1}}),
}


@pytest.mark.parametrize("kind", [*SPECS, "no JSON", "a list", "deep"])
def test_a_changed_run_json_is_refused_and_written_anew(run, kind):
    before = (run.folder / "leaderboard.csv").read_bytes()
    path = run.folder / "run.json"
    texts = {"no JSON": '{"suite', "a list": "[]", "deep": "[" * 100_000}
    text = texts.get(kind) or json.dumps(SPECS[kind](json.loads(path.read_text())))
    path.write_text(text)
    with pytest.raises(BenchError, match=r"run\.json"):
        report(run.folder)
    assert run.again().counts.scored == 0
    assert report(run.folder).board.to_csv().encode() == before


@pytest.mark.parametrize("version", [0, 2, 99, "1", None, [1]])
def test_another_schema_version_is_refused(run, version):
    path = run.folder / "run.json"
    document = json.loads(path.read_text()) | {"schema_version": version}
    path.write_text(json.dumps(sealed(document)))
    with pytest.raises(BenchError, match=r"schema version .*this bench reads 1"):
        report(run.folder)


def test_failures_of_cells_that_the_run_has_not_are_refused(run):
    path = run.folder / "failures.json"
    item = {"detector": "Top", "condition": "clean", "status": "failed", "reason": "x"}
    for text in ('[{"detector": 1', "{}x", "[1]", json.dumps([item])):
        path.write_text(text)
        with pytest.raises(BenchError, match=r"failures\.json is damaged"):
            report(run.folder)


def test_a_run_of_an_earlier_version_is_read_by_what_it_has(run):
    """Without digests, as earlier versions wrote it; its shards still know which images they are about."""
    before = (run.folder / "leaderboard.csv").read_bytes()
    path = run.folder / "run.json"
    document = json.loads(path.read_text())
    for key in ("digest", "files", "surrogates"):
        document.pop(key)
    path.write_text(json.dumps(document))
    for shard in (run.folder / "store").rglob("*.parquet"):
        table = pq.read_table(shard)
        pq.write_table(table.replace_schema_metadata({"fingerprint": shard.stem}), shard)
    assert report(run.folder).board.to_csv().encode() == before
    manifest = pq.read_table(run.folder / "manifest.parquet")
    pq.write_table(MANIFESTS["another order"](manifest), run.folder / "manifest.parquet")
    with pytest.raises(ShardDamagedError, match="about other images"):
        report(run.folder)


def facts(scores):
    """All of a score table that a board, gate or comparison goes by, for comparison."""
    columns = [
        (c.detector, c.condition, c.status, c.ranked, c.logits.tobytes()) for c in scores.columns
    ]
    return (
        columns, scores.protocol, scores.cuts, scores.pairing, scores.thresholds, scores.limit,
        scores.bad, scores.samples.to_csv(), scores.training,
    )  # fmt: skip


def flips(content, count, rng):
    for position in rng.integers(0, 8 * len(content), count):
        changed = bytearray(content)
        changed[position // 8] ^= 1 << (position % 8)
        yield bytes(changed)


def test_random_flipped_bits_never_give_another_number(run, tmp_path):
    rng = np.random.default_rng(0)
    baseline.update(run.folder, tmp_path / "base", "first")
    names = ("run.json", "manifest.parquet", "units.parquet", "failures.json", "bad_images.csv")
    base = tmp_path / "base" / "baseline.json"
    targets = [(run.folder / name, run.folder) for name in names]
    targets += [
        (run.shard(), run.folder),
        (base, base),
        (next(base.parent.glob("baseline-scores-*.parquet")), base),
    ]
    refused = 0
    for path, source in targets:
        content, expected = path.read_bytes(), facts(load_scores(source))
        for changed in flips(content, 40, rng):
            path.write_bytes(changed)
            try:
                assert facts(load_scores(source)) == expected, path.name
            except BenchError:
                refused += 1
        path.write_bytes(content)
    assert refused > 100


def test_flipped_bits_in_a_published_baseline_of_an_earlier_version(tmp_path):
    """Such a one has no digest, nor is its file named by one; the metrics it was published with tell."""
    shutil.copytree(PUBLISHED, tmp_path / "base")
    path = tmp_path / "base" / "baseline.json"
    document = json.loads(path.read_text())
    later = document.keys() - baseline._EARLIER
    assert "digest" in later
    document = {key: value for key, value in document.items() if key not in later}
    (path.parent / document["scores"]["file"]).rename(path.parent / "baseline-scores.parquet")
    document["scores"]["file"] = "baseline-scores.parquet"
    path.write_text(json.dumps(document))
    assert len(load_scores(path).samples) == document["scores"]["n_images"]
    for key, change in {
        "threshold": lambda d: d["detectors"][0].update(threshold=0.5),
        "names": lambda d: d["scores"]["columns"][0].update(detector="resnet50"),
        "pairing": lambda d: d["protocol"]["pairing"].popitem(),
        "cells": lambda d: d["cells"][3].update(auc=0.5),
        "a key": lambda d: d.update(cutz=d.pop("cuts")),
        "half a digest": lambda d: d.update(digest="0" * 64),
    }.items():
        changed = json.loads(json.dumps(document))
        change(changed)
        path.write_text(json.dumps(changed))
        with pytest.raises(BenchError, match="restore it, or make it again"):
            load_scores(path)
        assert key


def test_a_baseline_is_held_against_its_own_digest(run, tmp_path):
    path = baseline.update(run.folder, tmp_path / "base", "first")
    document = json.loads(path.read_text())
    for change in ({"reason": "second"}, {"bad": {"x.png": "gone"}}, {"schema_version": 2}):
        path.write_text(json.dumps(document | change))
        with pytest.raises(BenchError, match=r"baseline\.json"):
            load_scores(path)


def test_a_digest_is_of_values_not_of_their_encoding(tmp_path):
    table = pa.table(
        {
            "text": ["a", None, "ü"],
            "number": pa.array([1.0, None, -0.0], pa.float32()),
            "flag": [True, None, False],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet", compression="none", use_dictionary=False)
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    assert table_digest(pq.read_table(tmp_path / "a.parquet")) == table_digest(table)
    assert table_digest(chunked) == table_digest(table)
    others = [
        table.slice(1),
        table.take([1, 0, 2]),
        table.set_column(0, "text", pa.array(["a", "", "ü"])),
        table.set_column(1, "number", pa.array([1.0, 0.0, -0.0], pa.float32())),
        table.set_column(1, "number", pa.array([1.0, None, 0.0], pa.float32())),
        table.set_column(2, "flag", pa.array([True, False, False])),
        table.rename_columns(["words", "number", "flag"]),
    ]
    assert len({table_digest(other) for other in [table, *others]}) == 1 + len(others)


def test_a_store_takes_no_score_that_is_neither_finite_nor_explained(tmp_path):
    rows = pd.DataFrame({"sample_id": ["a"], "logit": [np.nan], "bad": [None]})
    table = pa.Table.from_pandas(rows, preserve_index=False)
    for name in SCHEMA.names[3:]:
        table = table.append_column(name, pa.nulls(1, SCHEMA.field(name).type))
    table = table.set_column(2, "bad", pa.nulls(1, pa.string()))
    with pytest.raises(ValueError, match="neither a finite logit"):
        Store(tmp_path).write("ab" * 32, table)
