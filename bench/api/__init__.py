"""The Python face of bench: the same runs, boards and verdicts as the command line, as functions."""

from __future__ import annotations

from bench.api.data import audit, index
from bench.api.runs import RunOptions, detector, leaderboard, predict, run, train
from bench.api.verdicts import GateOptions, compare, export, gate

__all__ = [
    "GateOptions",
    "RunOptions",
    "audit",
    "compare",
    "detector",
    "export",
    "gate",
    "index",
    "leaderboard",
    "predict",
    "run",
    "train",
]
