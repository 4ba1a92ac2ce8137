"""Detectors that take workers along are given up after a few deaths, and nobody else is blamed."""

from __future__ import annotations

import random
from contextlib import contextmanager

import pytest

import bench
from bench.inference.detector import DetectorRequest
from bench.protocol.suite import Suite
from bench.runs.cluster.breaker import Breaker
from bench.runs.cluster.connect import Session
from bench.runs.isolation import on_worker
from bench.runs.isolation.process import ChildDiedError
from bench.scoring.outcomes import DetectorLost, Failed
from bench.store.units import Chunk, Unit
from bench.support.progress import Silent
from tests.bench.test_isolation import _Hanging
from tests.conftest import TOY

distributed = pytest.importorskip("distributed")

CONDITIONS = (
    "clean",
    "jpeg(quality=50)",
    "jpeg(quality=75)",
    "blur(sigma=1)",
    "pgd(eps=2/255,steps=3)",
)
SUITE = Suite(name="some", slices=["generator"], conditions=list(CONDITIONS), split="")
ENDS = "its process ended with SIGSEGV"
# Another detector than the toy: its scores have fingerprints of their own.
HALF = f"""{TOY}
class Half(Toy):
    def logits(self, batch):
        return super().logits(batch) / 2
"""
LOST = f"given up after 3 times in a row: {ENDS}"


class _Processes(_Hanging):
    """Children that answer in this process, and die of the units that a test names."""

    def __init__(self, deadly):
        super().__init__(())
        self.deadly, self.died = deadly, 0

    def close(self):
        pass

    def stream(self, question, context, task):
        for unit in task.units:
            if self.deadly(unit):
                self.died += 1
                raise ChildDiedError(ENDS)
            yield from question(context, task.of((unit,)))


class _Future:
    def __init__(self, work):
        self.work, self.status, self.value = work, "pending", None

    def finish(self):
        if self.status == "pending":
            try:
                self.status, self.value = "finished", self.work()
            except Exception as error:
                self.status, self.value = "error", error

    def exception(self):
        return self.value

    def result(self):
        self.finish()
        if self.status == "error":
            raise self.value
        return self.value


class _Client:
    """Two workers that work in this process, one task at a time, in an order of chance."""

    dashboard_link = ""

    def __init__(self, seed, deadly, taken=0, through=lambda unit: False):
        self.rng, self.deadly, self.through = random.Random(seed), deadly, through
        self.taken, self.deaths, self.sent = taken, 0, []

    def nthreads(self):
        return {"tcp://a": 1, "tcp://b": 1}

    def submit(self, function, *arguments, **options):
        self.sent.append((function.__name__, arguments))
        return _Future(lambda: self._work(function, arguments))

    def _work(self, function, arguments):
        name = function.__name__
        units = arguments[1].units if name.startswith("score") else ()
        dies = any(map(self.deadly if name == "score" else self.through, units))
        if not dies and units and self.taken and self.rng.random() < 0.3:
            self.taken, dies = self.taken - 1, True
        if dies:
            self.deaths += 1
            raise distributed.KilledWorker("score", "tcp://a", 0)
        return function(*arguments)

    def cancel(self, futures, *, force):
        pass

    def run(self, function, *, on_error):
        function()

    def wait(self, futures, timeout, return_when):
        chosen = self.rng.choice(futures)
        chosen.finish()
        return distributed.client.DoneAndNotDoneFutures({chosen}, set(futures) - {chosen})


@pytest.fixture
def score(tree, toy, tmp_path, monkeypatch):
    """Score with detectors on workers of chance; gives the run, the client and the children."""
    from bench.store import units as plan

    monkeypatch.setattr(plan, "CHUNK_IMAGES", 16)
    numbers = iter(range(100))
    half = tmp_path / "half.py"
    half.write_text(HALF)
    files = {"healthy": toy(), "one": toy()}

    def run(names, seed=None, deadly=lambda unit: False, *, out=None, children=None, **options):
        settings = {key: options.pop(key) for key in ("taken", "through") if key in options}
        client = _Client(seed, deadly, **settings)
        children = _Processes(children or deadly)

        @contextmanager
        def connected(where, tls, progress):
            with children:
                yield Session(client, 60.0)

        if seed is not None:
            options["cluster"] = "local:2"
            monkeypatch.setattr("bench.runs.cluster.connect.connected", connected)
            monkeypatch.setattr("bench.runs.isolation.on_worker.Children", children)
            monkeypatch.setattr("bench.runs.runner.Children", _Processes(lambda unit: False))
            monkeypatch.setattr(distributed, "wait", client.wait)
        result = bench.run(
            [DetectorRequest.spelled(f"{name}={files.get(name, f'{half}:Half')}") for name in names],
            suite=SUITE, data=tree, batch_size=8, audit=False, out=tmp_path / (out or f"run-{next(numbers)}"),
            **options,
        )  # fmt: skip
        on_worker.release()
        return result, client, children

    return run


def rows(result, name):
    table = result.board.rows
    return table[table["detector"] == name].to_csv(index=False)


def reasons(result, name):
    table = result.board.rows
    failed = table[(table["detector"] == name) & (table["status"] != "ok")]
    return dict(zip(failed["condition"], failed["reason"], strict=True))


def test_a_killer_costs_a_few_deaths_its_cells_have_one_reason_and_others_their_rows(score):
    alone = rows(score(["healthy"])[0], "healthy")
    boards = set()
    for seed in range(2):
        result, client, children = score(
            ["killer", "healthy"], seed, lambda u: u.detector == "killer"
        )
        assert rows(result, "healthy") == alone
        assert reasons(result, "killer") == dict.fromkeys(reasons(result, "killer"), LOST)
        assert len(reasons(result, "killer")) == len(CONDITIONS)
        # Two threads have four tasks in flight when the first one dies, and get no other until that is clear.
        assert 1 <= client.deaths <= 4
        assert children.died <= 3 * 4
        boards.add(result.board.to_csv())
    assert len(boards) == 1


def test_a_unit_that_kills_costs_its_own_cell(score):
    def deadly(unit):
        return unit.detector == "killer" and unit.condition == CONDITIONS[1] and unit.chunk == 1

    whole = score(["killer", "healthy"])[0]
    boards = set()
    for seed in range(2):
        result, client, _ = score(["killer", "healthy"], seed, deadly)
        assert rows(result, "healthy") == rows(whole, "healthy")
        ((condition, reason),) = reasons(result, "killer").items()
        assert condition == CONDITIONS[1]
        assert reason.startswith(f"{ENDS} (on the images ")
        assert 1 <= client.deaths <= 4
        boards.add(result.board.to_csv())
    assert len(boards) == 1


def test_workers_that_are_taken_away_are_nobodys_fault(score):
    whole = score(["one", "two"])[0]
    for seed in range(2):
        result, client, children = score(["one", "two"], seed, taken=3)
        assert result.board.to_csv() == whole.board.to_csv()
        assert client.deaths == 3
        assert not children.died


def test_a_detector_that_reaches_past_its_process_is_given_up_too(score):
    alone = rows(score(["healthy"])[0], "healthy")

    def deadly(unit):
        return unit.detector == "killer"

    result, client, _ = score(["killer", "healthy"], 0, deadly, through=deadly)
    assert rows(result, "healthy") == alone
    lost = "given up after 3 times in a row: its worker died three times"
    assert set(reasons(result, "killer").values()) == {lost}
    assert len(reasons(result, "killer")) == len(CONDITIONS)
    assert client.deaths <= 4 * 3 + 2 * 3


def test_the_same_command_tries_again_what_was_given_up_and_nothing_else(score):
    first, _, _ = score(["killer", "healthy"], 0, lambda u: u.detector == "killer", out="again")
    assert len(reasons(first, "killer")) == len(CONDITIONS)
    mended, client, _ = score(["killer", "healthy"], 0, out="again")
    assert not client.deaths
    assert mended.counts.scored == first.counts.scored > 0
    assert mended.board.to_csv() == score(["killer", "healthy"])[0].board.to_csv()


def test_a_time_limit_on_a_cluster_puts_each_detector_into_a_process_of_its_own(score):
    whole = score(["hanging", "healthy"])[0]

    def deadly(unit):
        return unit.detector == "hanging" and unit.condition in CONDITIONS[:3]

    result, client, children = score(["hanging", "healthy"], 0, children=deadly, timeout=600.0)
    assert {name for name, _ in client.sent} == {"machine_of", "check_machine", "score_apart"}
    assert children.timeout == 600
    assert rows(result, "healthy") == rows(whole, "healthy")
    assert set(reasons(result, "hanging").values()) == {LOST}
    assert set(reasons(result, "hanging")) == set(CONDITIONS)


def test_detectors_whose_building_kills_a_worker_get_processes_of_their_own(score, monkeypatch):
    whole = score(["one", "two"])[0]
    work = _Client._work

    def dying(self, function, arguments):
        if function.__name__ == "settle":
            self.deaths += 1
            raise distributed.KilledWorker("settle", "tcp://a", 0)
        return work(self, function, arguments)

    monkeypatch.setattr(_Client, "_work", dying)
    result, client, _ = score(["one", "two"], 0)
    assert result.board.to_csv() == whole.board.to_csv()
    assert client.deaths == 1
    assert "score" not in {name for name, _ in client.sent}


def test_what_dies_only_beside_the_worker_keeps_its_scores_and_costs_few_workers(
    score, monkeypatch
):
    from bench.store import units as plan

    monkeypatch.setattr(plan, "CHUNK_IMAGES", 8)
    whole = score(["killer", "healthy"])[0]
    for seed in range(2):
        result, client, _ = score(
            ["killer", "healthy"], seed, lambda u: u.detector == "killer", children=lambda _: False
        )
        assert result.board.to_csv() == whole.board.to_csv()
        assert client.deaths <= 3 + 4


def test_the_rule_says_the_same_in_every_order():
    costs = {"clean": 1, "pgd": 9, "jpeg": 1, "blur": 1, "square": 50, "fgsm": 3}
    units = {c: Unit(0, "d", c, c) for c in costs}
    work = [(Chunk(0, (), ""), list(units.values()))]
    for dead, lost in (
        (["clean", "jpeg"], set(costs)),  # after the death of all together, these are three
        (["clean"], set()),
        (["clean", "blur", "pgd"], set()),
        (["jpeg", "blur", "fgsm"], set(costs) - {"clean"}),
        (["fgsm", "pgd", "square"], set()),  # nothing dearer is left: each keeps its own reason
        (["clean", "blur", "fgsm", "pgd"], set(costs) - {"jpeg"}),
    ):
        for seed in range(6):
            breaker = Breaker(costs, work, Silent())
            order = random.Random(seed).sample(dead, len(dead))
            last = {}
            for c in order:
                for outcome in breaker.add(Failed(units[c], "failed", "x", ended=ENDS)):
                    assert isinstance(outcome, DetectorLost)
                    last[outcome.unit.condition] = outcome.reason
            assert set(last) == lost, (dead, order)
            assert set(last.values()) <= {LOST}
    assert not list(
        Breaker(costs, work, Silent()).add(Failed(units["clean"], "failed", "no ending"))
    )
