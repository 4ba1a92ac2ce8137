"""Detectors that end their process, and people who end ours: what is lost is little, and said."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
import typer

import bench
from bench.cli.signals import stoppable
from bench.errors import BenchError
from bench.inference.detector import DetectorRequest
from bench.inference.foreign import Elsewhere, ask
from bench.protocol.suite import Suite
from bench.runs.isolation.detectors import Isolation
from bench.runs.isolation.process import Child, ChildDiedError, ChildError, Children
from bench.runs.request import RunRequest
from bench.support.progress import Silent
from detectors.global_state import kept

SUITE = Suite(name="alone", slices=["generator"], conditions=["clean"], split="")
ENDS = """
import ctypes, os, time
import torch
from detectors import Detector, DetectorCard, InputSpec

class Fine(Detector):
    card = DetectorCard(name="fine", arch="own", input=InputSpec(size=32, fit="crop"))
    def logits(self, batch):
        means = batch.mean(dim=(2, 3))
        return 40 * (means[:, 0] - means[:, 2])

class Ends(Fine):
    def logits(self, batch):
        os._exit(0)

class Segfault(Fine):
    def logits(self, batch):
        ctypes.string_at(0)

class Hangs(Fine):
    def logits(self, batch):
        time.sleep(600)

class Greedy(Fine):
    def logits(self, batch):
        return batch.mean(dim=(1, 2, 3)) + torch.zeros(1 << 50)

class Falls(Fine):
    def to(self, device):
        os.kill(os.getpid(), 9)

class Interrupts(Fine):
    def __init__(self):
        raise KeyboardInterrupt

class Stops(Fine):
    def logits(self, batch):
        raise KeyboardInterrupt
"""
DEATHS = {
    "Ends": "its process ended with exit code 0",
    "Segfault": "its process ended with SIGSEGV",
    "Hangs": "took longer than 20 s (--timeout)",
    "Greedy": "memory",
    "Stops": "KeyboardInterrupt",
}


@pytest.mark.timeout(600)
def test_a_process_that_ends_says_how():
    for question, arguments, says in (
        (os._exit, (3,), "exit code 3"),
        (os.kill, (0, signal.SIGKILL), "SIGKILL, perhaps for lack of memory"),
    ):
        child = Child(None)
        with pytest.raises(ChildDiedError, match=says):
            child.call(question, *arguments)
    child = Child(1.0)
    with pytest.raises(ChildError, match="ZeroDivisionError"):
        child.call(divmod, 1, 0)
    assert child.call(divmod, 7, 2) == (3, 1)
    with pytest.raises(ChildError, match="SystemExit"):
        child.call(sys.exit, 0)
    with pytest.raises(ChildDiedError, match=r"longer than 1 s"):
        child.call(time.sleep, 60)


@pytest.mark.timeout(600)
def test_detectors_that_end_their_process_cost_their_own_cells(cli, tree, tmp_path):
    file = tmp_path / "own.py"
    file.write_text(ENDS)
    (tmp_path / "suite.toml").write_text(
        'name = "alone"\nslices = ["generator"]\nconditions = ["clean"]\nsplit = ""\n'
    )
    here = bench.run(f"{file}:Fine", suite=SUITE, data=tree, out=tmp_path / "here")
    named = [part for name in (*DEATHS, "Fine") for part in ("-d", f"{file}:{name}")]
    code, _, err = cli(
        "run", "-q", *named, "--suite", "suite.toml", "--data", tree, "--out", "run",
        "--isolate", "--timeout", "20",
    )  # fmt: skip
    assert code == 12, err
    rows = list(csv.DictReader((tmp_path / "run" / "leaderboard.csv").open(newline="")))
    for name, says in DEATHS.items():
        own = [row for row in rows if row["detector"] == name]
        assert {row["status"] for row in own} == {"failed"}
        assert all(says in row["reason"] for row in own), own
    columns = ("generator", "condition", "auc", "accuracy", "status")
    alone = [[row[c] for c in columns] for row in csv.DictReader(here.board.to_csv().splitlines())]
    assert [[row[c] for c in columns] for row in rows if row["detector"] == "Fine"] == alone


@pytest.mark.timeout(600)
def test_a_cluster_run_looks_at_own_files_in_processes_of_their_own(tmp_path):
    """What would end the process that looks at it would else end the whole run, and not its own cells."""
    file = tmp_path / "own.py"
    file.write_text(ENDS)
    request = RunRequest(
        detectors=tuple(
            DetectorRequest.spelled(name)
            for name in (*(f"{file}:{c}" for c in ("Falls", "Segfault", "Interrupts")), "genimage-cnn")
        ),
        suite=SUITE, out=tmp_path / "out", cluster="local:2",
    )  # fmt: skip
    with Children(None) as children:
        isolation = Isolation(children, Silent(), own_files_only=True)
        loaded = isolation.load(request, SUITE.parsed, torch.device("cpu"))
        assert loaded.broken.keys() == {"Falls", "Interrupts"}
        assert "KeyboardInterrupt" in loaded.broken["Interrupts"]
        assert "while it was built, its process ended with SIGKILL" in loaded.broken["Falls"]
        segfault = loaded.detectors["Segfault"]
        with pytest.raises(ChildDiedError, match="SIGSEGV"):
            ask(segfault, probed)
    assert type(segfault) is Elsewhere
    assert type(loaded.detectors["genimage-cnn"]) is not Elsewhere


def probed(detector):
    return detector.logits(torch.zeros(1, 3, 32, 32))


class _Hanging:
    """Children that answer in this process; units under some conditions take too long, at once."""

    def __init__(self, conditions):
        self.conditions, self.tries = conditions, []

    def __call__(self, timeout):
        self.timeout = timeout
        return self

    def __enter__(self):
        self.state = kept()  # a process of its own would set its threads in itself alone
        self.state.__enter__()
        return self

    def __exit__(self, *error):
        self.state.__exit__(*error)

    def of(self, name):
        return self

    def drop(self, name):
        pass

    def call(self, question, *arguments):
        return question(*arguments)

    def stream(self, question, context, task):
        for unit in task.units:
            if unit.condition in self.conditions:
                self.tries.append([unit.condition for unit in task.units])
                raise ChildDiedError(f"took longer than {self.timeout:g} s (--timeout)")
            yield from question(context, task.of((unit,)))


def _run_hanging(cli, tree, toy, tmp_path, monkeypatch, conditions, hang):
    children = _Hanging(hang)
    monkeypatch.setattr("bench.runs.runner.Children", children)
    spelled = ", ".join(f'"{condition}"' for condition in conditions)
    (tmp_path / "suite.toml").write_text(
        f'name = "alone"\nslices = ["generator"]\nconditions = [{spelled}]\nsplit = ""\n'
    )
    code, _, err = cli(
        "run", "-d", toy(), "--suite", "suite.toml", "--data", tree, "--out", "run",
        "--timeout", "600", "--batch-size", "8",
    )  # fmt: skip
    assert code == 12, err
    rows = list(csv.DictReader((tmp_path / "run" / "leaderboard.csv").open(newline="")))
    status = {row["condition"]: row["status"] for row in rows}
    return code, err, {row["condition"]: row["reason"] for row in rows}, status, children.tries


CHEAP = ("clean", "jpeg(quality=50)", "jpeg(quality=75)", "blur(sigma=1)")
DEAR = (
    "pgd(eps=2/255,steps=9)",
    "pgd(eps=2/255,steps=3)",
    "pgd(eps=2/255,steps=6)",
    "pgd(eps=2/255,steps=12)",
)


def test_a_detector_that_hangs_is_given_up_after_three_times_and_said_at_once(
    cli, tree, toy, tmp_path, monkeypatch
):
    code, err, reasons, status, tries = _run_hanging(
        cli, tree, toy, tmp_path, monkeypatch, CHEAP, CHEAP
    )
    assert code == 12
    assert [len(units) for units in tries] == [4, 1, 1]
    assert set(status.values()) == {"failed"}
    assert all("took longer than 600 s (--timeout)" in reason for reason in reasons.values())
    assert sum("given up after this 3 times in a row" in text for text in reasons.values()) == 2
    first, given_up = err.index("is tried one unit at a time"), err.index("given up on the images")
    assert first < given_up
    assert f"in a row, the last under {tries[-1][0]}: 2 more units there get no result" in err


def test_dear_units_that_take_too_long_cost_no_cheaper_one(cli, tree, toy, tmp_path, monkeypatch):
    conditions = (*DEAR, *CHEAP)
    code, err, _, status, tries = _run_hanging(
        cli, tree, toy, tmp_path, monkeypatch, conditions, DEAR
    )
    assert code == 12
    assert {c for c, word in status.items() if word == "ok"} == set(CHEAP)
    # All together, and after the cheap ones were scored, three of the four by what they cost.
    assert [len(units) for units in tries] == [8, 1, 1, 1]
    assert [unit for (unit,) in tries[1:]] == [DEAR[1], DEAR[2], DEAR[0]]
    assert "1 more units there get no result" in err


def test_one_unit_that_takes_too_long_costs_no_other(cli, tree, toy, tmp_path, monkeypatch):
    code, err, _, status, tries = _run_hanging(
        cli, tree, toy, tmp_path, monkeypatch, CHEAP, CHEAP[1:2]
    )
    assert code == 12
    assert {c for c, word in status.items() if word != "ok"} == {CHEAP[1]}
    assert len(tries) == 2
    assert "given up" not in err


def test_options_that_would_have_no_effect_or_no_meaning_are_refused(tree, toy):
    for options in ({"timeout": 0.0}, {"timeout": float("nan")}):
        with pytest.raises(BenchError, match=r"--isolate|--timeout"):
            bench.run(toy(), suite=SUITE, data=tree, **options)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_says_what_is_kept(capsys, number, code):
    before = signal.getsignal(number)

    def work():
        with stoppable("all is kept"):
            os.kill(os.getpid(), number)
            time.sleep(5)

    with pytest.raises(typer.Exit) as stop:
        work()
    assert stop.value.exit_code == code
    assert "all is kept" in capsys.readouterr().err
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_ends_at_once():
    code = (
        "import signal, threading, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a CI in the background ignores it
        "from bench.cli.signals import stoppable\n"
        "with stoppable('all is kept'):\n"
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        "        threading.Thread(target=time.sleep, args=(60,)).start()\n"
        "        time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert process.stderr.readline() == "ready\n"  # what code prints meanwhile is no data
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(40) == 130  # where it waited for its threads it would take 60 s


def test_an_exit_past_python_is_an_error_of_whoever_asks_for_it():
    with pytest.raises(SystemExit, match=r"os\._exit\(0\)"), stoppable("all is kept"):
        os._exit(0)
    assert os._exit.__name__ == "_exit"


def test_places_are_absolute_from_the_start(toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    request = RunRequest(
        detectors=(), suite=SUITE, out=tmp_path.__class__("out"), store=None
    ).anchored()
    monkeypatch.chdir("/")
    assert request.folder == tmp_path / "out"


def test_a_whole_run_makes_no_network_call(tree, toy, tmp_path, monkeypatch):
    """Neither does reading it, gating it, or looking at it; not even a name is looked up."""
    import socket

    from bench.results.baseline import update
    from bench.results.gate import GateRules, gate

    calls = []

    def refuse(*args, **options):
        calls.append(args)
        raise OSError("no network here")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse, raising=False)
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    suite = SUITE.model_copy(
        update={"conditions": ["clean", "jpeg(quality=75)", "fgsm(eps=2/255)"]}
    )
    run = bench.run([toy(), "genimage-cnn"], suite=suite, data=tree, out=tmp_path / "run")
    bench.leaderboard(run.folder)
    base = update(run.folder, tmp_path / "base", "first")
    gate(run.folder, base, GateRules(min_images=2))
    bench.predict(tree / "alpha" / "fake", "genimage-cnn")
    assert calls == []
