"""Rows of a user's table to entries: labels, generators and splits checked, row by row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bench.datasets.layouts.base import SHARED_REAL, UNKNOWN, Entry
from bench.datasets.layouts.words import LABEL_EXAMPLES, label_of, split_of
from bench.datasets.record import FAKE, REAL
from bench.errors import DataError

COLUMNS: Final = ("sample_id", "path", "label", "generator", "domain", "split", "group", "control")
PATH_COLUMNS: Final = ("path", "file_name", "filename", "file")
LABEL_COLUMNS: Final = ("label", "is_ai", "is_fake", "ai_generated")
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        origin: where it stands, for messages: ``line 3``, ``row 0 of a.parquet``.
        values: by column.
        locator: where the image is: a path relative to the table, or ``file.parquet#row``.
        split: of the file the row stands in; the row's own column goes first.
    """

    origin: str
    values: Mapping[str, Any]
    locator: str
    split: str = ""


@dataclass(frozen=True, slots=True)
class LabelColumn:
    """The column that holds the labels, and how its values are to be read.

    Attributes:
        name: name of the column.
        classes: names behind the numbers, where the file states them (Hugging Face ClassLabel).
        numbers: whether 0 and 1 are known to mean real and AI-generated.
    """

    name: str
    classes: tuple[str, ...] = ()
    numbers: bool = True

    def read(self, value: Any) -> int | None:
        """Read a label: 1 = AI-generated, 0 = real, None for a value that says neither.

        Example:
            >>> LabelColumn("label").read("AI-generated"), LabelColumn("label").read("cat")
            (1, None)
            >>> LabelColumn("label", classes=("fake", "real")).read(0)
            1
        """
        text = self._as_text(value)
        if self.classes:
            return label_of(self._class_name(text))
        if text in {"0", "1"}:
            return int(text) if self.numbers else None
        if self.states_direction and text.lower() in {"true", "false"}:
            return FAKE if text.lower() == "true" else REAL
        return label_of(text)

    @property
    def states_direction(self) -> bool:
        """Whether the column's name states that yes means AI-generated."""
        return self.name != "label"

    def _as_text(self, value: Any) -> str:
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # pandas makes floats of integers beside an empty cell
        if isinstance(value, bool) and self.states_direction:
            value = int(value)
        return str(value).strip()

    def _class_name(self, text: str) -> str:
        if text.isdecimal() and int(text) < len(self.classes):
            return self.classes[int(text)]
        return text


def find_column(names: Sequence[str], columns: Iterable[str]) -> str | None:
    """Find the first of the names that is a column."""
    present = set(columns)
    return next((name for name in names if name in present), None)


def label_column(columns: Sequence[str], where: str) -> str:
    """Find the label column.

    Args:
        columns: all columns of the table.
        where: name of the table, for messages.

    Raises:
        DataError: there is none, or more than one.
    """
    names = [name for name in LABEL_COLUMNS if name in columns]
    if not names:
        raise DataError(
            f"{where} has no column `label` (columns: {', '.join(columns) or 'none'}): add one "
            "with 1 or `fake` for AI-generated images and 0 or `real` for the others"
        )
    if len(names) > 1:
        raise DataError(f"{where} has more than one label column ({', '.join(names)}): keep one")
    return names[0]


def entries_from_rows(rows: Iterable[Row], label: LabelColumn, where: str) -> list[Entry]:
    """Make an entry of every row; reals that bear a fake's generator belong to it alone.

    Args:
        rows: in the order of the table.
        label: how labels are read.
        where: name of the table, for messages.

    Raises:
        DataError: a label or split that means nothing, or an id twice; names row and value.
    """
    entries: list[Entry] = []
    origins: list[str] = []
    unreadable = _UnreadableLabels()
    for row in rows:
        value = row.values.get(label.name)
        meaning = label.read(value)
        if meaning is None:
            unreadable.add(value, row)
            continue
        entries.append(_entry(row, meaning, where))
        origins.append(row.origin)
    if unreadable.count:
        raise DataError(unreadable.message(label, where))
    _check_ids(entries, origins, where)
    _check_controls(entries, where)
    return _reserve_reals(entries)


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
            f"{where}, {row.origin}: split {_shown(text)} is unknown: write train, val or test"
        )
    return split


def _control(row: Row, label: int, where: str) -> bool:
    value = row.values.get("control")
    text = _text(value).lower()
    if text in {"", "0", "0.0", "false", "no"}:
        return False
    if text not in {"1", "1.0", "true", "yes"}:
        raise DataError(
            f"{where}, {row.origin}: control {_shown(value)} is unknown: write 1 for real images that "
            "no generator is compared with, and 0 for all others"
        )
    if label == FAKE:
        raise DataError(
            f"{where}, {row.origin}: an AI-generated image is marked as a control: only real ones are"
        )
    return True


@dataclass(slots=True)
class _UnreadableLabels:
    """Values that are no label: how many rows hold one, and the first few with their rows."""

    count: int = 0
    origins: dict[str, str] = field(default_factory=dict)

    def add(self, value: Any, row: Row) -> None:
        self.count += 1
        if len(self.origins) < _SHOWN:
            self.origins.setdefault(_shown(value), row.origin)

    def message(self, label: LabelColumn, where: str) -> str:
        values = ", ".join(f"{value} ({origin})" for value, origin in self.origins.items())
        more = f", in {self.count} rows in all" if self.count > len(self.origins) else ""
        problem = f"{where}: column `{label.name}` holds {values}{more}"
        if label.classes:
            classes = ", ".join(label.classes)
            return f"{problem}; its classes are {classes}: rename them to {LABEL_EXAMPLES}"
        if not label.numbers:
            return (
                f"{problem}, and the file does not say which number is AI-generated: name the "
                "column `is_ai` if 1 is, write words (real / fake), or add a column `generator` "
                "and let 1 be AI-generated"
            )
        return f"{problem}: write 1 or 0, or words such as {LABEL_EXAMPLES}"


def _check_ids(entries: Sequence[Entry], origins: Sequence[str], where: str) -> None:
    first: dict[str, str] = {}
    for entry, origin in zip(entries, origins, strict=True):
        if entry.sample_id in first:
            raise DataError(
                f"{where}: {entry.sample_id!r} stands twice, in {first[entry.sample_id]} and "
                f"{origin}: every image needs one row and an id of its own"
            )
        first[entry.sample_id] = origin


def _check_controls(entries: Iterable[Entry], where: str) -> None:
    reals = [entry for entry in entries if entry.label == REAL]
    controls = {entry.generator for entry in reals if entry.control}
    others = {entry.generator for entry in reals if not entry.control}
    mixed = sorted(controls & others)
    if mixed:
        raise DataError(
            f"{where}: some real images of {mixed[0]!r} are controls and some are not: give the "
            "controls a source of their own in the column `generator`"
        )


def _reserve_reals(entries: Sequence[Entry]) -> list[Entry]:
    """Let the reals that bear a fake's generator be compared with that generator alone."""
    generators = {entry.generator for entry in entries if entry.label == FAKE}
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
    """Quote a value for a message, cut short."""
    text = _text(value)
    if not text:
        return "nothing"
    return repr(text if len(text) <= 40 else text[:37] + "...")
