"""A table of scores as rows: one an image, detector and condition, whatever form the file has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.datasets.sources.table_file import Record, read_table, refuse_repeated
from bench.errors import BenchError
from bench.runs.imported.columns import Roles, Source, recognise
from bench.runs.imported.values import is_blank, is_verdict, parse_number
from bench.store.run_spec import ScoreKind
from leaderboards.render.csv import unguard

_SEPARATORS = ",;\t|"


class ScoreRow(NamedTuple):
    """One row of a table of scores, as text and numbers of the file.

    Attributes:
        origin: Where it stands, for messages.
        sample_id: Id of the image; None where the file has none.
        path: Path of the image; None where the file has none.
        detector: Name of the detector.
        condition: Condition as the file spells it; "" for clean.
        value: The score, as it stands there.
        label: The image's own label, where the file has it; else None.
        status: Why there is no score; "" where nothing is said.
        reason: The same in words.
        attack: What an attack did, by the store's names.
    """

    origin: str
    sample_id: Any
    path: Any
    detector: str
    condition: str
    value: Any
    label: Any
    status: str
    reason: str
    attack: dict[str, Any]


@dataclass(slots=True)
class ScoreFile:
    """A table of scores as read.

    Attributes:
        name: Name of the file.
        rows: Its rows, in order; a row of several detectors is several.
        kinds: Detector to what its column holds.
        facts: Detector to what else the file says of it.
        attack: Columns of what an attack did, by the store's names.
    """

    name: str
    rows: list[ScoreRow]
    kinds: dict[str, ScoreKind]
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    attack: tuple[str, ...] = ()


def read_scores_file(path: Path, detector: str | None, asked: ScoreKind | None) -> ScoreFile:
    """Read a CSV, JSONL or Parquet table of scores.

    Args:
        path: The file; values of a CSV may stand between commas, semicolons, tabs or bars.
        detector: Name of the detector, where the file has none.
        asked: What the scores are, where the file does not say.

    Raises:
        BenchError: The file cannot be read, or leaves open what it holds.
    """
    if not path.is_file():
        raise BenchError(f"no file of scores at {path}: check the path")
    table = read_table(path, separators=_SEPARATORS)
    refuse_repeated((column.strip().lower() for column in table.columns), path.name)
    roles = recognise(table.columns, path.name, asked)
    records = list(table.records)
    if not records:
        raise BenchError(f"{path.name} has a header and no row: nothing to import")
    names = _names(roles, detector, path.name)
    kinds = {source.column: _kind(source, records, asked, path.name) for source in roles.sources}
    file = ScoreFile(path.name, [], {}, attack=tuple(roles.attack))
    for record in records:
        for row in _rows(record, roles, names):
            file.rows.append(row)
    for column, kind in kinds.items():
        owners = {row.detector for row in file.rows} if not names[column] else {names[column]}
        file.kinds |= dict.fromkeys(owners, kind)
    if roles.facts:
        file.facts = dict(_facts(records, roles, path.name))
    return file


def _names(roles: Roles, detector: str | None, where: str) -> dict[str, str]:
    """Column of scores to the detector it belongs to; "" where another column names it."""
    if roles.detector:
        if detector is not None:
            raise BenchError(
                f"--detector {detector} has no effect on {where}: its column `{roles.detector}` names them"
            )
        return dict.fromkeys((source.column for source in roles.sources), "")
    if detector is not None:
        if len(roles.sources) > 1:
            raise BenchError(
                f"--detector {detector}: {where} holds the scores of several, "
                f"{', '.join(source.column for source in roles.sources)}"
            )
        return {roles.sources[0].column: detector}
    names = {source.column: source.detector for source in roles.sources}
    if "" in names.values():
        raise BenchError(f"{where} does not say whose scores these are: pass --detector NAME")
    return names


def _kind(
    source: Source, records: Sequence[Record], asked: ScoreKind | None, where: str
) -> ScoreKind:
    """What a column holds: by its name, by what the user says, or where numbers leave no doubt."""
    column = source.column
    values = [record.values.get(column) for record in records]
    stated = source.kind
    if asked is not None:
        # `pred` is whatever a challenge makes of it; the other names say what they hold.
        if stated not in (None, asked) and column.strip().lower() != "pred":
            raise BenchError(f"--scores {asked}: {where} says `{column}`, which is a {stated}")
        return asked
    spoken = [value for value in values if not is_blank(value)]
    if spoken and all(is_verdict(value) for value in spoken):
        return "verdict"
    if stated is not None:
        return stated
    numbers = np.array([n for v in spoken if (n := parse_number(v)) is not None])
    if numbers.size * 2 < len(spoken) or not numbers.size:
        raise BenchError(
            f"{where} has no column of scores that can be told (`{column}` holds "
            f"{str(spoken[0])[:40]!r}): call it `logit` or `probability`"
            if spoken
            else f"{where}: column `{column}` is empty"
        )
    if numbers.min() < 0:
        return "logit"
    raise BenchError(
        f"{where}: `{column}` holds numbers from {numbers.min():g} to {numbers.max():g}, which may be "
        "logits or probabilities: say --scores logit or --scores probability"
    )


def _rows(record: Record, roles: Roles, names: dict[str, str]) -> Iterator[ScoreRow]:
    values = record.values
    for source in roles.sources:
        yield ScoreRow(
            origin=record.origin,
            sample_id=values.get(roles.sample_id),
            path=values.get(roles.path),
            detector=names[source.column] or unguard(_text(values.get(roles.detector))),
            condition=_text(values.get(roles.condition)),
            value=values.get(source.column),
            label=values.get(roles.label),
            status=_text(values.get(roles.status)),
            reason=_text(values.get(roles.reason)),
            attack={name: values.get(column) for name, column in roles.attack.items()},
        )


def _facts(
    records: Sequence[Record], roles: Roles, where: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    for record in records:
        text = _text(record.values.get(roles.facts))
        if not text:
            continue
        try:
            facts = json.loads(text)
        except (ValueError, RecursionError):
            facts = None
        if not isinstance(facts, dict):
            raise BenchError(
                f"{where}, {record.origin}: column `{roles.facts}` is no JSON object: leave it empty"
            )
        yield unguard(_text(record.values.get(roles.detector))), facts


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value).strip()  # noqa: PLR0124  (nan: empty)
