"""Where a run may stop: the target that ``--until`` names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError, nearest
from leaderboards.statistics.sequential.precision import METRICS, Precision

GATE = "gate"


@dataclass(frozen=True, slots=True)
class GateTarget:
    """Scores are made until a sequential gate against a baseline is decided.

    Attributes:
        baseline: A run's folder or a ``baseline.json``.
    """

    baseline: Path

    def __str__(self) -> str:
        return f"{GATE}={self.baseline}"


Until = Precision | GateTarget


def parse_until(text: str) -> Until:
    """Read ``METRIC=HALF-WIDTH`` or ``gate=BASELINE``.

    Raises:
        BenchError: Another spelling, an unknown metric, or a half-width outside (0, 0.5).

    Example:
        >>> parse_until("auc=0.01")
        Precision(metric='auc', half_width=0.01)
    """
    metric, sign, number = (part.strip() for part in text.partition("="))
    if not sign:
        raise BenchError(
            f"--until {text}: write METRIC=HALF-WIDTH, for example auc=0.01: scoring stops where the 95% "
            "interval is within 0.01 of its middle"
        )
    if metric == GATE and number:
        return GateTarget(Path(number).absolute())
    if metric not in METRICS:
        known = (*METRICS, GATE)
        raise BenchError(f"--until {text}: no target for {metric!r}: {nearest(metric, known)}")
    try:
        return Precision(metric, float(number))
    except ValueError:
        raise BenchError(
            f"--until {text}: {number!r} is no half-width: give a number between 0 and 0.5, for example "
            f"{metric}=0.01"
        ) from None
