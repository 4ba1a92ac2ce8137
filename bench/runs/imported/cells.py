"""Rows of a table of scores, joined to images: one array a detector and condition, and every fault named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.datasets.layouts.words import label_of
from bench.datasets.manifest import Manifest
from bench.errors import BenchError
from bench.protocol.condition import Condition
from bench.protocol.equaliser import parse_behind
from bench.protocol.surrogates import EACH
from bench.runs.imported.joining import ImageIndex
from bench.runs.imported.rows import ScoreFile, ScoreRow
from bench.runs.imported.values import NO_SCORE, Converted, convert, parse_number

# What our own files say of a row without a score.
UNREADABLE, FAILED, NOT_ATTACKABLE = "unreadable", "failed", "not attackable"
_MISSING, SECOND = "no row", "a second score of one image"
_SHOWN = 3
# Faults that --allow-missing leaves out; all others are refused whatever the user says.
_MAY_LACK = (_MISSING, NO_SCORE, "not a number", "not finite")


@dataclass(slots=True, eq=False)
class Cell:
    """The scores of one detector under one condition, by row of the manifest.

    Attributes:
        logits: (n,) float32; nan where there is none.
        present: (n,) bool: the table has a row of the image.
        clamped: (n,) bool: a probability that was brought to the largest log-odds.
        bad: Row of the manifest to the reason why its image has no score.
        statuses: What the rows say of their score's absence, each with its reason; "" where they have one.
        unexplained: Rows that blame the detector for the score they lack, in words.
        attack: Attack column to (n,) float64; nan where the table says nothing.
    """

    logits: NDArray[np.float32]
    present: NDArray[np.bool_]
    clamped: NDArray[np.bool_]
    bad: dict[int, str] = field(default_factory=dict)
    statuses: set[tuple[str, str]] = field(default_factory=set)
    unexplained: list[str] = field(default_factory=list)
    attack: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @classmethod
    def empty(cls, count: int, attack: Sequence[str]) -> Cell:
        """Make a cell of ``count`` images without any score."""
        blank = np.full(count, np.nan)
        return cls(
            blank.astype(np.float32),
            np.zeros(count, dtype=np.bool_),
            np.zeros(count, dtype=np.bool_),
            attack={name: blank.copy() for name in attack},
        )

    @property
    def failure(self) -> tuple[str, str] | None:
        """Status and reason, where the table says for every row alike that the detector gave no score."""
        if len(self.statuses) != 1 or np.isfinite(self.logits).any():
            return None
        status, reason = next(iter(self.statuses))
        return (status, reason) if status in (FAILED, NOT_ATTACKABLE) else None

    def put(self, row: ScoreRow, image: int, converted: Converted, place: int) -> str:
        """Take the score of one row, or the reason why it has none.

        Args:
            row: The row itself.
            image: Row of the manifest that it is about.
            converted: The detector's scores.
            place: Which of these is the row's.

        Returns:
            What is wrong with the row; "" where nothing is.
        """
        if self.present[image]:
            return SECOND
        self.present[image] = True
        fault = converted.faults[place]
        if not fault:
            self.statuses.add(("", ""))
            self.logits[image] = converted.logits[place]
            self.clamped[image] = converted.clamped[place]
            for name, values in self.attack.items():
                number = parse_number(row.attack.get(name))
                values[image] = np.nan if number is None else number
            return ""
        self.bad[image] = f"{fault} in the table of scores"
        if fault == NO_SCORE and row.status == UNREADABLE:
            self.bad[image] = row.reason or UNREADABLE
            return ""
        self.statuses.add((row.status, row.reason))
        if fault == NO_SCORE and row.status in (FAILED, NOT_ATTACKABLE):
            self.unexplained.append(named(row))
            return ""
        return fault


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which images a table may have scores of.

    Attributes:
        scored: (n,) bool by row of the manifest: must have a score under every condition.
        calibration: (n,) bool: thresholds are chosen on them; a score is used where there is one.
        ignored: (n,) bool: may stand in the table and are passed over.
    """

    scored: NDArray[np.bool_]
    calibration: NDArray[np.bool_]
    ignored: NDArray[np.bool_]


@dataclass(slots=True)
class Cells:
    """All the scores of a table, by detector and condition.

    Attributes:
        conditions: By canonical spelling, in the order of the table.
        cells: By detector and condition.
        faults: ScoreKind of fault to the rows and images that have it, in words.
    """

    conditions: dict[str, Condition] = field(default_factory=dict)
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)

    def note(self, fault: str, words: str) -> None:
        """Note one row or image with a fault."""
        self.faults.setdefault(fault, []).append(words)

    @property
    def detectors(self) -> list[str]:
        """Names of the detectors, in the order of the table."""
        return list(dict.fromkeys(detector for detector, _ in self.cells))

    def refuse(self, where: str, dataset: str, *, allow_missing: bool) -> None:
        """Refuse a table that does not fit the images, naming the first few rows of every fault.

        Raises:
            BenchError: There is a fault that may not be left out.
        """
        fatal = {
            fault: words
            for fault, words in self.faults.items()
            if not (allow_missing and fault in _MAY_LACK)
        }
        if not fatal:
            return
        lacks_only = all(fault in _MAY_LACK for fault in fatal)
        advice = (
            "score them too, or pass --allow-missing to leave their images out for every detector"
            if lacks_only
            else "mend the table, or choose the images it is about by --data, --split or --limit"
        )
        listed = "; ".join(_listed(fault, words) for fault, words in fatal.items())
        raise BenchError(f"{where} does not fit {dataset}: {listed}: {advice}")


def _listed(fault: str, words: Sequence[str]) -> str:
    shown = ", ".join(words[:_SHOWN]) + (", ..." if len(words) > _SHOWN else "")
    what = {
        _MISSING: "scores missing",
        NO_SCORE: "rows without a score",
    }.get(fault, f"rows: {fault}")
    return f"{len(words)} {what} ({shown})"


def join(
    file: ScoreFile, manifest: Manifest, index: ImageIndex, wanted: Wanted, equaliser: str = ""
) -> Cells:
    """Join the rows of a table to images, whose conditions stand behind an equaliser where there is one.

    Returns:
        The scores by detector and condition, and every fault there is: nothing is refused yet.

    Raises:
        BenchError: A condition cannot be read.
    """
    cells = Cells()
    spelled = _conditions(file, cells, equaliser)
    labels = manifest.table["label"].to_pylist()
    converted = {detector: _converted(file, detector) for detector in file.kinds}
    places = dict.fromkeys(file.kinds, 0)
    for row in file.rows:
        place = places[row.detector]
        places[row.detector] = place + 1
        if not row.detector:
            cells.note("no detector named", row.origin)
            continue
        condition = spelled[row.condition]
        key = row.detector, condition
        if key not in cells.cells:
            cells.cells[key] = Cell.empty(len(manifest), file.attack)
        found = _image(row, index, wanted, cells)
        if found is None or (wanted.calibration[found] and condition != "clean"):
            continue
        if _label(row.label) not in (None, labels[found]):
            cells.note("another label than the data's (1 = AI-generated)", named(row))
        if fault := cells.cells[key].put(row, found, converted[row.detector], place):
            cells.note(fault, named(row))
    _note_missing(cells, manifest, wanted)
    return cells


def _conditions(file: ScoreFile, cells: Cells, equaliser: str) -> dict[str, str]:
    """Every condition as the table spells it, to its canonical spelling; ``clean`` comes first."""
    texts = dict.fromkeys(row.condition for row in file.rows)
    cells.conditions["clean"] = parse_behind("clean", equaliser)
    spelled = {"": "clean"}
    for text in texts:
        if not text:
            continue
        try:
            condition = parse_behind(text, equaliser)
        except BenchError as error:
            raise BenchError(f"{file.name}: {error}") from error
        if getattr(condition.attack, "surrogate", None) == EACH:
            raise BenchError(f"{file.name}: condition {text!r} names no surrogate: write its name")
        spelled[text] = str(condition)
        cells.conditions[str(condition)] = condition
    return spelled


def _converted(file: ScoreFile, detector: str) -> Converted:
    values = [row.value for row in file.rows if row.detector == detector]
    return convert(values, file.kinds[detector])


def _image(row: ScoreRow, index: ImageIndex, wanted: Wanted, cells: Cells) -> int | None:
    match = index.find(row.sample_id, row.path)
    if match.fault:
        cells.note(match.fault, named(row))
        return None
    found = match.row
    if found is None or wanted.ignored[found]:
        return None
    if not (wanted.scored[found] or wanted.calibration[found]):
        cells.note("not among the images that are scored", named(row))
        return None
    return found


def _label(value: Any) -> int | None:
    """The label that a cell states, as ours; None where it states none that can be read."""
    number = parse_number(value)
    return label_of(str(value)) if number not in (0.0, 1.0) else int(number)


def _note_missing(cells: Cells, manifest: Manifest, wanted: Wanted) -> None:
    ids = manifest.table["sample_id"]
    for (detector, condition), cell in cells.cells.items():
        if cell.failure is None:
            for words in cell.unexplained:
                cells.note(NO_SCORE, words)
        for row in np.flatnonzero(wanted.scored & ~cell.present).tolist():
            cell.bad[row] = "no row in the table of scores"
            cells.note(_MISSING, f"{ids[row].as_py()!r} of {detector} under {condition}")


def named(row: ScoreRow) -> str:
    """Name a row by its place in the file and the end of its image's name."""
    name = row.path if row.path not in (None, "") else row.sample_id
    return f"{row.origin} {str(name)[-60:]!r}"
