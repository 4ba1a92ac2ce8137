"""A test that leaves the process in another state is found by what it has changed."""

from __future__ import annotations

import os
import signal
import sys
from types import ModuleType

import pytest
import torch

import bench
from detectors.global_state import kept_environment
from tests.global_state import own_modules, unchanged


def test_the_environment_is_put_back(monkeypatch):
    monkeypatch.setenv("BENCH_ONE", "1")
    monkeypatch.setenv("BENCH_TWO", "2")
    before = dict(os.environ)
    with kept_environment():
        os.environ["BENCH_ONE"] = "other"
        os.environ["OMP_NUM_THREADS_NEW"] = "1"
        del os.environ["BENCH_TWO"]
    assert dict(os.environ) == before


LEAKS = {
    "torch's default dtype": lambda patch: torch.set_default_dtype(torch.float64),
    "torch's deterministic mode": lambda patch: torch.use_deterministic_algorithms(True),
    "torch's gradient mode": lambda patch: torch.set_grad_enabled(False),
    "torch's threads": lambda patch: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's matmul precision": lambda patch: torch.set_float32_matmul_precision("medium"),
    "handler of SIGTERM": lambda patch: signal.signal(signal.SIGTERM, lambda *_: None),
    "working folder": lambda patch: patch.chdir("/"),
    "environment": lambda patch: patch.setenv("OMP_NUM_THREADS", "77"),
    "os._exit": lambda patch: patch.setattr(os, "_exit", print),
    "module bench": lambda patch: patch.setitem(sys.modules, "bench", ModuleType("bench")),
}


@pytest.fixture
def undone():
    before = torch.get_num_threads(), signal.getsignal(signal.SIGTERM)
    precision = torch.get_float32_matmul_precision()
    yield
    torch.set_default_dtype(torch.float32)
    torch.use_deterministic_algorithms(False)
    torch.set_grad_enabled(True)
    torch.set_num_threads(before[0])
    torch.set_float32_matmul_precision(precision)
    signal.signal(signal.SIGTERM, before[1])


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_named(name, undone):
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(AssertionError, match=f"leaves the process with another {name}"),
        unchanged("a test", own_modules()),
    ):
        LEAKS[name](patch)
    assert sys.modules["bench"] is bench
