"""Under only(...), a class that stays as it is keeps its clean scores: no batch of it is scored twice."""

from __future__ import annotations

import pytest
import torch

import bench
from bench.datasets import index
from bench.inference.networks import Unmoved
from bench.inference.replicas import Replicas
from bench.protocol.suite import Suite
from bench.store.rundir import RunDir

SUITE = Suite(
    name="unmoved",
    slices=["generator"],
    conditions=[
        "clean", "jpeg(quality=50)", "only(fakes)+jpeg(quality=50)", "only(reals)+jpeg(quality=50)",
        "only(fakes)+resize(scale=0.5)",
    ],
)  # fmt: skip


@pytest.fixture
def forwards(monkeypatch):
    """Length of every batch scored, by a network in which batch mates and places move every logit."""
    seen: list[int] = []
    alone = Replicas.score

    def score(self, batch):
        seen.append(len(batch))
        logits = alone(self, batch)
        return logits + logits.mean() + torch.arange(len(batch)) / 100

    monkeypatch.setattr(Replicas, "score", score)
    return seen


def scored(tree, out, size, equaliser):
    """Bytes of the board and of every shard."""
    bench.run(
        "genimage-cnn", suite=SUITE.with_equaliser(equaliser), data=tree, out=out, batch_size=size,
        device="cpu", allow_untrained=True,
    )  # fmt: skip
    store = RunDir(out).store(RunDir(out).spec())
    shards = {path.name: path.read_bytes() for path in store.rglob("*.parquet")}
    return (out / "leaderboard.csv").read_bytes(), shards


# Batches of 4 hold one class each, of 7 some hold both.
@pytest.mark.parametrize(("size", "equaliser"), [(4, ""), (7, "jpeg(quality=90)")])
def test_batches_of_an_untouched_class_are_scored_once_and_every_bit_stays(
    forwards, tree, tmp_path, monkeypatch, size, equaliser
):
    once = scored(tree, tmp_path / "once", size, equaliser)
    few = len(forwards)
    with monkeypatch.context() as patch:
        patch.setattr(Unmoved, "holds", lambda self, place: False)
        again = scored(tree, tmp_path / "again", size, equaliser)
    many = len(forwards) - few
    assert once == again
    labels = index(tree, cache_dir=tmp_path).table["label"].to_pylist()
    batches = [set(labels[start : start + size]) for start in range(0, len(labels), size)]
    fakes, reals = batches.count({1}), batches.count({0})
    assert min(fakes, reals) > 0
    assert (fakes + reals < len(batches)) == bool(equaliser)
    assert many == len(batches) * (len(SUITE.conditions) + bool(equaliser))
    # Two conditions leave the reals as they are, and one the fakes.
    assert many - few == 2 * reals + fakes
