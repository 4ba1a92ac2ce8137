"""A store that several share: what is copied from a parent, cleared away, and found damaged."""

from __future__ import annotations

import json
import os
import shutil
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bench
from bench.cli.values import parse_bytes
from bench.errors import BenchError
from bench.protocol.suite import Suite
from bench.store.lock import locked
from bench.store.shards import Store, folders_of
from bench.store.upkeep import clear, look
from bench.store.users import StoreBusyError, cleared_by_nobody, sign_up

SUITE = Suite(name="mini", slices=["generator"], conditions=["clean", "jpeg(quality=50)"])
FIRST, SECOND, THIRD = "ab" * 32, "cd" * 32, "ef" * 32


def shard(logit: float) -> pa.Table:
    return pa.table(
        {
            "sample_id": ["a"],
            "logit": pa.array([logit], pa.float32()),
            "bad": pa.array([None], pa.string()),
            "changed": [True],
        }
    )


def store_of(root, **days_ago: float) -> Store:
    """A store of shards, each last asked for some days ago."""
    store = Store(root)
    for name, days in days_ago.items():
        store.write(name, shard(1.0))
        then = time.time() - days * 86_400
        os.utime(store.path(name), (then, then))
    return store


def files(root) -> dict[str, tuple[bytes, float]]:
    return {
        str(p.relative_to(root)): (p.read_bytes(), p.stat().st_mtime_ns)
        for p in root.rglob("*")
        if p.is_file()
    }


def test_the_first_folder_is_written_and_the_others_must_be_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b", "c", f"odd{os.pathsep}name"):
        (tmp_path / name).mkdir()
    text = os.pathsep.join(["a", "b", "c"])
    own, parents = folders_of(text)
    assert (str(own), [str(p) for p in parents]) == ("a", ["b", "c"])
    own, parents = folders_of(f"odd{os.pathsep}name")
    assert (own.name, parents) == (f"odd{os.pathsep}name", ())
    with pytest.raises(BenchError, match="nowhere is no folder of scores: only the first may be"):
        folders_of(os.pathsep.join(["a", "nowhere"]))
    with pytest.raises(BenchError, match="a folder's name is empty"):
        folders_of(os.pathsep.join(["a", ""]))


def test_what_a_parent_has_is_copied_and_the_parent_stays_as_it_was(tmp_path):
    parent = store_of(tmp_path / "team", **{FIRST: 3})
    before = files(parent.root)
    store = Store(tmp_path / "mine", [tmp_path / "none", parent.root])
    assert store.has(FIRST)
    assert not store.path(FIRST).exists()  # asking alone writes nothing
    assert store.take(FIRST)
    assert not store.take(SECOND)
    assert store.path(FIRST).read_bytes() == parent.path(FIRST).read_bytes()
    assert files(parent.root) == before
    shutil.rmtree(parent.root)
    assert store.read(FIRST)["logit"].to_pylist() == [1.0]


def test_a_parents_damaged_or_renamed_shard_does_not_count(tmp_path):
    parent = store_of(tmp_path / "team", **{FIRST: 0, SECOND: 0})
    content = bytearray(parent.path(FIRST).read_bytes())
    content[len(content) // 3] ^= 0xFF
    parent.path(FIRST).write_bytes(content)
    parent.path(THIRD).parent.mkdir()
    shutil.copy(parent.path(SECOND), parent.path(THIRD))
    before = files(parent.root)
    store = Store(tmp_path / "mine", [parent.root])
    assert [store.take(name) for name in (FIRST, SECOND, THIRD)] == [False, True, False]
    assert files(parent.root) == before


def test_a_parents_shard_without_a_digest_is_not_believed(tmp_path):
    """Earlier versions wrote such; so does whoever changes the scores of a later one."""
    parent = store_of(tmp_path / "team", **{FIRST: 0})
    plain = shard(-1.0).replace_schema_metadata({"fingerprint": FIRST})
    pq.write_table(plain, parent.path(FIRST))
    store = Store(tmp_path / "mine", [parent.root])
    assert not store.has(FIRST)
    assert not store.take(FIRST)


def test_a_run_takes_what_a_parent_has_and_its_board_stands_alone(tree, toy, tmp_path):
    options = {"suite": SUITE, "data": tree}
    first = bench.run(toy(), **options, out=tmp_path / "first")
    team = tmp_path / "first" / "store"
    for path in (team, *team.glob("??")):
        path.chmod(0o555)
    text = os.pathsep.join([str(tmp_path / "mine"), str(team)])
    second = bench.run(toy(), **options, out=tmp_path / "second", store=text)
    assert second.counts.scored == 0 < first.counts.scored
    for path in (team, *team.glob("??")):
        path.chmod(0o755)
    shutil.rmtree(tmp_path / "first")
    bench.leaderboard(tmp_path / "second")
    spec = json.loads((tmp_path / "second" / "run.json").read_text())
    assert (tmp_path / "second" / spec["store"]).resolve() == (tmp_path / "mine").resolve()
    assert text in (tmp_path / "second" / "config.toml").read_text()


def test_only_what_no_run_records_and_nobody_asked_for_goes(tree, toy, tmp_path, cli):
    bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out", store=tmp_path / "store")
    root = tmp_path / "store"
    for path in root.glob("??/*.parquet"):
        os.utime(path, (1, 1))  # old, and still a run's
    used = {shard.fingerprint for shard in look(root).shards}
    store_of(root, **{FIRST: 40, SECOND: 20})
    Store(root).path(THIRD).parent.mkdir(exist_ok=True)
    Store(root).path(THIRD).with_suffix(".damaged").write_bytes(b"x")
    assert look(root).runs == {(tmp_path / "out").resolve(): len(used)}

    assert cli("store", "gc", root, "--dry-run")[0] == 0
    assert len(look(root).shards) == len(used) + 2
    code, out, _ = cli("store", "gc", root, "--json")
    assert code == 0
    assert json.loads(out)["removed"] == [FIRST]
    contents = look(root)
    assert {shard.fingerprint for shard in contents.shards} == used | {SECOND}
    assert not contents.damaged
    facts = json.loads(cli("store", "ls", root, "--json")[1])
    assert facts["of no known run"] == 1
    assert facts["shards"] == len(used) + 1
    bench.leaderboard(tmp_path / "out")


def test_a_bound_takes_what_no_run_records_first_and_the_longest_unused(tmp_path):
    store = store_of(tmp_path / "store", **{FIRST: 3, SECOND: 2, THIRD: 1})
    size = store.path(FIRST).stat().st_size
    assert all(store.path(name).stat().st_size == size for name in (SECOND, THIRD))
    gone = clear(store.root, max_size=2 * size, unused_days=30, dry=True)
    assert [shard.fingerprint for shard in gone.shards] == [FIRST]
    assert (gone.kept, gone.kept_size) == (2, 2 * size)
    assert store.take(FIRST)  # a run asks for it: now it is the youngest
    gone = clear(store.root, max_size=2 * size, unused_days=30, dry=False)
    assert [shard.fingerprint for shard in gone.shards] == [SECOND]
    assert not store.has(SECOND)


def test_nothing_goes_while_a_run_is_in_flight(tmp_path):
    store = store_of(tmp_path / "store", **{FIRST: 99})
    run = tmp_path / "run"
    run.mkdir()
    sign_up(store.root, run)
    with locked(run), pytest.raises(StoreBusyError, match=r"is in use by .*nothing was removed"):
        clear(store.root, max_size=0, unused_days=0, dry=False)
    assert store.has(FIRST)
    clear(store.root, max_size=0, unused_days=0, dry=False)
    assert not store.has(FIRST)


def test_a_run_waits_for_who_clears_up(tmp_path):
    with (
        cleared_by_nobody(tmp_path),
        pytest.raises(StoreBusyError, match="is being cleared up"),
        cleared_by_nobody(tmp_path, patience=0),
    ):
        pass


def test_verify_lists_what_is_damaged_and_changes_nothing(tmp_path, cli):
    store = store_of(tmp_path / "store", **{FIRST: 0, SECOND: 0})
    assert cli("store", "verify", store.root)[0] == 0
    content = bytearray(store.path(SECOND).read_bytes())
    content[len(content) // 3] ^= 0xFF
    store.path(SECOND).write_bytes(content)
    before = files(store.root)
    code, out, _ = cli("store", "verify", store.root, "--json")
    assert code == 13
    found = json.loads(out)
    assert found["checked"] == 2
    assert [each["shard"] for each in found["damaged"]] == [SECOND]
    assert files(store.root) == before
    assert "nowhere is no folder" in cli("store", "ls", tmp_path / "nowhere")[2]


@pytest.mark.parametrize(
    ("text", "count"), [("0", 0), ("700", 700), ("1.5GB", 1_500_000_000), ("2 tb", 2 * 10**12)]
)
def test_sizes_are_read(text, count):
    assert parse_bytes("--max-size", text) == count


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1 XB", "ten"])
def test_other_sizes_are_refused(text):
    with pytest.raises(BenchError, match=r"--max-size .*: give a size such as 500MB or 20GB"):
        parse_bytes("--max-size", text)
