"""Detectors that fail in any way, in this process, in one of their own, and on two Dask workers."""

from __future__ import annotations

import csv
import json
import textwrap
from pathlib import Path

from tests.faults.child import Kind, command
from tests.faults.kinds.common import finished
from tests.faults.outcome import Seen

HEAD = """
import ctypes, os, signal, sys, threading, time
import torch
from detectors import Detector, DetectorCard, InputSpec

class Silent(Exception):
    def __str__(self): raise SystemExit(0)

class Base(Detector):
    card = DetectorCard(name="own", arch="own", input=InputSpec(size=32, fit="crop"))
    def logits(self, batch):
        means = batch.mean(dim=(2, 3))
        return 40 * (means[:, 0] - means[:, 2])
"""
CALLS = {
    "constructor": "def __init__(self): {}",
    "to": "def to(self, device): {}",
    "fold": "def fold(self): {}",
    "replica": "def replica(self): {}",
    "fit": "def fit(self, image): {}",
    "logits": "def logits(self, batch): {}",
    "identity": "def identity(self): {}",
}
FAULTS = {
    "an error": "raise RuntimeError('boom')",
    "exit": "sys.exit(0)",
    "a base exception": "raise BaseException('x')",
    "Ctrl-C of its own": "raise KeyboardInterrupt",
    "an error without words": "raise Silent",
    "out of memory": "raise torch.OutOfMemoryError('x')",
}
# What is no answer; none of it may become a score.
ANSWERS = {
    "not a number": "batch.mean(dim=(1, 2, 3)) * float('nan')",
    "infinite": "batch.mean(dim=(1, 2, 3)) / 0",
    "nothing": "None",
    "text": "'fake'",
    "one too few": "batch.mean(dim=(1, 2, 3))[:-1]",
    "two columns": "batch.mean(dim=(2, 3))[:, :2]",
    "no batch": "batch.mean()",
    "complex": "batch.mean(dim=(1, 2, 3)).to(torch.complex64)",
    "meta": "batch.mean(dim=(1, 2, 3)).to('meta')",
    "a list of lists": "[[1.0]] * len(batch)",
}
MODULES = {
    "module exits": "raise SystemExit(0)",
    "module raises": "1 / 0",
    "module is no Python": "def (",
    "module interrupts": "raise KeyboardInterrupt",
}
DEADLY = {
    "ends its process": "os._exit(0)",
    "segmentation fault": "ctypes.string_at(0)",
    "is killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "abort": "os.abort()",
}
_IN_PROCESS = (
    *(f"{call}: {fault}" for call in CALLS for fault in FAULTS),
    *(f"answer: {name}" for name in ANSWERS),
    *MODULES,
)


def _source(case: str) -> str:
    """The module of a case: a class ``Own`` that fails in one way."""
    if case in MODULES:
        return f"{HEAD}\n{MODULES[case]}\nclass Own(Base): pass\n"
    call, _, fault = case.partition(": ")
    if call == "answer":
        body = CALLS["logits"].format(f"return {ANSWERS[fault]}")
    elif fault == "hangs":
        body = CALLS[call].format("time.sleep(600)")
    else:
        body = CALLS[call].format({**FAULTS, **DEADLY}[fault])
    return f"{HEAD}\nclass Own(Base):\n{textwrap.indent(body, '    ')}\n"


def _run(base: Path, place: Path, case: str) -> Seen:
    """Score beside the toy detector, whose rows must be those of a run without the other."""
    case, _, how = case.partition(", alone")
    (place / "own.py").write_text(_source(case))
    isolation = ("--isolate", "--timeout", "20") if how or f"{case}, alone" in _ALONE else ()
    seen, _ = command(
        "run", "-q", "-d", f"{place}/own.py:Own", "-d", f"{base}/toy.py:Toy", "--data", base / "images",
        "--suite", base / "suite.toml", "--out", place / "out", *isolation,
    )  # fmt: skip
    return judged(base, seen, place / "out", ("Own",), is_answer=case.startswith("answer"))["Own"]


def judged(
    base: Path, seen: Seen, out: Path, names: tuple[str, ...], *, is_answer: bool = False
) -> dict[str, Seen]:
    """Hold the board against one without the failing detectors; what was seen, by their names."""
    if seen.code not in (0, 12):
        lost = "the other detector's rows are not there"
        return {name: Seen(seen.code, seen.said, lost=lost) for name in names}
    rows = list(csv.DictReader((out / "leaderboard.csv").open(newline="")))
    before = list(csv.DictReader((base / "run" / "leaderboard.csv").open(newline="")))
    toy = [_numbers(row) for row in rows if row["detector"] == "Toy"]
    if toy != [_numbers(row) for row in before]:
        wrong = "the other detector's rows are others"
        return {name: Seen(seen.code, seen.said, wrong=wrong) for name in names}
    found = {}
    for name in names:
        own = [row for row in rows if row["detector"] == name]
        wrong = "" if own else "its rows are not there"
        if any(not row["reason"] for row in own if row["status"] != "ok"):
            wrong = "a cell without a score and without a reason"
        if is_answer and any(row["status"] == "ok" for row in own):
            wrong = "what is no logit was scored"
        if not wrong and seen.code == 0 and any(row["status"] != "ok" for row in own):
            wrong = "exit code 0 beside failed cells"
        found[name] = Seen(seen.code, seen.said, wrong=wrong)
    return found


def _numbers(row: dict[str, str]) -> dict[str, str]:
    """A row without what the whole board is warned of."""
    return {key: value for key, value in row.items() if key != "warning"}


_ALONE = tuple(
    [
        f"{call}: {fault}, alone"
        for call in ("constructor", "logits")
        for fault in (*DEADLY, "hangs")
    ]
)
# Three times the --timeout, beside the start of half a dozen processes.
DETECTORS = Kind(
    "hostile detectors",
    (*_IN_PROCESS, *_ALONE),
    _run,
    finished,
    limit=300.0,
    own_process=True,
    few=5,
)

_BATCH = 15
_ON_CLUSTER = (
    *[case for case in _IN_PROCESS if not case.startswith(("fold", "replica"))],
    *(f"logits: {fault}" for fault in DEADLY),
    *(f"fit: {fault}" for fault in DEADLY),
    *(f"to: {fault}" for fault in DEADLY),
    *(f"constructor: {fault}" for fault in DEADLY),
)


def _cluster(base: Path, place: Path, case: str) -> Seen:
    """Score a batch of failing detectors and the toy on two workers, once for all cases of the batch."""
    number = _ON_CLUSTER.index(case) // _BATCH
    answer = base / f"batch-{number}.json"
    if not answer.exists():
        answer.touch()
        _score_batch(base, place, _ON_CLUSTER[number * _BATCH :][:_BATCH], answer)
    if not answer.read_text():
        raise RuntimeError("its batch ended without an answer")
    found = json.loads(answer.read_text())[case]
    return Seen(**found)


def _score_batch(base: Path, place: Path, cases: tuple[str, ...], answer: Path) -> None:
    names, detectors = {}, []
    for i, case in enumerate(cases):
        names[case] = f"Own{i}"
        path = place / f"own{i}.py"
        path.write_text(_source(case).replace("class Own(", f"class Own{i}("))
        detectors += ["-d", f"{path}:Own{i}"]
    seen, _ = command(
        "run", "-q", *detectors, "-d", f"{base}/toy.py:Toy", "--data", base / "images", "--suite",
        base / "suite.toml", "--out", place / "out", "--cluster", "local:2",
    )  # fmt: skip
    found = {}
    for case, name in names.items():
        is_answer = case.startswith("answer")
        one = judged(base, seen, place / "out", (name,), is_answer=is_answer)[name]
        found[case] = {
            "code": one.code, "said": one.said, "wrong": one.wrong, "lost": one.lost
        }  # fmt: skip
    answer.write_text(json.dumps(found))


# Each unit that kills its process kills three workers, and each of them is started anew.
CLUSTER = Kind(
    "hostile detectors, local:2", _ON_CLUSTER, _cluster, finished, limit=2400.0, own_process=True
)
