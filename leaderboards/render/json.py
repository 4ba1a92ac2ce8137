"""The board as one JSON document, for programs: strict JSON, undefined as null."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from leaderboards.tables.extras import Extras
from leaderboards.tables.means import by_condition, headline
from leaderboards.tables.notes import BoardNotes
from leaderboards.tables.severity import curve_rows


def render_json(rows: pd.DataFrame, notes: BoardNotes, extras: Extras | None = None) -> str:
    """Write notes, headline, conditions and cells; names verbatim, floats as in the CSV."""
    document: dict[str, Any] = {
        "warnings": [_plain(caution) for caution in notes.warnings],
        "notes": {
            field.name: _plain(getattr(notes, field.name)) for field in dataclasses.fields(notes)
        },
        "headline": _records(headline(rows)),
        "by_condition": _records(by_condition(rows)),
        "severity": _records(curve_rows(rows, notes.curves)),
        "cells": _records(rows, exact=("threshold",)),
    }
    if extras is not None:
        document["ranks"] = dict(extras.ranks)
        document["pooled"] = _records(extras.pooled, exact=("threshold",))
        document["equalised"] = _records(extras.equalised)
        document["real_sources"] = _records(extras.sources)
        for name in ("equalised", "source_auc", "classes", "certified", "parts"):
            frame: pd.DataFrame = getattr(extras, name)
            if len(frame):
                document[name] = _records(frame)
        document["distances"] = _records(extras.distances)
        document["queries"] = _records(extras.queries)
        if extras.periods is not None:
            document["periods"] = _records(extras.periods)
    return json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


FORMATS = {"json": render_json}


def _records(frame: pd.DataFrame, exact: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    names = [str(name) for name in frame.columns]
    columns = [[_value(v, exact=name in exact) for v in frame[name]] for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _value(value: Any, *, exact: bool) -> Any:
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value):
        return None
    if isinstance(value, float):
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"  # as in the CSV; strict JSON has no such number
        return float(value) if exact else float(format(value + 0.0, ".7g"))
    return int(value)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
