"""Do the tests of the CUDA path pass? On a CPU: do a few of them run at all?"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.gpu.setting import Figures, Setting

_TESTS = Path(__file__).resolve().parents[2]


class Tally:
    """What pytest reports, by outcome, with the names of what did not pass."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count one phase of one test; setup and teardown only where they fail."""
        if report.when == "call" or not report.passed:
            self.outcomes[report.outcome] += 1
        if report.failed:
            self.failed.append(report.nodeid.rpartition("/")[2])


def ask(setting: Setting) -> Iterator[Figures]:
    """Run them; on a CPU, only those that carry pixels and logits."""
    tally = Tally()
    chosen = ["-m", "gpu", str(_TESTS)]
    if setting.small:
        chosen = ["-k", "cpu", str(_TESTS / "gpu" / "test_transfer.py")]
    start = time.perf_counter()
    code = pytest.main(["--rootdir", str(_TESTS.parent), "-q", "--no-header", *chosen], [tally])
    yield {
        "passed": tally.outcomes["passed"],
        "failed": tally.outcomes["failed"],
        "skipped": tally.outcomes["skipped"],
        "failures": tally.failed[:40],
        "seconds of tests": round(time.perf_counter() - start, 1),
    }
    if code != 0:
        raise RuntimeError(f"pytest ended with {int(code)}: {', '.join(tally.failed[:5])}")
