"""Whether the numbers of a cell may be used, from its column's status and what is counted of its images."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

Status = Literal["ok", "failed", "not attackable", "attack unreliable", "incomplete"]
CONDEMNED = ("failed", "not attackable", "attack unreliable")


class CellState(NamedTuple):
    """Whether a board shows numbers for a cell.

    Attributes:
        status: "ok", or why the cell has no number.
        reason: The same in words; "" where the status is "ok".
    """

    status: Status
    reason: str


def counted_state(
    status: Status, reason: str, n: int, n_unscored: int, n_infinite: int
) -> CellState:
    """Judge one cell from its column's status and reason, and from counts of its images."""
    if status in CONDEMNED:
        return CellState(status, reason or status)
    if n_unscored:
        why = f": {reason}" if reason else ""
        return CellState("incomplete", f"{n_unscored} of {n} images are unscored{why}")
    if n_infinite:
        return CellState("failed", f"{n_infinite} of {n} logits are infinite")
    return CellState("ok", "")


class CellNames(Protocol):
    """What names a column of cells, wherever its scores lie."""

    @property
    def detector(self) -> str:
        """The detector's name on the board."""

    @property
    def condition(self) -> str:
        """The condition's canonical spelling."""
