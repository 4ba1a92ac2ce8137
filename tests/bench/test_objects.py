"""Runs on data and scores in an object store: the scores of the same files on disk, and nobody's secrets."""

from __future__ import annotations

import io
import json
import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import bench
from bench.errors import BenchError, DataError
from bench.protocol.suite import Suite
from bench.store.rundir import RunDir
from bench.store.shards import Store, folders_of
from bench.support.objects import remote
from bench.support.objects.place import place_of

SUITE = Suite(
    name="mini", slices=["generator"], conditions=["clean", "jpeg(quality=50)", "fgsm(eps=4/255)"]
)


def scores(folder):
    """The bytes of every shard's scores, by fingerprint."""
    return {
        path.stem: pq.read_table(path).to_pydict()
        for path in sorted((folder / "store").glob("??/*.parquet"))
    }


def files(run):
    return [path for path in run.rglob("*") if path.is_file()]


def test_a_run_on_objects_has_the_scores_and_the_board_of_the_same_files(
    tree, toy, tmp_path, bucket
):
    url = bucket(tree)
    local = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "local")
    far = bench.run(toy(), suite=SUITE, data=url, out=tmp_path / "far")
    assert scores(tmp_path / "far") == scores(tmp_path / "local") != {}
    assert bench.leaderboard(far).to_markdown() == bench.leaderboard(local).to_markdown()
    spec = json.loads((tmp_path / "far" / "run.json").read_text())
    assert spec["data"] == url
    assert (
        spec["manifest_digest"]
        == json.loads((tmp_path / "local" / "run.json").read_text())["manifest_digest"]
    )
    again = bench.run(toy(), suite=SUITE, data=url, out=tmp_path / "far")
    assert again.counts.scored == 0


@pytest.mark.parametrize(
    "command",
    [
        ["run", "-d", "TOY", "--suite", "smoke", "--data", "URL"],
        ["run", "-d", "TOY", "--suite", "smoke", "--data", "URL", "--dry-run"],
        ["data", "index", "URL"],
        ["data", "describe", "URL"],
        ["audit", "URL"],
        ["audit", "pocket", "--against", "URL"],
    ],
    ids=" ".join,
)
def test_every_command_that_opens_data_opens_a_url(command, tree, toy, bucket, cli):
    named = {"URL": bucket(tree), "TOY": toy()}
    code, out, err = cli(*(named.get(word, word) for word in command))
    assert code == 0, err
    assert out


def test_a_board_is_made_and_shown_without_asking_the_store(
    tree, toy, tmp_path, bucket, cli, monkeypatch
):
    run = bench.run(toy(), suite=SUITE, data=bucket(tree), out=tmp_path / "far")
    monkeypatch.setattr(remote, "file_system", lambda url: pytest.fail("contacted"))
    for command in (
        ["board", run.folder],
        ["report", run.folder, "-o", "r.html"],
        ["verify", run.folder],
    ):
        code, _, err = cli(*command)
        assert code == 0, err


@pytest.mark.parametrize(
    "secret",
    [
        "s3://me:hunter2@bucket/x",
        "s3://me:h/hunter2@bucket/x",
        "https://host/x.parquet?sig=hunter2",
    ],
)
def test_a_url_with_credentials_is_refused_before_anything_is_written(secret, toy, tmp_path, cli):
    for place in (["--data", secret], ["--data", "pocket", "--reals", secret],
                  ["--store", f"mine{os.pathsep}{secret}"]):  # fmt: skip
        code, out, err = cli("run", "-d", toy(), "--suite", "smoke", *place, "--out", "out")
        assert code == 2
        assert "would end up in records" in err
        assert "hunter2" not in out + err
    assert not [f for f in files(tmp_path) if b"hunter2" in f.read_bytes()]
    assert not (tmp_path / "out").exists()


def test_what_is_written_lies_on_disk(toy, tree, tmp_path, cli):
    for flag in ("--out", "--cache"):
        code, _, err = cli(
            "run", "-d", toy(), "--suite", "smoke", "--data", tree, flag, "s3://bucket/x"
        )
        assert code == 2
        assert "what a run writes lies on disk" in err
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("s3")]
    with pytest.raises(
        BenchError, match=r"scores are written to a folder on disk: give --store FOLDER:s3://b/x"
    ):
        folders_of("s3://b/x")


def test_urls_among_stores_keep_their_colons(monkeypatch, bucket, tree):
    url = bucket(tree)
    own, parents = folders_of(os.pathsep.join(["mine", str(tree), url]))
    assert (str(own), [str(p) for p in parents]) == ("mine", [str(tree), url])
    monkeypatch.setattr("bench.support.objects.place.ObjectPath.kind", lambda self: "directory")
    _, parents = folders_of("mine:hdfs://host:8020/scores:s3://team/scores")
    assert [str(p) for p in parents] == ["hdfs://host:8020/scores", "s3://team/scores"]


def test_a_parent_in_a_bucket_lends_what_it_has_and_the_run_stands_alone(
    tree, toy, tmp_path, bucket
):
    options = {"suite": SUITE, "data": tree}
    first = bench.run(toy(), **options, out=tmp_path / "first")
    url = bucket(tmp_path / "first" / "store")
    shutil.rmtree(tmp_path / "first" / "store")
    stores = os.pathsep.join([str(tmp_path / "mine"), url])
    second = bench.run(toy(), **options, out=tmp_path / "second", store=stores)
    assert second.counts.scored == 0 < first.counts.scored
    config = (tmp_path / "second" / "config.toml").read_text()
    assert url in config
    MemoryFileSystem.store.clear()
    assert bench.leaderboard(tmp_path / "second").to_markdown() == first.board.to_markdown()


def with_a_flipped_bit(shard: bytes) -> bytes:
    """The same shard with the lowest bit of its first logit flipped, in a file that is whole."""
    table = pq.read_table(io.BytesIO(shard))
    logits = table["logit"].to_numpy().copy()
    logits[:1].view(np.uint32)[0] ^= 1
    column = pa.array(logits, pa.float32())
    changed = table.set_column(table.column_names.index("logit"), table.field("logit"), column)
    pq.write_table(changed, target := io.BytesIO(), write_page_checksum=True)
    return target.getvalue()


def test_a_parents_flipped_bit_is_not_believed(tree, toy, tmp_path, bucket):
    options = {"suite": SUITE, "data": tree}
    first = bench.run(toy(), **options, out=tmp_path / "first")
    url = bucket(tmp_path / "first" / "store")
    flipped = sorted(key for key in MemoryFileSystem.store if key.endswith(".parquet"))[0]
    content = with_a_flipped_bit(MemoryFileSystem.store[flipped].getvalue())
    MemoryFileSystem().pipe_file(flipped, content)
    stores = os.pathsep.join([str(tmp_path / "mine"), url])
    second = bench.run(toy(), **options, out=tmp_path / "second", store=stores)
    assert 0 < second.counts.scored < first.counts.scored
    assert second.board.to_markdown() == first.board.to_markdown()
    assert MemoryFileSystem.store[flipped].getvalue() == content


def test_a_parent_that_does_not_answer_is_an_error_and_not_a_unit_to_score(
    tmp_path, bucket, monkeypatch, tree
):
    url = bucket(tree)
    monkeypatch.setattr(remote, "_WAITS_S", ())
    store = Store(tmp_path / "mine", [place_of(url)])
    assert not store.take("ab" * 32)

    def fail(*_, **__):
        raise TimeoutError

    monkeypatch.setattr(MemoryFileSystem, "cat_file", fail)
    with pytest.raises(DataError, match=f"{url}/ab/abab.* cannot be read"):
        store.take("ab" * 32)
    with pytest.raises(BenchError, match=f"{url}x is no folder of scores"):
        folders_of(os.pathsep.join(["mine", f"{url}x"]))


def test_an_object_that_changes_in_mid_run_stops_it_and_loses_nothing(
    tree, toy, tmp_path, bucket, monkeypatch
):
    url = bucket(tree)
    from bench.runs import runner

    key = "/bucket/images/beta/fake/03.png"
    original = runner.prepare

    def prepare_then_change(*args, **kwargs):
        prepared = original(*args, **kwargs)
        MemoryFileSystem().pipe_file(key, (tree / "alpha/fake/00.png").read_bytes())
        return prepared

    monkeypatch.setattr(runner, "prepare", prepare_then_change)
    with pytest.raises(DataError, match=r"beta/fake/03\.png changed since it was indexed"):
        bench.run(toy(), suite=SUITE, data=url, out=tmp_path / "far")
    monkeypatch.undo()
    assert not scores(tmp_path / "far")
    shutil.copy(tree / "alpha/fake/00.png", tree / "beta/fake/03.png")
    far = bench.run(toy(), suite=SUITE, data=url, out=tmp_path / "far", force=True)
    local = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "local")
    assert far.board.to_markdown() == local.board.to_markdown()
    assert RunDir(tmp_path / "far").spec().data == url
