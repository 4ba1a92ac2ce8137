"""The hot path: the same bits for any number of threads, nothing done twice, nothing raced."""

from __future__ import annotations

import csv
import json
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

import bench
from bench.inference.detector import DetectorRequest, resolve
from bench.inference.networks import Networks
from bench.inference.profiling import STAGES, Stopwatch
from bench.inference.threads import Lanes, StoppedError, slices
from bench.protocol.suite import Suite
from bench.store.rundir import RunDir

CONDITIONS = ["clean", "noise(sigma=0.1)", "jpeg(quality=50)", "pgd(eps=2/255,steps=2)+webp"]
SUITE = Suite(name="hot", slices=["generator"], conditions=CONDITIONS)
CPU = torch.device("cpu")

ALONE = '''
import threading, time
import torch
from detectors import Detector, DetectorCard, InputSpec

class Alone(Detector):
    """Keeps what it last saw, and says so where another thread comes in between."""

    card = DetectorCard(name="alone", arch="alone", fake_logit="z", input=InputSpec(size=32, fit="crop"))

    def logits(self, batch):
        self.seen = me = object()
        time.sleep(0.002)
        if self.seen is not me:
            raise RuntimeError("two threads at once")
        return batch.mean(dim=(1, 2, 3)) - 0.5

class Shared(Alone):
    """Keeps nothing, and says that too."""

    together, most = 0, 0
    lock = threading.Lock()

    def replica(self):
        return self

    def logits(self, batch):
        with self.lock:
            Shared.together += 1
            Shared.most = max(Shared.most, Shared.together)
        time.sleep(0.02)
        with self.lock:
            Shared.together -= 1
        return batch.mean(dim=(1, 2, 3)) - 0.5
'''


@pytest.fixture
def alone(tmp_path):
    path = tmp_path / "alone.py"
    path.write_text(textwrap.dedent(ALONE))
    return lambda name: f"{path}:{name}"


def shards(folder):
    store = RunDir(folder).store(RunDir(folder).spec())
    return {path.name: path.read_bytes() for path in store.rglob("*.parquet")}


@pytest.mark.parametrize(
    ("detector", "conditions"),
    [("genimage-cnn", CONDITIONS), ("resnet50", ["clean", "fgsm(eps=2/255)", "jpeg(quality=50)"])],
)
def test_the_number_of_threads_changes_no_bit_and_neither_does_resuming(
    tree, tmp_path, detector, conditions
):
    suite = Suite(name="hot", slices=["generator"], conditions=conditions)
    common = {"suite": suite, "data": tree, "batch_size": 8}
    for threads in (1, 2, 3):
        out = tmp_path / str(threads)
        run = bench.run(detector, out=out, threads=threads, **common)
        assert not run.report.incomplete
    one = shards(tmp_path / "1")
    assert len(one) == len(conditions)
    assert shards(tmp_path / "2") == one
    assert shards(tmp_path / "3") == one
    board = (tmp_path / "1" / "leaderboard.csv").read_bytes()
    for path in sorted((tmp_path / "2" / "store").rglob("*.parquet"))[::2]:
        path.unlink()
    bench.run(detector, out=tmp_path / "2", threads=3, **common)
    assert shards(tmp_path / "2") == one
    assert (tmp_path / "2" / "leaderboard.csv").read_bytes() == board


@pytest.mark.parametrize("name", ["genimage-cnn", "resnet50"])
def test_an_images_logit_does_not_depend_on_order_position_or_padding(name):
    detector = resolve(DetectorRequest(name)).to(CPU)
    detector.fold()
    side = detector.card.input.size
    canvases = list(np.random.default_rng(0).integers(0, 256, (21, 3, side, side), np.uint8))
    order = np.random.default_rng(1).permutation(21)

    def logits(some, threads):
        with ThreadPoolExecutor(threads) as pool:
            networks = Networks.of([detector], CPU, Lanes(pool, threads), Stopwatch())
            into = np.full(len(some), np.nan, np.float32)
            networks.gather(detector, networks.submit(detector, some, 8, "fp32"), into)
        return into

    expected = logits(canvases, 1)
    assert np.isfinite(expected).all()
    assert np.array_equal(logits([canvases[i] for i in order], 3), expected[order])
    assert np.array_equal(logits(canvases[:3], 2), expected[:3])


def test_every_image_goes_through_each_network_once_a_condition(tree, tmp_path, monkeypatch):
    seen = {"images": 0}
    forward = Networks._forward
    lock = threading.Lock()

    def counted(self, replicas, batch, form):
        with lock:
            seen["images"] += len(batch)
        return forward(self, replicas, batch, form)

    monkeypatch.setattr(Networks, "_forward", counted)
    # Reals are shared by both generators here; batches of 12 leave no padding.
    table = [
        {
            "path": str(path.relative_to(tree)),
            "label": "fake" if "fake" in path.parts else "real",
            "generator": path.parts[-3] if "fake" in path.parts else "",
        }
        for path in sorted(tree.rglob("*.png"))
        if path.parts[-3:-1] != ("beta", "real")
    ]
    manifest = tree / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in table))
    conditions = ["clean", "jpeg(quality=50)", "noise(sigma=0.1)"]
    suite = Suite(name="count", slices=["generator"], conditions=conditions)
    detectors = ["genimage-cnn", "resnet50"]
    run = bench.run(detectors, suite=suite, data=manifest, out=tmp_path / "out", batch_size=12)
    assert run.counts.decoded == 36
    assert seen["images"] == run.counts.scored == 36 * 3 * 2


def test_a_detector_that_cannot_be_copied_is_never_asked_by_two_threads(tree, alone, tmp_path):
    common = {"suite": "corruptions", "data": tree, "threads": 4, "batch_size": 4}
    run = bench.run([alone("Alone"), "genimage-cnn"], out=tmp_path / "out", **common)
    assert {row["status"] for row in csv.DictReader(run.board.to_csv().splitlines())} == {"ok"}


def test_a_detector_that_says_so_is_asked_by_several(tree, alone, tmp_path):
    common = {"suite": "corruptions", "data": tree, "threads": 4, "batch_size": 4}
    run = bench.run(alone("Shared"), out=tmp_path / "out", **common)
    assert not run.report.incomplete
    path = alone("").rstrip(":")
    (module,) = (m for m in list(sys.modules.values()) if vars(m).get("__file__") == path)
    assert 2 <= module.Shared.most <= 4


def test_a_replica_shares_weights_but_no_module():
    detector = resolve(DetectorRequest("genimage-cnn")).to(CPU)
    for fold in (False, True):
        if fold:
            detector.fold()
        twin = detector.replica()
        for ours, theirs in zip(detector.modules(), twin.modules(), strict=True):
            assert ours is not theirs
            pairs = list(zip(ours.parameters(), theirs.parameters(), strict=True))
            assert pairs
            assert all(a is b for a, b in pairs)
        batch = torch.rand(4, 3, 32, 32)
        assert torch.equal(detector.checked_logits(batch), twin.checked_logits(batch))
        assert twin.identity() == detector.identity()


def test_a_network_with_a_hook_is_not_copied():
    detector = resolve(DetectorRequest("genimage-cnn")).to(CPU)
    next(detector.network.children()).register_forward_hook(lambda *args: None)
    assert detector.replica() is None


def test_decoded_chunks_do_not_pile_up(tree, toy, tmp_path, monkeypatch):
    """Chunks are asked for as work is done: one decoded ahead of the two in work."""
    from bench.runs import executor
    from bench.scoring.decoding import decode_chunk
    from bench.store import units as planning

    monkeypatch.setattr(planning, "CHUNK_IMAGES", 4)
    decoded, most = [], []
    stored = 0

    def counted(*args):
        decoded.append(1)
        # A chunk whose three scores are stored is done with.
        most.append(len(decoded) - stored // 3)
        return decode_chunk(*args)

    from bench.store.shards import Store

    write = Store.write

    def counting(self, *args):
        nonlocal stored
        write(self, *args)
        stored += 1

    monkeypatch.setattr(executor, "decode_chunk", counted)
    monkeypatch.setattr(Store, "write", counting)
    conditions = ["clean", "jpeg(quality=50)", "noise(sigma=0.1)"]
    suite = Suite(name="flow", slices=["generator"], conditions=conditions)
    bench.run(toy(), suite=suite, data=tree, out=tmp_path / "out")
    assert len(decoded) == 12
    # Two in work, one ahead, and one whose last score may be on its way to the store.
    assert max(most) <= 4


def test_what_is_queued_when_a_run_is_given_up_is_not_done():
    hold, done = threading.Event(), []
    with ThreadPoolExecutor(1) as pool:
        lanes = Lanes(pool, 1)
        first = lanes.submit(lambda _: hold.wait(10), 0)
        rest = [lanes.submit(done.append, i) for i in range(5)]
        lanes.close()
        hold.set()
        assert first.result()
        for future in rest:
            with pytest.raises(StoppedError):
                future.result()
        assert not done
        assert lanes.submit(lambda item: item + 1, 1).result() == 2


def test_workers_compute_on_one_thread_each_and_torch_gets_its_number_back():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with ThreadPoolExecutor(2) as pool:
            lanes = Lanes(pool, 2)
            found = lanes.each(lambda _: torch.get_num_threads(), range(4))
            single = lanes.each(lambda _: torch.get_num_threads(), range(2), alone=True)
            lanes.close()
        assert found == [1] * 4
        assert single == [2] * 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_first_failure_in_order_is_the_one_that_is_told():
    def fail(item):
        if item in (1, 3):
            raise ValueError(str(item))
        return item

    with ThreadPoolExecutor(4) as pool:
        lanes = Lanes(pool, 1)
        for _ in range(20):
            with pytest.raises(ValueError, match="1"):
                lanes.each(fail, range(4))
    assert [i for part in slices(19) for i in part] == list(range(19))


def test_a_profile_adds_up(tree, tmp_path):
    run = bench.run("genimage-cnn", suite=SUITE, data=tree, out=tmp_path / "out", threads=2)
    profile = run.profile
    assert set(profile.stages) == set(STAGES)
    assert all(seconds > 0 for seconds in profile.stages.values())
    spent = sum(profile.stages.values()) + profile.other
    assert spent == pytest.approx(profile.whole)
    assert profile.forward_share == profile.stages["forward"] / profile.whole
    again = bench.run("genimage-cnn", suite=SUITE, data=tree, out=tmp_path / "out", threads=2)
    assert again.profile.stages["forward"] == 0
    assert again.profile.forward_share is None


def test_bf16_is_another_score_said_on_the_board_and_gradients_stay_fp32(
    tree, tmp_path, monkeypatch
):
    kinds = set()
    ascend = torch.autograd.grad

    def kept(outputs, inputs, *args, **kwargs):
        kinds.add((outputs.dtype, torch.is_autocast_enabled("cpu")))
        return ascend(outputs, inputs, *args, **kwargs)

    monkeypatch.setattr(torch.autograd, "grad", kept)
    suite = Suite(name="low", slices=["generator"], conditions=["clean", "fgsm(eps=2/255)"])
    runs = {
        precision: bench.run(
            "genimage-cnn",
            suite=suite,
            data=tree,
            out=tmp_path / precision,
            store=tmp_path / "store",
            precision=precision,
        )
        for precision in ("fp32", "bf16")
    }
    assert kinds == {(torch.float32, False)}
    assert [run.counts.scored for run in runs.values()] == [96, 96]
    assert "bf16 arithmetic" in runs["bf16"].board.to_markdown()
    assert "bf16" not in runs["fp32"].board.to_markdown()
    high, low = (run.board.rows for run in runs.values())
    assert list(low["auc"]) == pytest.approx(list(high["auc"]), abs=0.03)


@pytest.mark.slow
def test_compiled_networks_give_the_same_verdicts_and_are_said_on_the_board(tree, tmp_path):
    suite = Suite(name="quick", slices=["generator"], conditions=["clean", "fgsm(eps=2/255)"])
    runs = {
        compiled: bench.run(
            "genimage-cnn",
            suite=suite,
            data=tree,
            out=tmp_path / str(compiled),
            store=tmp_path / "store",
            compile=compiled,
            threads=2,
        )
        for compiled in (False, True)
    }
    assert [run.counts.scored for run in runs.values()] == [96, 96]
    assert "torch.compile" in runs[True].board.to_markdown()
    assert "torch.compile" not in runs[False].board.to_markdown()
    plain, quick = (run.board.rows for run in runs.values())
    assert list(quick["auc"]) == pytest.approx(list(plain["auc"]), abs=0.01)


def test_a_network_that_cannot_be_compiled_is_one_sentence(tree, toy, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        def call(batch):
            raise RuntimeError("no C++ compiler\nsecond line")

        return call

    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.raises(
        bench.BenchError, match=r"--compile: toy cannot.*no C\+\+ compiler\): leave"
    ):
        bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out", compile=True)


def blas_threads():
    found = threadpool_info()
    return {pool["filepath"]: pool["num_threads"] for pool in found if pool["user_api"] == "blas"}


def test_blas_computes_on_the_thread_that_calls_it_and_gets_its_threads_back():
    """Its own threads would spin beside ours: a tenth of the CPU time of small images under JPEG."""
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        if set(before.values()) != {2}:
            pytest.skip("a BLAS that cannot be told how many threads to use")
        with ThreadPoolExecutor(1) as pool:
            lanes = Lanes(pool, 2)
            for alone in (False, True):
                (inside,) = lanes.each(lambda _: blas_threads(), [0], alone=alone)
                assert inside
                assert set(inside.values()) == {1}
            lanes.close()
        assert blas_threads() == before
