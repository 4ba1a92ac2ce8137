"""What a verification says: a state for each file, and one word for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from bench.errors import EXIT_DIFFERENT, EXIT_INCONCLUSIVE, EXIT_OK

# same: byte for byte, or digest for digest. different: not what is computed. damaged: not what was written.
# absent: not there, and needed.
State = Literal["same", "different", "damaged", "absent"]
Word = Literal["same", "different", "cannot be told"]

_EXIT: Final[Mapping[Word, int]] = {
    "same": EXIT_OK,
    "different": EXIT_DIFFERENT,
    "cannot be told": EXIT_INCONCLUSIVE,
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One place of a file that is not what the scores give.

    Attributes:
        where: A cell and its column, or a line.
        shipped: What the file says; empty where it says nothing.
        computed: What the scores give; empty where they give nothing.
    """

    where: str
    shipped: str
    computed: str

    def __str__(self) -> str:
        return f"{self.where}: {self.shipped or 'nothing'}, computed {self.computed or 'nothing'}"


@dataclass(frozen=True, slots=True)
class FileCheck:
    """The verdict on one file.

    Attributes:
        name: Its path in the verified folder.
        state: See ``State``.
        reason: Why, in a few words; empty where it is the same.
        differences: Each number or line that differs.
    """

    name: str
    state: State
    reason: str = ""
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """The verdict on a board.

    Attributes:
        place: What was verified.
        files: One verdict a file.
        lacking: Why the board, or a part of it, cannot be recomputed; empty where it can.
        remarks: What a reader must know beside it.
    """

    place: str
    files: tuple[FileCheck, ...]
    lacking: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def word(self) -> Word:
        """``different`` where a file is not what it must be, whatever else cannot be told."""
        if any(check.state in ("different", "damaged", "absent") for check in self.files):
            return "different"
        return "cannot be told" if self.lacking else "same"

    @property
    def exit_code(self) -> int:
        """0, 13 or 11."""
        return _EXIT[self.word]

    def as_document(self) -> dict[str, Any]:
        """Give the whole verdict for ``--json``."""
        return {
            "place": self.place,
            "verdict": self.word,
            "lacking": self.lacking,
            "remarks": list(self.remarks),
            "files": [
                {
                    "name": check.name,
                    "state": check.state,
                    "reason": check.reason,
                    "differences": [
                        {"where": d.where, "shipped": d.shipped, "computed": d.computed}
                        for d in check.differences
                    ],
                }
                for check in self.files
            ],
        }


def damaged(name: str, error: Exception) -> FileCheck:
    """Say of a file that it is not what was written."""
    return FileCheck(name, "damaged", str(error))


def from_differences(name: str, differences: Iterable[Difference], noun: str) -> FileCheck:
    """Say of a file that it is what is computed, or in how many places it is not."""
    found = tuple(differences)
    if not found:
        return FileCheck(name, "same")
    return FileCheck(name, "different", f"{len(found)} {noun} differ", found)
