"""The plan of a large run: it cuts as a run does, its clock is that of closed forms, it names its sources."""

from __future__ import annotations

import json
import math
from itertools import repeat

import pytest

import bench
from bench.inference.detector import DetectorRequest
from bench.protocol.suite import Suite
from bench.results.streamed.scope import STREAM_FROM
from bench.runs.cluster.dispatch import Dispatcher
from bench.runs.cluster.flow import Flow
from bench.runs.prepare import prepare
from bench.runs.request import RunRequest
from bench.runs.scale import simulation
from bench.runs.scale.counts import Kind, Load, count
from bench.runs.scale.rates import ASSUMED, DEFAULTS, GIVEN, rates_of
from bench.runs.scale.simulation import Cost, Worker, clock, scenario
from bench.scoring.engine import Counts
from bench.store import units as planning
from bench.support.progress import Silent

ATTACK = "fgsm(eps=2/255)"
CONDITIONS = ["clean", "jpeg(quality=75)", "blur(sigma=1)"]


def rates(**figures):
    quick = {"core_ms": 5.0, "lock_ms": 0.25}  # so that devices hold small runs
    return rates_of({"": 1000.0}, 2, gpu=True, cores=16, figures=quick | figures)


@pytest.mark.parametrize(
    ("chunk", "threads", "attack"),
    [(3, 2, ""), (7, 1, ATTACK), (20, 5, ""), (20, 5, ATTACK), (256, 40, ATTACK)],
)
def test_it_cuts_as_the_client_of_a_cluster_does(
    tree, toy, tmp_path, monkeypatch, chunk, threads, attack
):
    monkeypatch.setattr(planning, "CHUNK_IMAGES", chunk)
    suite = Suite(name="s", slices=["generator"], conditions=[*CONDITIONS, *filter(None, [attack])])
    batch = min(4, chunk)
    detectors = (DetectorRequest("genimage-cnn"), DetectorRequest("vit"))
    request = RunRequest(
        detectors=detectors, suite=suite, data=str(tree), out=tmp_path / "out", batch_size=batch, device="cpu"
    )  # fmt: skip
    prepared = prepare(request, Silent())
    plan = prepared.plan()
    context = Dispatcher(None, Silent(), Counts())._context(prepared)
    work = [(each, plan.by_chunk[each.index]) for each in plan.chunks]
    sent = list(Flow(prepared, context, work, lambda _: False, threads))

    counts = count(
        Load(images=len(prepared.rows), detectors=2, conditions=len(suite.conditions),
             gradients=bool(attack), pixels=40 * 48, batch_size=batch, workers=threads)
    )  # fmt: skip
    expected = list(repeat(counts.body[0], counts.body[1])) + list(counts.tail)
    assert [t.role == "probes" for t in sent] == [kind.probes for kind in expected]
    passes = {unit: context.costs[unit.condition] for unit in plan.units}
    assert [
        (len(t.table), len({u.condition for u in t.units}), len(t.units), sum(passes[u] for u in t.units))
        for t in sent if t.role != "probes"
    ] == [(k.rows, k.conditions, k.units, k.passes) for k in expected if not k.probes]  # fmt: skip
    assert (counts.chunks, counts.units) == (len(plan.chunks), len(plan.units))
    assert sum(kind.files for kind in expected) == pytest.approx(counts.units)


def test_files_and_bytes_of_a_store_are_those_of_a_run(tmp_path):
    suite = Suite(name="s", slices=["generator"], conditions=CONDITIONS)
    bench.run("genimage-cnn", suite=suite, out=tmp_path / "out", device="cpu", limit=300)
    shards = list((tmp_path / "out" / "store").rglob("*.parquet"))
    plan = scenario(Load(300, 1, 3, pixels=64 * 64), Worker(), rates(), simulate=False)
    assert plan.counts.units == len(shards) == 6
    assert plan.store_bytes == pytest.approx(sum(p.stat().st_size for p in shards), rel=0.15)


def cost(device=0.0, data=0.0, scheduler=0.0, writing=0.0):
    return Cost(device, 0.0, 0.0, data, scheduler, writing)


@pytest.mark.parametrize(
    ("task", "number", "workers", "seconds"),
    [
        # The worker is never idle: the first task is sent, all are done, the last one is written.
        (cost(device=10, scheduler=0.5, writing=1), 20, 1, 0.5 + 20 * 10 + 1),
        # Four rounds on five workers; the workers start a send apart.
        (cost(device=10, scheduler=0.25), 20, 5, 5 * 0.25 + 4 * 10),
        # The client is never idle.
        (cost(device=1, scheduler=0.5, writing=0.5), 100, 8, 100.0),
        # One store of images for all: 7 s each, whoever waits.
        (cost(device=2, data=7), 30, 10, 30 * 7),
    ],
)
def test_the_clock_is_that_of_closed_forms(task, number, workers, seconds):
    assert clock(repeat(task, number), workers, Worker()) == pytest.approx(seconds)


def test_without_a_gpu_networks_and_images_take_turns():
    task = Cost(3.0, 2.0, 0.0, 0.0, 0.0, 0.0)
    assert clock(repeat(task, 4), 1, Worker(gpu=True)) == pytest.approx(12)
    assert clock(repeat(task, 4), 1, Worker(gpu=False)) == pytest.approx(20)


@pytest.mark.parametrize("workers", [1, 8, 60])
def test_the_pace_of_the_last_tasks_stands_for_those_that_are_not_simulated(monkeypatch, workers):
    load = Load(1_000_000, 2, 13, workers=workers)
    whole = scenario(load, Worker(), rates(), simulate=True)
    monkeypatch.setattr(simulation, "_MOST", 1000)
    short = scenario(load, Worker(), rates(), simulate=True)
    assert whole.counts.body[1] > 5000 > simulation._ROUNDS * 2 * workers
    assert short.simulated == pytest.approx(whole.simulated, rel=1e-3)
    assert whole.simulated >= whole.hours


def test_what_breaks_first_is_what_the_arithmetic_says():
    # 200 images a chunk of 160,000 px; per chunk 26 units: 26 x 3 ms + 7.2 + 26 x .07 ms in the client.
    load = Load(10_000_000, 2, 13, pixels=160_000, workers=1000)
    plan = scenario(load, Worker(), rates(memory_gb=1.0, data_gbit=1e6), simulate=True)
    client = (26 * 3.0 + 7.2 + 26 * 0.07) / 1e3
    assert plan.feeds == pytest.approx(200 * 13 * 2 / 1000 / client)
    assert plan.held_by == "writing shards"
    board = 1e6 * DEFAULTS["pass_mb"].value + plan.counts.units * DEFAULTS["pass_unit_bytes"].value
    assert plan.beyond["memory of the board"] == pytest.approx(board / 1e9)
    assert next(iter(plan.beyond)) == "the client (writing shards)"
    assert plan.share("devices") == pytest.approx(plan.feeds / 1000, rel=0.05)
    few = scenario(Load(1000, 2, 13), Worker(), rates(), simulate=True)
    assert not few.beyond
    assert few.held_by == "devices"


def test_a_board_is_reckoned_as_it_is_made():
    conditions = 13
    fewest = math.ceil(STREAM_FROM / (2 * conditions))
    plans = [
        scenario(Load(images, 2, conditions, gradients), Worker(), rates(), simulate=False)
        for images, gradients in ((fewest, 0), (fewest - 1, 0), (10_000_000, 3), (10_000_000, 0))
    ]
    assert [plan.board.in_passes for plan in plans] == [True, False, False, True]
    _, _, attacked, passes = plans
    scores = 1e7 * 2 * conditions
    assert attacked.board.memory == pytest.approx(
        1e7 * DEFAULTS["board_image_bytes"].value + scores * DEFAULTS["board_score_bytes"].value
    )
    assert attacked.board.disk == 0
    assert passes.board.memory < attacked.board.memory / 4
    assert passes.board.disk > 4 * scores


def test_a_rate_that_nobody_measured_says_so(cli):
    code, out, _ = cli("plan", "--images", "1000,2.6M", "--workers", 4, "--format", "json")
    assert code == 0
    document = json.loads(out)
    sources = {line["rate"]: line["source"] for line in document["rates"]}
    assert "H100" in sources["forward, detector 1"]
    assert sources["data_gbit"].startswith(ASSUMED)
    assert [plan["images"] for plan in document["plans"]] == [1000, 2_600_000]
    assert document["plans"][0]["hours_simulated"] is None

    code, out, _ = cli(
        "plan", "--rate", "a=900", "--rate", "b=450", "--figure", "write_ms=12", "-f", "json"
    )
    document = json.loads(out)
    sources = {line["rate"]: line["source"] for line in document["rates"]}
    assert [sources[name] for name in ("forward, a", "forward, b", "write_ms")] == [GIVEN] * 3
    hours = 2.6e6 * 13 * (1 / 900 + 1 / 450) / 3600
    assert math.isclose(document["plans"][0]["device_hours"], hours)

    code, out, _ = cli("plan", "--device", "cpu", "--cores", 4, "--simulate")
    assert code == 0
    assert "37.48 forward passes a second" in out
    assert "hours, simulated" in out
    code, out, _ = cli("plan", "--simulate", "--format", "csv")
    assert out.startswith("images,workers,chunks,")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--images", "2.6X"], "--images 2.6X: give whole numbers from 1"),
        (["--workers", "0"], "--workers 0: give whole numbers from 1"),
        (["--figure", "writes=3"], "--figure writes=...: choose one of core_ms"),
        (["--figure", "write_ms=-3"], "--figure write_ms=-3: give a positive number"),
        (["--figure", "write_ms"], "--figure write_ms: give a name and a number"),
        (["--rate", "900", "--rate", "a=3"], "--rate: name a detector with every rate"),
        (["--rate", "a=3", "--detectors", "2"], "--detectors has no effect beside rates"),
        (["--device", "tpu"], "--device tpu: choose"),
        (["--size", "0x64"], "--size 0x64: give pixels"),
    ],
)
def test_what_is_wrong_with_a_plan_is_one_sentence(cli, arguments, sentence):
    code, out, err = cli("plan", *arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.strip().splitlines()) == 1


def test_kinds_are_counted_once():
    counts = count(Load(10_000, 2, 3, pixels=1, workers=3))
    assert sum(counts.kinds.values()) == counts.tasks
    assert counts.body[0] == Kind(256, 3, 6, 6, 6)
