"""Rows of a user's table to entries: labels, generators and splits checked, row by row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from bench.datasets.layouts.base import SHARED_REAL, UNKNOWN, Entry
from bench.datasets.layouts.words import WORDS_SAID, label_of, split_of
from bench.datasets.record import FAKE, REAL
from bench.errors import DataError

COLUMNS: Final = ("sample_id", "path", "label", "generator", "domain", "split", "group", "control")
PATH_COLUMNS: Final = ("path", "file_name", "filename", "file")
LABEL_COLUMNS: Final = ("label", "is_ai", "is_fake", "ai_generated")
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the place to name in an error, its values by column, and where its image is."""

    place: str
    values: Mapping[str, Any]
    locator: str
    split: str = ""


@dataclass(frozen=True, slots=True)
class LabelColumn:
    """How the label of a row is told.

    Attributes:
        name: the column.
        classes: names behind the numbers, where the file states them (Hugging Face ClassLabel).
        numbers: whether 0 and 1 are known to mean real and AI-generated.
    """

    name: str
    classes: tuple[str, ...] = ()
    numbers: bool = True

    def read(self, value: Any) -> int | None:
        """1 = AI-generated, 0 = real, None for a value that says neither."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        text = str(int(value) if isinstance(value, bool) and self.says_ai else value).strip()
        if self.classes:
            known = text.isdecimal() and int(text) < len(self.classes)
            return label_of(self.classes[int(text)] if known else text)
        if text in {"0", "1"}:
            return int(text) if self.numbers else None
        if self.says_ai and text.lower() in {"true", "false"}:
            return FAKE if text.lower() == "true" else REAL
        return label_of(text)

    @property
    def says_ai(self) -> bool:
        """Whether the column's name states that yes means AI-generated."""
        return self.name != "label"


def find_column(wanted: Sequence[str], columns: Iterable[str]) -> str | None:
    """The first of the wanted names that is a column."""
    there = set(columns)
    return next((name for name in wanted if name in there), None)


def label_column(columns: Sequence[str], where: str) -> str:
    """The name of the label column.

    Raises:
        DataError: there is none, or more than one.
    """
    found = [name for name in LABEL_COLUMNS if name in columns]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(f"{where} has more than one label column ({', '.join(found)}): keep one")
    raise DataError(
        f"{where} has no column `label` (columns: {', '.join(columns) or 'none'}): add one with "
        "1 or `fake` for AI-generated images and 0 or `real` for the others"
    )


def entries_from_rows(rows: Iterable[Row], label: LabelColumn, where: str) -> list[Entry]:
    """Entries of all rows; reals that bear a fake's generator belong to it alone.

    Raises:
        DataError: a label or split that means nothing, or an id twice; names row and value.
    """
    entries: list[Entry] = []
    unreadable: dict[str, str] = {}
    wrong = 0
    first_row: dict[str, str] = {}
    for row in rows:
        value = row.values.get(label.name)
        read = label.read(value)
        if read is None:
            wrong += 1
            if len(unreadable) < _SHOWN:
                unreadable.setdefault(_shown(value), row.place)
            continue
        entry = _entry(row, read, where)
        if entry.sample_id in first_row:
            raise DataError(
                f"{where}: {entry.sample_id!r} stands twice, in {first_row[entry.sample_id]} and "
                f"{row.place}: every image needs one row and an id of its own"
            )
        first_row[entry.sample_id] = row.place
        entries.append(entry)
    if unreadable:
        raise DataError(_unknown_labels(label, where, unreadable, wrong))
    _check_controls(entries, where)
    return _with_own_reals(entries)


def _entry(row: Row, label: int, where: str) -> Entry:
    generator = _text(row.values.get("generator"))
    return Entry(
        sample_id=_text(row.values.get("sample_id")) or row.locator,
        locator=row.locator,
        label=label,
        generator=generator or (UNKNOWN if label == FAKE else SHARED_REAL),
        domain=_text(row.values.get("domain")),
        split=_split(row, where),
        group=_text(row.values.get("group")),
        control=_control(row, label, where),
    )


def _split(row: Row, where: str) -> str:
    text = _text(row.values.get("split"))
    if not text:
        return row.split
    split = split_of(text)
    if split is None:
        raise DataError(
            f"{where}, {row.place}: split {_shown(text)} is unknown: write train, val or test"
        )
    return split


def _control(row: Row, label: int, where: str) -> bool:
    value = row.values.get("control")
    text = _text(value).lower()
    if text in {"", "0", "0.0", "false", "no"}:
        return False
    if text not in {"1", "1.0", "true", "yes"}:
        raise DataError(
            f"{where}, {row.place}: control {_shown(value)} is unknown: write 1 for real images that "
            "no generator is compared with, and 0 for all others"
        )
    if label == FAKE:
        raise DataError(
            f"{where}, {row.place}: an AI-generated image is marked as a control: only real ones are"
        )
    return True


def _check_controls(entries: Iterable[Entry], where: str) -> None:
    kinds: dict[str, set[bool]] = {}
    for entry in entries:
        if entry.label == REAL:
            kinds.setdefault(entry.generator, set()).add(entry.control)
    if both := sorted(source for source, kind in kinds.items() if len(kind) > 1):
        raise DataError(
            f"{where}: some real images of {both[0]!r} are controls and some are not: give the controls "
            "a source of their own in the column `generator`"
        )


def _unknown_labels(label: LabelColumn, where: str, shown: Mapping[str, str], wrong: int) -> str:
    """The message about values that are no label: the first few different ones, with their rows."""
    values = ", ".join(f"{value} ({place})" for value, place in shown.items())
    more = f", in {wrong} rows in all" if wrong > len(shown) else ""
    said = f"{where}: column `{label.name}` holds {values}{more}"
    if label.classes:
        return f"{said}; its classes are {', '.join(label.classes)}: rename them to {WORDS_SAID}"
    if not label.numbers:
        return (
            f"{said}, and the file does not say which number is AI-generated: name the column "
            "`is_ai` if 1 is, write words (real / fake), or add a column `generator` and let 1 "
            "be AI-generated"
        )
    return f"{said}: write 1 or 0, or words such as {WORDS_SAID}"


def _with_own_reals(entries: list[Entry]) -> list[Entry]:
    generators = {e.generator for e in entries if e.label == FAKE}
    return [
        replace(e, generator=f"{e.generator}/{SHARED_REAL}", belongs=e.generator)
        if e.label == REAL and e.generator in generators
        else e
        for e in entries
    ]


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):  # NaN: an empty cell
        return ""
    return str(value).strip()


def _shown(value: Any) -> str:
    text = _text(value)
    return repr(text if len(text) <= 40 else text[:37] + "...") if text else "nothing"
