"""One question at a time, each in a process of its own: a hang or a CUDA assertion ends only that one."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Literal

from tests.benchmarks.gpu.setting import Figures, NotInstalledError, Setting

Status = Literal["ok", "failed", "timed out", "not installed"]

# Imported once, before the processes part, so that no question pays for it; none of them touches a device.
_PRELOADED = ["torch", "torchvision", "timm", "pandas", "sklearn.metrics", "bench.api",
              "bench.runs.runner", "tests.benchmarks.gpu.setting"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to learn about a device.

    Attributes:
        name: A module of this package, whose ``ask(setting)`` yields figures.
        text: The question in words.
        share: Of the time there is, relative to the others.
    """

    name: str
    text: str
    share: float

    def ask(self, setting: Setting) -> Iterator[Figures]:
        """The module's own answer."""
        module = importlib.import_module(f"tests.benchmarks.gpu.{self.name}")
        yield from module.ask(setting)


@dataclass
class Answer:
    """What came of a question.

    Attributes:
        status: Whether it was answered.
        seconds: Time it took.
        figures: What it found, also where it was cut short.
        reason: Why it was not answered.
    """

    status: Status = "failed"
    seconds: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)
    reason: str = ""


def put(question: Question, setting: Setting) -> Answer:
    """Ask in a process of its own, and end it with all it started when its time is over."""
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(question, setting, sender))
    process.start()
    # The first one waits for the imports; its time begins where it can compute.
    answer, start = Answer(), time.perf_counter()
    sender.close()
    try:
        _listen(receiver, answer, start + setting.limit)
    finally:
        _end(process)
        answer.seconds = round(time.perf_counter() - start, 1)
    if answer.status == "failed" and not answer.reason:
        answer.reason = f"its process ended with {process.exitcode}"
    return answer


def _listen(receiver: Connection, answer: Answer, deadline: float) -> None:
    while receiver.poll(max(0.0, deadline - time.perf_counter())):
        try:
            kind, value = receiver.recv()
        except EOFError:
            return
        if kind == "figures":
            merge(answer.figures, value)
        else:
            answer.status, answer.reason = value
            return
    answer.status, answer.reason = "timed out", "its time was over"


def _answer(question: Question, setting: Setting, sender: Connection) -> None:
    """What the child does."""
    os.setsid()
    # What a question prints is talk.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    status: tuple[Status, str] = ("ok", "")
    # Shortly before it is ended it says where it was.
    faulthandler.dump_traceback_later(max(1.0, setting.limit - 2), file=sys.stderr)
    try:
        for figures in question.ask(setting):
            sender.send(("figures", figures))
    except NotInstalledError as error:
        status = "not installed", str(error)
    except BaseException as error:
        traceback.print_exc()
        status = "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    sender.send(("status", status))


def _end(process: Any) -> None:
    process.join(2)
    with contextlib.suppress(ProcessLookupError):  # it is the leader of all that it started
        os.killpg(process.pid, signal.SIGKILL)
    process.join()


def merge(into: dict[str, Any], figures: Figures) -> None:
    """Add figures, dictionary by dictionary."""
    for name, value in figures.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        else:
            into[name] = value
