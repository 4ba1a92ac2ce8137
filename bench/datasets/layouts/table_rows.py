"""Rows of a user's table to entries: labels, generators and splits checked, row by row."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bench.datasets.layouts.base import SHARED_REAL, UNKNOWN, Entry
from bench.datasets.layouts.columns import LabelColumn, as_text, cell_text, shown
from bench.datasets.layouts.label_doubts import Doubt, UnreadableLabels, is_held_back
from bench.datasets.layouts.words import split_of
from bench.datasets.record import FAKE, REAL
from bench.errors import DataError

_log = logging.getLogger(__name__)
# Columns of prose, addresses and sums: not what anyone cuts a board by.
_PROSE: Final = frozenset(
    ("prompt", "negative_prompt", "caption", "captions", "text", "description", "url", "link", "source_url",
     "md5", "sha256", "sha1", "phash", "filename", "file_name", "path", "image_path", "mask", "pair")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        origin: where it stands, for messages: ``line 3``, ``row 0 of a.parquet``.
        values: by our names of columns; the label is under ``label``.
        locator: where the image is: a path relative to the root, or ``file.parquet#row``.
        split: of the file the row stands in; the row's own column goes first.
        free: the table's other columns, as text.
    """

    origin: str
    values: Mapping[str, Any]
    locator: str
    split: str = ""
    free: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """How the rows of a table are read.

    Attributes:
        label: the column of labels.
        names: our column -> the table's.
        free: the table's other columns that are kept.
    """

    label: LabelColumn
    names: Mapping[str, str]
    free: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, label: LabelColumn, names: Mapping[str, str], columns: Iterable[str], path: str | None
    ) -> Reading:
        """Keep every column that has no meaning of its own, prose aside."""
        used = {label.name, path, *names.values()}
        free = tuple(c for c in columns if c and c not in used and c.lower() not in _PROSE)
        return cls(label, {ours: theirs for ours, theirs in names.items() if ours != "label"}, free)

    def row(self, origin: str, raw: Mapping[str, Any], locator: str, split: str = "") -> Row:
        """Make a row of a record of the table; see `Row`."""
        values = {ours: raw.get(theirs) for ours, theirs in self.names.items()}
        values["label"] = raw.get(self.label.name)
        free = {_free_name(name): cell_text(raw.get(name)) for name in self.free}
        return Row(origin, values, locator, split, free)


def _free_name(name: str) -> str:
    """Mend a spelling that a published table has in its first version."""
    return {"realease_date": "release_date"}.get(name, name)


def entries_from_rows(
    rows: Iterable[Row], label: LabelColumn, where: str, splits: tuple[str, ...] | None = None
) -> list[Entry]:
    """Make an entry of every row; reals that bear a fake's generator belong to it alone.

    Args:
        rows: in the order of the table.
        label: how labels are read.
        where: name of the table, for messages.
        splits: the only ones that are asked for; rows of others without a label are passed over.

    Raises:
        DataError: a label or split that means nothing, or an id twice; names row and value.
    """
    entries: list[Entry] = []
    origins: list[str] = []
    unreadable = UnreadableLabels()
    hidden: dict[str, int] = {}
    doubt = Doubt()
    for row in rows:
        value = row.values.get("label")
        meaning = label.read(value)
        if meaning is None:
            split = _split(row, where)
            if splits is not None and split and split not in splits:
                continue
            if split and is_held_back(value):
                hidden[split] = hidden.get(split, 0) + 1
                unreadable.hold_back(value, row, split)
                continue
            unreadable.add(value, row)
            continue
        entry = _entry(row, meaning, where)
        doubt.see(meaning, value, row)
        entries.append(entry)
        origins.append(row.origin)
    _pass_over(hidden, entries, unreadable, where)
    if unreadable.count:
        raise DataError(unreadable.message(label, where))
    if not (label.fake or label.real or label.classes):
        doubt.check(where)
    _check_ids(entries, origins, where)
    _check_controls(entries, where)
    return _reserve_reals(entries)


def _pass_over(
    hidden: Mapping[str, int], entries: Sequence[Entry], unreadable: UnreadableLabels, where: str
) -> None:
    """Pass over splits whose labels are all kept back, where others have them; else ask for them."""
    labelled = {entry.split for entry in entries}
    for split, count in sorted(hidden.items()):
        if labelled and split not in labelled:
            _log.warning(
                "%s: the %d images of split %s are passed over: their labels are kept back",
                where, count, split,
            )  # fmt: skip
        else:
            unreadable.ask_for(split, count)


def _entry(row: Row, label: int, where: str) -> Entry:
    generator = as_text(row.values.get("generator"))
    return Entry(
        sample_id=as_text(row.values.get("sample_id")) or row.locator,
        locator=row.locator,
        label=label,
        generator=generator or (UNKNOWN if label == FAKE else SHARED_REAL),
        domain=as_text(row.values.get("domain")),
        split=_split(row, where),
        group=as_text(row.values.get("group")),
        control=_control(row, label, where),
        free=row.free,
    )


def _split(row: Row, where: str) -> str:
    text = as_text(row.values.get("split"))
    if not text:
        return row.split
    split = split_of(text)
    if split is None:
        raise DataError(
            f"{where}, {row.origin}: split {shown(text)} is unknown: write train, val or test, or pass "
            "over the column with --columns split="
        )
    return split


def _control(row: Row, label: int, where: str) -> bool:
    value = row.values.get("control")
    text = as_text(value).lower()
    if text in {"", "0", "0.0", "false", "no"}:
        return False
    if text not in {"1", "1.0", "true", "yes"}:
        raise DataError(
            f"{where}, {row.origin}: control {shown(value)} is unknown: write 1 for real images that "
            "no generator is compared with, and 0 for all others"
        )
    if label == FAKE:
        raise DataError(
            f"{where}, {row.origin}: an AI-generated image is marked as a control: only real ones are"
        )
    return True


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
