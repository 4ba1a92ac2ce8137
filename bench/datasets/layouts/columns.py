"""Which column of a user's table is which of ours: as stated, by our own name, or by a usual other one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from bench.datasets.layouts.words import label_of
from bench.datasets.record import FAKE, REAL
from bench.errors import DataError, nearest

COLUMNS: Final = ("sample_id", "path", "label", "generator", "domain", "split", "group", "control")
PATH_COLUMNS: Final = ("path", "file_name", "filename", "file")
LABEL_COLUMNS: Final = ("label", "is_ai", "is_fake", "ai_generated")
# Asked only where none of the names above is there; what yes means stands in each.
_FURTHER_LABELS: Final = MappingProxyType(
    {"is_generated": FAKE, "is_synthetic": FAKE, "is_real": REAL, "is_human": REAL}
)
_FURTHER_PATHS: Final = ("image_name", "imagepath", "image_path", "filepath", "file_path")
_FURTHER_GENERATORS: Final = ("model_name", "generator_name", "generatorname", "model")
_OPPOSITE: Final = MappingProxyType(
    {"0": "1", "1": "0", "true": "false", "false": "true", "yes": "no", "no": "yes"}
)
STATED: Final = (*COLUMNS, "fake", "real")


@dataclass(frozen=True, slots=True)
class LabelColumn:
    """The column that holds the labels, and how its values are to be read.

    Attributes:
        name: name of the column.
        classes: names behind the numbers, where the file states them (Hugging Face ClassLabel).
        numbers: whether 0 and 1 are known to mean real and AI-generated.
        fake: values that the user says mean AI-generated, in lower case.
        real: values that the user says mean real, in lower case.
    """

    name: str
    classes: tuple[str, ...] = ()
    numbers: bool = True
    fake: frozenset[str] = frozenset()
    real: frozenset[str] = frozenset()

    def read(self, value: Any) -> int | None:
        """Read a label: 1 = AI-generated, 0 = real, None for a value that says neither.

        Example:
            >>> LabelColumn("label").read("AI-generated"), LabelColumn("label").read("cat")
            (1, None)
            >>> LabelColumn("label", classes=("fake", "real")).read(0)
            1
            >>> LabelColumn("is_real").read(True), LabelColumn("target", fake=frozenset("0")).read(1)
            (0, 0)
        """
        text = self._as_text(value)
        if self.fake or self.real:
            return self._stated(text)
        if self.classes:
            return label_of(self._class_name(text))
        if text in {"0", "1"}:
            return self._by_number(text == "1") if self.numbers else None
        if self.states_direction and text.lower() in {"true", "false"}:
            return self._by_number(text.lower() == "true")
        return label_of(text)

    @property
    def states_direction(self) -> bool:
        """Whether the column's name states what yes means."""
        name = self.name.lower()
        return name in _FURTHER_LABELS or (name in LABEL_COLUMNS and name != "label")

    def _by_number(self, yes: bool) -> int:
        means = _FURTHER_LABELS.get(self.name.lower(), FAKE)
        return means if yes else FAKE + REAL - means

    def _stated(self, text: str) -> int | None:
        values = {text.lower(), self._class_name(text).lower()}
        if values & (self.fake | self.real):
            return FAKE if values & self.fake else REAL
        opposites = {_OPPOSITE[value] for value in values if value in _OPPOSITE}
        if opposites & (self.fake | self.real):
            return REAL if opposites & self.fake else FAKE
        return label_of(self._class_name(text))

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


def parse_columns(text: str) -> dict[str, str]:
    """Read what a user says of the columns of tables, such as ``label=target,fake=1,generator=model``.

    Raises:
        DataError: a part without "=", or a name that is none of ours.

    Example:
        >>> parse_columns("label=is_fake, generator=model")
        {'label': 'is_fake', 'generator': 'model'}
    """
    stated: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, column = (word.strip() for word in part.partition("="))
        if not equals:
            raise DataError(f"--columns {part!r}: write OURS=THEIRS, such as generator=model")
        if name not in STATED:
            raise DataError(
                f"--columns {part!r}: {name!r} is no column of ours: {nearest(name, STATED)}"
            )
        if name in stated:
            raise DataError(f"--columns: {name} is given twice: give it once")
        if name in ("fake", "real") and not column:
            raise DataError(f"--columns {part!r}: name the values, such as {name}=1")
        stated[name] = column
    return stated


def find_column(names: Sequence[str], columns: Iterable[str]) -> str | None:
    """Find the first of the names that is a column."""
    present = set(columns)
    return next((name for name in names if name in present), None)


def path_column(columns: Sequence[str], stated: Mapping[str, str]) -> str | None:
    """Find the column of image files; None where there is none."""
    if stated.get("path"):
        return stated["path"]
    return find_column(PATH_COLUMNS, columns) or _in_any_case(
        (*PATH_COLUMNS, *_FURTHER_PATHS), columns
    )


def chosen_columns(columns: Sequence[str], stated: Mapping[str, str], where: str) -> dict[str, str]:
    """Say which column of a table is which of ours; those it lacks are left out.

    Args:
        columns: all columns of the table.
        stated: ours to theirs, as the user says; "" = none.
        where: name of the table, for messages.

    Raises:
        DataError: the user names a column that is not there.
    """
    for name, column in stated.items():
        if name not in ("fake", "real") and column and column not in columns:
            raise DataError(
                f"{where} has no column {column!r}, which --columns names for {name}: "
                f"{nearest(column, columns)}"
            )
    chosen = {name: name for name in COLUMNS if name in columns}
    if "generator" not in chosen and (other := _in_any_case(_FURTHER_GENERATORS, columns)):
        chosen["generator"] = other
    chosen |= {name: column for name, column in stated.items() if name in COLUMNS}
    return {name: column for name, column in chosen.items() if column}


def label_column(columns: Sequence[str], where: str, stated: Mapping[str, str]) -> str:
    """Find the label column.

    Args:
        columns: all columns of the table.
        where: name of the table, for messages.
        stated: ours to theirs, as the user says.

    Raises:
        DataError: there is none, or more than one.
    """
    if stated.get("label"):
        return stated["label"]
    names = [name for name in LABEL_COLUMNS if name in columns]
    if not names and (other := _in_any_case((*LABEL_COLUMNS, *_FURTHER_LABELS), columns)):
        return other
    if not names:
        raise DataError(
            f"{where} has no column `label` (columns: {', '.join(columns) or 'none'}): add one "
            "with 1 or `fake` for AI-generated images and 0 or `real` for the others, or name it with "
            "--columns label=NAME"
        )
    if len(names) > 1:
        raise DataError(
            f"{where} has more than one label column ({', '.join(names)}): keep one, or name it with "
            f"--columns label={names[0]}"
        )
    return names[0]


def has_labels(columns: Sequence[str], stated: Mapping[str, str]) -> bool:
    """Whether a table has a column of labels, as far as names tell."""
    if stated.get("label") in columns:
        return True
    return _in_any_case((*LABEL_COLUMNS, *_FURTHER_LABELS), columns) is not None


def stated_values(stated: Mapping[str, str], name: str) -> frozenset[str]:
    """Give the label values that the user names for ``fake`` or ``real``; several stand between bars."""
    values = (value.strip().lower() for value in stated.get(name, "").split("|"))
    return frozenset(value for value in values if value)


def cell_text(value: Any) -> str:
    """Write a cell of a table as text; "" for an empty one."""
    if value is None or (isinstance(value, float) and math.isnan(value)):  # NaN: an empty cell
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def as_text(value: Any) -> str:
    """Write a cell as text, numbers as they are; "" for an empty one."""
    if value is None or (isinstance(value, float) and math.isnan(value)):  # NaN: an empty cell
        return ""
    return str(value).strip()


def shown(value: Any) -> str:
    """Quote a value for a message, cut short."""
    text = as_text(value)
    if not text:
        return "nothing"
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _in_any_case(names: Sequence[str], columns: Iterable[str]) -> str | None:
    present = {column.lower(): column for column in columns}
    return next((present[name] for name in names if name in present), None)
