"""Boards in passes of images that share groups and bytes: the tables of those in memory."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bench.protocol.cuts import cut_samples
from bench.results.confounds import cautions, duplicate_lines
from bench.results.streamed import dependence as dependent
from bench.results.streamed.dependence import NAMES, Dependence, Repeated, repeated
from bench.results.streamed.images import ImageCounts
from leaderboards.statistics.intervals import cluster_correction
from leaderboards.statistics.streams import clusters as sums
from leaderboards.statistics.streams import runs as sorting
from leaderboards.statistics.streams.clusters import SpreadSum
from leaderboards.streamed import columns as reading
from leaderboards.streamed import means, placements
from leaderboards.streamed.board import BoardProtocol, steps, stream_tables
from leaderboards.streamed.columns import ColumnFile
from leaderboards.tables.cells import ScoreColumn, cell_rows
from leaderboards.tables.extras import extras
from leaderboards.tables.measures.repeats import repeats_of
from leaderboards.tables.slicing import clusters_of

PAIRING = {"net0": ("camera0",), "net1": ("camera0", "camera1"), "lone": ("camera1",)}
SOURCES = ("camera0", "camera1", "control")
THRESHOLD = 0.25


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(sorting, "RUN", 16)
    monkeypatch.setattr(reading, "CHUNK", 25)
    monkeypatch.setattr(placements, "PART", 30)
    monkeypatch.setattr(placements, "BLOCK", 70)
    monkeypatch.setattr(means, "_STEP", 31)
    monkeypatch.setattr(sums, "_STEP", 17)
    monkeypatch.setattr(dependent, "_STEP", 23)


def draw(rng, n, *, groups, contents, lone=True):
    """Images of two generators, or a third with a single image, and three sources, one a control."""
    labels = (rng.random(n) < 0.5).astype(np.int8)
    labels[0] = 1
    names = np.where(labels == 1, rng.choice(["net0", "net1"], n), rng.choice(SOURCES, n)).astype(
        object
    )
    names[0] = "lone" if lone else "net0"
    group = [f"Grüße\n{g}, 'x'" if g else "" for g in rng.integers(0, groups, n)]
    content = [f"{c:064x}" if c else "" for c in rng.integers(0, contents, n)]
    return pd.DataFrame({
        "sample_id": [f"{i}.png" for i in range(n)], "label": labels, "generator": names,
        "domain": rng.choice(["", "faces", "places"], n), "group": group, "sha256": content,
        "format": rng.choice(["PNG", "JPEG"], n), "width": 32, "height": 32,
    })  # fmt: skip


def logits_of(rng, samples, decimals):
    drawn = np.round(rng.normal(samples["label"], 1.2), decimals).astype(np.float32)
    # Equal bytes have equal scores.
    codes = pd.factorize(samples["sha256"])[0]
    first = np.array([np.flatnonzero(codes == code)[0] for code in codes], dtype=np.int64)
    return np.where(samples["sha256"] == "", drawn, drawn[first])


def in_passes(samples, kept, scores, slices, folder):
    """Give the tables, and what is counted of the images, from files."""
    table = pa.Table.from_pandas(samples, preserve_index=False)
    batches = table.to_batches(max_chunksize=40)
    only = table.select([name for name in NAMES if name in table.column_names])
    found = Dependence(repeated(only.to_batches(max_chunksize=33), folder), folder / "clusters")
    counts = ImageCounts(folder, found)
    with counts.kinds_path.open("wb") as kinds:
        start = 0
        for batch in batches:
            counts.add(pa.Table.from_batches([batch]), kept[start : start + len(batch)], kinds)
            start += len(batch)
    clusters, frame = found.finished(), counts.kinds()
    columns = []
    for (detector, condition), logits in scores.items():
        path = folder / f"{detector}-{condition}"
        path.write_bytes(logits.tobytes())
        columns.append(ColumnFile(
            detector=detector, condition=condition, kinds=counts.kinds_path, logits=path,
            fake=(frame["label"] == 1).to_numpy(),
        ))  # fmt: skip
    protocol = BoardProtocol(
        kinds=frame, cuts=cut_samples(frame, slices, PAIRING, dataset="d", split=""), seen={},
        dataset="d", thresholds={column.detector: THRESHOLD for column in columns}, policy="0.25",
        clusters=clusters,
    )  # fmt: skip
    passed = []
    tables = stream_tables(columns, protocol, folder, passed.append)
    assert sum(passed) == steps(columns, protocol)
    return tables, counts, clusters


def in_memory(samples, scores, slices):
    samples = samples.reset_index(drop=True)
    cuts = cut_samples(samples, slices, PAIRING, dataset="d", split="")
    columns = [
        ScoreColumn(detector=detector, condition=condition, logits=logits)
        for (detector, condition), logits in scores.items()
    ]
    thresholds = {column.detector: THRESHOLD for column in columns}
    rows = cell_rows(samples, cuts, columns, {}, "d", threshold=thresholds, policy="0.25")
    return rows, extras(samples, cuts, columns, rows, {})


# A failure is told as it was drawn: to make each smaller takes minutes.
@settings(deadline=None, max_examples=40, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(30, 160),
    groups=st.sampled_from([1, 2, 6, 60, 2000]),
    contents=st.sampled_from([1, 2, 12, 90, 4000]),
    decimals=st.sampled_from([0, 1, 6]),
    slices=st.sampled_from(
        [("generator",), ("pooled",), ("domain",), ("generator", "domain", "generator*domain", "pooled")]
    ),
    lost=st.sampled_from([0.0, 0.1]),
    lone=st.booleans(),
)  # fmt: skip
def test_tables_are_those_of_memory(seed, n, groups, contents, decimals, slices, lost, lone):
    rng = np.random.default_rng(seed)
    samples = draw(rng, n, groups=groups, contents=contents, lone=lone)
    kept = rng.random(n) >= lost
    kept[0] = True
    base = logits_of(rng, samples, decimals)
    scores = {
        ("one", "clean"): base,
        ("one", "jpeg(quality=50)"): logits_of(rng, samples, decimals),
        ("two", "clean"): np.where(np.arange(n) % 7, base, logits_of(rng, samples, decimals)),
        ("same", "clean"): base,
    }
    whole = samples[kept]
    if not (whole["label"] == 0).any() or not set(whole["generator"]) & {"camera0", "camera1"}:
        return
    with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        tables, counts, clusters = in_passes(samples, kept, scores, slices, Path(folder))
        rows, expected = in_memory(whole, {k: v[kept] for k, v in scores.items()}, slices)
        assert (clusters is None) == (clusters_of(whole.reset_index(drop=True)) is None)
    pd.testing.assert_frame_equal(tables.rows, rows, check_exact=True)
    for name in ("pooled", "sources", "classes"):
        made, wanted = getattr(tables.extras, name), getattr(expected, name)
        pd.testing.assert_frame_equal(made, wanted, check_exact=True)
    pd.testing.assert_frame_equal(
        tables.extras.source_auc, expected.source_auc, rtol=1e-12, atol=1e-15
    )
    assert tables.extras.ranks == expected.ranks
    assert tables.extras.intervals.keys() == expected.intervals.keys()
    for name, interval in expected.intervals.items():
        assert tables.extras.intervals[name] == pytest.approx(interval, rel=1e-12, nan_ok=True)
    repeats, facts = repeats_of(whole), counts.facts()
    assert counts.dependence.repeats() == repeats
    assert duplicate_lines(counts.dependence.repeats()) == duplicate_lines(repeats)
    assert cautions(facts, PAIRING, (), counts.dependence.repeats()) == cautions(whole, PAIRING, ())


def test_data_without_groups_or_hashes_need_no_clusters(tmp_path):
    samples = draw(np.random.default_rng(0), 50, groups=1, contents=1)
    samples = samples.drop(columns=["group", "sha256"])
    scores = {("one", "clean"): np.random.default_rng(1).normal(size=50).astype(np.float32)}
    tables, _, clusters = in_passes(samples, np.ones(50, bool), scores, ["pooled"], tmp_path)
    assert clusters is None
    rows, _ = in_memory(samples, scores, ["pooled"])
    pd.testing.assert_frame_equal(tables.rows, rows, check_exact=True)


def test_names_of_one_hash_are_noticed():
    names = pa.chunked_array([["a", "b", "", "a"]])
    one = pd.util.hash_array(np.array(["a"], dtype=object), categorize=False)
    alike = Repeated.of(one)
    assert alike.numbers(names)[0].tolist() == [0, -1, -1, 0]
    assert not alike.numbers(names)[1]
    alike.others[0] ^= np.uint64(1)  # as of another name whose first hash is that of "a"
    assert alike.numbers(names)[1]


def test_a_variance_of_clusters_is_that_of_their_sums(tmp_path):
    codes = np.array([0, -1, 1, 0, -2, -1, 1], np.int32)
    (tmp_path / "clusters").write_bytes(codes.tobytes())
    spread = SpreadSum(sums.ClusterFile(tmp_path / "clusters", 2))
    parts = np.array([0.1, 0.2, -0.3, 0.4, 0.0, -0.1, 0.5])
    for start in range(0, 7, 3):
        spread.add(parts[start : start + 3])
    squares = 0.5**2 + 0.2**2 + 0.2**2 + 0.1**2
    assert spread.variance == pytest.approx(squares * 4 / 3 * (1 - 1 / 6))
    assert spread.df == 3
    assert math.isnan(cluster_correction(1, 5))
    assert cluster_correction(8, 8) == pytest.approx(1)
