"""The harness that tells the truth about detectors of AI-generated images.

    import bench

    scores = bench.run("resnet50", suite="cross-generator")
    print(bench.leaderboard(scores).to_markdown())

Names are imported on first use: ``import bench`` costs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bench.version import __version__

if TYPE_CHECKING:
    from bench.api import (
        audit,
        compare,
        detector,
        export,
        gate,
        index,
        leaderboard,
        predict,
        run,
        train,
    )
    from bench.errors import BenchError
    from bench.inference.detector import DetectorRequest
    from bench.protocol.suite import load_suite
    from bench.results.html.plugin import ReportPage

__all__ = [
    "BenchError",
    "DetectorRequest",
    "ReportPage",
    "__version__",
    "audit",
    "compare",
    "detector",
    "export",
    "gate",
    "index",
    "leaderboard",
    "load_suite",
    "predict",
    "run",
    "train",
]

_HOMES = {
    "BenchError": "bench.errors",
    "DetectorRequest": "bench.inference.detector",
    "ReportPage": "bench.results.html.plugin",
    "audit": "bench.audit",  # the wing itself, which can be called
    "compare": "bench.api",
    "detector": "bench.api",
    "export": "bench.api",
    "gate": "bench.api",
    "index": "bench.api",
    "leaderboard": "bench.api",
    "load_suite": "bench.protocol.suite",
    "predict": "bench.api",
    "run": "bench.api",
    "train": "bench.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bench' has no attribute {name!r}")
    home = importlib.import_module(_HOMES[name])
    return home if _HOMES[name] == f"bench.{name}" else getattr(home, name)
