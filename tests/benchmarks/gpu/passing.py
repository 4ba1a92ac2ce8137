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
PARTS = ("gpu/test_transfer.py", "gpu/test_memory.py", "gpu/test_runs.py", "attacks")


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
    """Run them part by part, the quick ones first; on a CPU only those that carry pixels and logits."""
    mark = ["-k", "cpu"] if setting.small else ["-m", "gpu"]
    tally = Tally()
    for part in PARTS[:1] if setting.small else PARTS:
        start = time.perf_counter()
        code = pytest.main(
            ["--rootdir", str(_TESTS.parent), "-q", "--no-header", *mark, str(_TESTS / part)],
            [tally],
        )
        yield {"seconds": {part: round(time.perf_counter() - start, 1)}}
        yield {name: tally.outcomes[name] for name in ("passed", "failed", "skipped")}
        yield {"failures": tally.failed[:40]}
        if code not in (0, 1):
            raise RuntimeError(f"pytest ended with {int(code)} for {part}")
    if tally.failed:
        raise RuntimeError(f"{len(tally.failed)} tests failed, first {tally.failed[0]}")
