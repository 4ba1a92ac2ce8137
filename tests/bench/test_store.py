from __future__ import annotations

import multiprocessing
import os
import signal
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.errors import OutputError
from bench.store.shards import (
    ATTACK_COLUMNS,
    LIKENESS_COLUMNS,
    SCHEMA,
    VOTE_COLUMNS,
    ShardDamagedError,
    Store,
)
from bench.support.files import write_atomic


def shard(n: int = 3) -> pa.Table:
    columns = {
        "sample_id": [f"a/{i}.png" for i in range(n)],
        "logit": np.linspace(-1, 1, n, dtype=np.float32),
        "bad": [None] * n,
        "changed": [True] * n,
        **{name: [None] * n for name in (*ATTACK_COLUMNS, *LIKENESS_COLUMNS, *VOTE_COLUMNS)},
    }
    return pa.table(columns).cast(SCHEMA)


def test_a_shard_comes_back_bit_for_bit(tmp_path):
    store = Store(tmp_path)
    assert not store.has("ab" * 32)
    store.write("ab" * 32, shard())
    assert store.has("ab" * 32)
    assert store.read("ab" * 32).equals(shard())


def test_a_shard_of_an_earlier_version_is_read_and_not_set_aside(tmp_path):
    store, name = Store(tmp_path), "ab" * 32
    old = shard().drop_columns(["grad_zero", "unbounded", "unrounded"])
    path = store.path(name)
    path.parent.mkdir(parents=True)
    pq.write_table(old.replace_schema_metadata({"fingerprint": name}), path)
    read = store.read(name)
    assert read.schema.names == SCHEMA.names
    assert read["unrounded"].null_count == len(read)
    assert read["logit"].equals(old["logit"])


@pytest.mark.parametrize("damage", ["truncate", "flip", "other"])
def test_a_damaged_shard_is_set_aside_so_that_a_re_run_heals_it(tmp_path, damage):
    store, name = Store(tmp_path), "cd" * 32
    store.write(name, shard(2000))
    path = store.path(name)
    data = path.read_bytes()
    if damage == "truncate":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        path.write_bytes(data[:-4] + b"XXXX")
    else:
        store.write("ef" * 32, shard(5))
        path.write_bytes(store.path("ef" * 32).read_bytes())
    with pytest.raises(ShardDamagedError, match="run the same command again"):
        store.read(name)
    assert not store.has(name)


def _write_forever(root: str) -> None:
    store = Store(root)
    for i in range(100_000):
        store.write(f"{i:064x}", shard(500))


def test_kill_at_any_moment_leaves_only_whole_shards(tmp_path):
    from pathlib import Path

    context = multiprocessing.get_context("fork")
    process = context.Process(target=_write_forever, args=(Path(tmp_path),))
    process.start()
    deadline = time.monotonic() + 60
    while len(list(tmp_path.rglob("[!.]*.parquet"))) <= 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    shards = list(tmp_path.rglob("*.parquet"))
    whole = [path for path in shards if not path.name.startswith(".tmp-")]
    assert len(whole) > 3
    for path in whole:
        assert Store(tmp_path).read(path.stem).num_rows == 500


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    def fill(stream):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left"):
        write_atomic(tmp_path / "x" / "board.md", fill)
    assert list((tmp_path / "x").iterdir()) == []
