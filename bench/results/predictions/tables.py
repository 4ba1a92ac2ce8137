"""Verdicts on a user's own images as CSV and JSON."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence

from bench.results.predictions.judging import Judged, Rule
from leaderboards.render.csv import guard

COLUMNS = tuple(field.name for field in dataclasses.fields(Judged))


def to_csv(judged: Sequence[Judged]) -> str:
    """Write a row an image; texts are guarded as in a board's CSV, what is undefined is "n/a"."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for image in judged:
        writer.writerow(_cell(value) for value in dataclasses.astuple(image))
    return buffer.getvalue().encode("utf-8", "backslashreplace").decode("utf-8")


def _cell(value: str | float | None) -> str:
    if value is None:
        return "n/a"
    return guard(value.replace("\0", "\\x00")) if isinstance(value, str) else repr(value)


def to_json(judged: Sequence[Judged], rule: Rule, detector: str) -> str:
    """Write what was asked, the rule and every image as one strict JSON document."""
    document = {
        "detector": detector,
        "threshold": rule.threshold,
        "calibration": None if rule.calibration is None else dataclasses.asdict(rule.calibration),
        "images": [dataclasses.asdict(image) for image in judged],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"
