"""The outcome of a unit of work: its scores, or the reason why there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from attacks.base import NotAttackableError
from detectors.errors import GradientError, described

if TYPE_CHECKING:
    from bench.store.units import Unit


class BatchTooLargeError(RuntimeError):
    """The device ran out of memory; the run halves this detector's batch and plans anew."""

    def __init__(self, detector: str) -> None:
        super().__init__(f"out of memory for {detector}")
        self.detector = detector


@dataclass(frozen=True, slots=True)
class Scored:
    """A unit that was scored.

    Attributes:
        unit: Chunk, detector and condition.
        scores: Table of its shard, one row an image in chunk order.
    """

    unit: Unit
    scores: pa.Table


@dataclass(frozen=True, slots=True)
class Failed:
    """A unit that could not be scored: nothing is stored, and its cell says why.

    Attributes:
        unit: Chunk, detector and condition.
        status: Status that its cell shows.
        reason: One sentence about the cause.
        ended: How the process of its detector ended on it, where it did, or "".
    """

    unit: Unit
    status: Literal["failed", "not attackable"]
    reason: str
    ended: str = ""


@dataclass(frozen=True, slots=True)
class DetectorLost(Failed):
    """A unit without a result because its detector is given up: that is the reason for its whole cell."""


def outcome_of(unit: Unit, result: pa.Table | Exception) -> Scored | Failed:
    """Tell what became of a unit: a table is its scores, an error the reason why there are none."""
    if isinstance(result, NotAttackableError | GradientError):
        reason = described(result).removeprefix(f"{type(result).__name__}: ")
        return Failed(unit, "not attackable", reason)
    if isinstance(result, Exception):
        return Failed(unit, "failed", described(result))
    return Scored(unit, result)
