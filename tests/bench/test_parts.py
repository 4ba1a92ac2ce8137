"""Chunks cut into parts: tasks follow the work, and the scores are those of the whole chunk."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from bench.datasets import BadImageError
from bench.inference.detector import DetectorRequest
from bench.protocol.suite import Suite
from bench.runs.cluster import work
from bench.runs.cluster.dispatch import Dispatcher
from bench.runs.cluster.flow import Flow
from bench.runs.cluster.parts import Rest, passes_left, shape
from bench.runs.cluster.spec import SHARED_BY
from bench.runs.prepare import prepare
from bench.runs.request import RunRequest
from bench.scoring import decoding
from bench.scoring.decoding import decode_chunk
from bench.scoring.engine import Counts
from bench.scoring.outcomes import Failed, Scored
from bench.store.units import Chunk
from bench.support.memory.allocator import WORKER_ENVIRONMENT
from bench.support.progress import Silent

SUITE = Suite(
    name="parts",
    slices=["generator"],
    conditions=[
        "clean",
        "noise(sigma=0.1)",
        "fgsm(eps=2/255)",
        "fgsm(eps=8/255)",
        "pgd(eps=4/255,steps=2,goal=evade)",
        "pgd(eps=4/255,steps=2)+jpeg(quality=60)",
        "resize(scale=0.5)+pgd(eps=2/255,steps=2,goal=frame)",
        "square(eps=8/255,queries=3)",
        *(f"pgd(eps={k}/255,steps=3)" for k in (1, 2, 16)),  # budgets in each other
        "fmn(steps=3)",
    ],
)


@pytest.fixture
def prepared(tree, tmp_path):
    request = RunRequest(
        detectors=(DetectorRequest("genimage-cnn"),), suite=SUITE, data=str(tree),
        out=tmp_path / "out", batch_size=5, device="cpu",
    )  # fmt: skip
    return prepare(request, Silent())


def whole(prepared):
    plan = prepared.plan()
    with ThreadPoolExecutor(1) as pool:
        engine = prepared.engine(pool)
        return {
            outcome.unit: outcome
            for chunk in plan.chunks
            for outcome in engine.score(
                decode_chunk(prepared.manifest, chunk, prepared.policy, pool),
                plan.by_chunk[chunk.index],
            )
        }


def in_parts(prepared, threads, order=lambda tasks: tasks):
    """Tasks as a client sends them and a worker does them, in an order of ours."""
    plan, counts = prepared.plan(), Counts()
    context = Dispatcher(None, Silent(), Counts())._context(prepared)
    flow = Flow(
        prepared, context, [(c, plan.by_chunk[c.index]) for c in plan.chunks], lambda _: False, threads
    )  # fmt: skip
    sent, outcomes = [], {}
    while tasks := order(list(flow)):
        sent += tasks
        for task in tasks:
            result = work.score(context, task)
            counts.decoded += result.decoded
            counts.scored += result.scored
            for outcome in result.outcomes:
                for joined in flow.assembly.add(task, outcome):
                    assert joined.unit not in outcomes
                    outcomes[joined.unit] = joined
            if result.inseparable:
                flow.send_whole(task)
    return sent, outcomes, counts


def same(ours, theirs):
    assert sorted(ours, key=str) == sorted(theirs, key=str)
    for unit, outcome in ours.items():
        other = theirs[unit]
        assert type(outcome) is type(other), (outcome, other)
        if isinstance(outcome, Scored):
            assert outcome.scores.schema == other.scores.schema
            assert str(outcome.scores.to_pydict()) == str(other.scores.to_pydict())
        else:
            assert outcome == other


def test_parts_give_the_bits_of_the_whole_chunk_in_any_order(prepared):
    expected = whole(prepared)
    assert any(o.scores["unrounded"].null_count < 48 for o in expected.values())
    sent, outcomes, counts = in_parts(prepared, 2, lambda tasks: tasks[::-1])
    assert [task.role for task in sent].count("rows") > 3
    probed = [unit for task in sent if task.role == "probes" for unit in task.units]
    gradients = sum(any(a in c for a in ("pgd", "fgsm", "fmn")) for c in SUITE.conditions)
    assert len(probed) == len(set(probed)) == gradients
    assert {len(task.table) % 5 for task in sent if task.role == "rows"} == {0, 3}
    assert len({len(task.units) for task in sent if task.role == "rows"}) > 1
    same(outcomes, expected)
    decoded = sum(len(task.table) for task in sent if task.role == "rows")
    assert (counts.decoded, counts.scored) == (decoded, 48 * len(SUITE.conditions))


def test_an_image_that_cannot_be_decoded_sends_the_chunk_whole(prepared, monkeypatch):
    bad = prepared.manifest.table["sample_id"][7].as_py()
    read = decoding.load

    def load(root, record, policy):
        if record.sample_id == bad:
            raise BadImageError("torn")
        return read(root, record, policy)

    monkeypatch.setattr(decoding, "load", load)
    expected = whole(prepared)
    sent, outcomes, _ = in_parts(prepared, 2)
    again = [unit for task in sent if task.role == "whole" for unit in task.units]
    assert sorted(again, key=str) == sorted(prepared.plan().units, key=str)
    same(outcomes, expected)


def test_a_unit_that_fails_in_a_part_fails_for_the_reason_of_the_whole(prepared, monkeypatch):
    from corruptions.noise import CORRUPTIONS

    noise = type(next(s.plugin for c in prepared.conditions.values() for s in c.chain
                      if s.name == "noise"))  # fmt: skip
    assert noise in CORRUPTIONS.values()
    calls = []

    def apply(self, image, rng):
        calls.append(image)
        raise ValueError("no noise today")

    monkeypatch.setattr(noise, "apply", apply)
    expected = whole(prepared)
    failed = [o for o in expected.values() if isinstance(o, Failed)]
    assert [o.unit.condition for o in failed] == ["noise(sigma=0.1)"]
    same(in_parts(prepared, 2)[1], expected)


def test_detectors_with_canvases_of_any_size_are_not_cut(tree, tmp_path):
    path = tmp_path / "free.py"
    path.write_text(
        "from detectors import Detector, DetectorCard, InputSpec\n"
        "class Free(Detector):\n"
        "    card = DetectorCard(name='free', arch='free', fake_logit='z',\n"
        "                        input=InputSpec(size=None, fit='native'))\n"
        "    def logits(self, batch):\n"
        "        return batch.mean(dim=(1, 2, 3))\n"
    )
    request = RunRequest(
        detectors=(DetectorRequest(f"{path}:Free"),),
        suite=Suite(name="s", slices=["generator"], conditions=["clean"]),
        data=str(tree), out=tmp_path / "out", batch_size=5, device="cpu",
    )  # fmt: skip
    free = prepare(request, Silent())
    sent, outcomes, _ = in_parts(free, 4)
    assert [task.role for task in sent] == ["whole"]
    same(outcomes, whole(free))


def test_work_that_is_left_counts_gradients():
    class Costs:
        certificate = None
        attack = None

    class Searches:
        certificate = None

        class attack:  # noqa: N801
            passes = 99

    class Unit:
        def __init__(self, condition):
            self.condition = condition

    conditions = {"clean": Costs, "pgd": Searches}
    work = [
        (Chunk(0, range(256), ""), [Unit("clean"), Unit("pgd")]),
        (Chunk(1, range(10), ""), [Unit("clean")]),
    ]
    assert list(passes_left(work, conditions)) == [256 * 101 + 10, 10]
    assert list(passes_left([], conditions)) == []


def cuts(rows, step, passes, left, threads):
    parts = list(shape(rows, step, passes, Rest(left, threads)))
    assert [part.stop for part in parts[:-1]] == [part.start for part in parts[1:]]
    assert (parts[0].start, parts[-1].stop) == (0, rows)
    for part in parts:
        assert [bundle for group in part.groups for bundle in group] == list(range(len(passes)))
        assert all(part.groups)
        assert part.start % step == 0
    return [
        (part.stop - part.start) * sum(passes[bundle] for bundle in group)
        for part in parts
        for group in part.groups
    ]


def test_chunks_stay_whole_until_the_end_of_a_run():
    tasks = [len(cuts(256, 32, [1] * 13, 256 * 13 * left, 2)) for left in range(100, 0, -1)]
    assert set(tasks[:92]) == {1}
    assert tasks == sorted(tasks)
    assert tasks[-1] > 8
    # One chunk under an attack costs as much as a hundred others.
    assert len(cuts(256, 32, [100], 256 * 199, 2)) == 5
    # A chunk that cannot be cut by its rows is cut by what it has besides.
    assert cuts(256, 256, [1, 1], 512, 2) == [256, 256]
    assert cuts(256, 256, [7], 7 * 256, 64) == [7 * 256]


@pytest.mark.parametrize("threads", [1, 2, 3, 8, 40])
@pytest.mark.parametrize(
    ("rows", "step", "passes"),
    [(240, 64, [1] * 13), (240, 32, [5, 124, 32, 62]), (240, 16, [1] * 13), (256, 256, [1] * 26)],
)
def test_threads_that_take_the_next_task_as_they_come_free_end_together(
    rows, step, passes, threads
):
    tasks = cuts(rows, step, passes, rows * sum(passes), threads)
    free = [0] * threads
    for cost in tasks:
        free[free.index(min(free))] += cost
    # No later than their mean by more than a third of a thread's share, but for what cannot be cut.
    indivisible = min(step, rows) * max(passes)
    assert max(free) <= sum(tasks) / threads * (1 + 1 / 3) + indivisible
    # Without tasks for some of the conditions, a thread would have waited as long as a part takes.
    assert max(tasks[-threads:]) <= sum(tasks) / threads / 3 + indivisible


FAULTS = """
import resource
from bench.support.memory.allocator import keep_large_blocks

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        bytearray(b"x") * (8 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

first = faults()
print(first, keep_large_blocks(), faults())
"""


@pytest.mark.skipif(
    not (hasattr(os, "confstr") and "CS_GNU_LIBC_VERSION" in os.confstr_names),
    reason="glibc's own allocator",
)
def test_large_blocks_are_kept_in_the_process_unless_a_person_has_chosen():
    def run(**extra):
        chosen = {k: v for k, v in os.environ.items()
                  if not k.startswith(("MALLOC", "GLIBC", "LD_PRELOAD"))}  # fmt: skip
        command = [sys.executable, "-c", FAULTS]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env={**chosen, **extra}
        )
        before, raised, after = done.stdout.split()
        return int(before), raised, int(after)

    before, raised, after = run(MALLOC_TRIM_THRESHOLD_="65536")  # as Dask starts its workers
    assert raised == "True"
    assert after < before / 5
    before, raised, after = run(**WORKER_ENVIRONMENT)  # as bench has Dask start them
    assert raised == "False"
    assert before < 20 * (8 << 20) // 4096 / 5
    _, raised, _ = run(GLIBC_TUNABLES="glibc.malloc.trim_threshold=65536")
    assert raised == "False"


def test_workers_beside_gpus_share_the_cores(monkeypatch):
    cores = len(os.sched_getaffinity(0))
    cuda = work.torch.device("cuda")
    monkeypatch.setattr(work.torch.cuda, "device_count", lambda: 1)
    monkeypatch.delenv(SHARED_BY, raising=False)
    assert work._threads(cuda) == cores
    monkeypatch.setenv(SHARED_BY, "2")  # two on one GPU
    assert work._threads(cuda) == max(1, cores // 2)
    assert work._threads(work.torch.device("cpu")) == 1


@pytest.mark.enable_socket
def test_workers_of_this_machine_start_with_both_thresholds():
    pytest.importorskip("distributed")
    from bench.runs.cluster.connect import connected
    from bench.runs.cluster.spec import Local
    from bench.runs.request import Tls

    with connected(Local(1), Tls(), Silent()) as session:
        for name, value in WORKER_ENVIRONMENT.items():
            assert session.client.submit(os.environ.get, name).result() == value
