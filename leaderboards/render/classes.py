"""The classes told apart, as Markdown: fakes that still show, reals that are accused, by edit and column."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from leaderboards.render.text import UNDEFINED, escape, rate, table, with_interval
from leaderboards.tables.cells import CLEAN
from leaderboards.tables.means import split_columns
from leaderboards.tables.slicing import POOLED

_ONLY_REALS = "only(reals)"


def class_section(rows: pd.DataFrame, classes: pd.DataFrame) -> list[str]:
    """Write the share called fake of each class under every condition without an attack.

    Args:
        rows: The board's cells.
        classes: Columns ``CLASS_COLUMNS`` of ``further.classes``; may be empty.
    """
    if classes.empty:
        return []
    lines = _of_class(classes, "fakes", "fakes_found", "Fakes called fake")
    lines += _of_class(classes, "reals", "reals_accused", "Reals called fake")
    lines += _by_column(rows)
    if classes["only"].astype(bool).any():
        lines += [
            "A condition that begins with only(fakes) or only(reals) changes that class alone; the other's "
            "scores are those of clean, so its own rates are n/a there, and AUC and accuracy hold changed "
            "images of one class against unchanged ones of the other. PSNR (dB) and SSIM: medians over the "
            "changed images, n/a where the size has changed.",
            "",
        ]
    return lines


def _of_class(classes: pd.DataFrame, name: str, column: str, title: str) -> list[str]:
    chosen = classes[classes["only"].isin(["", name])]
    detectors = list(dict.fromkeys(chosen["detector"]))
    measured = bool(chosen["median_psnr"].notna().any() or chosen["median_ssim"].notna().any())
    body: list[list[str]] = []
    for condition, of_condition in chosen.groupby("condition", sort=False):
        cells = {row["detector"]: row for row in of_condition.to_dict("records")}
        line = [escape(str(condition))]
        if measured:
            first = next(iter(cells.values()))
            line += [_decibels(first["median_psnr"]), rate(float(first["median_ssim"]))]
        line += [_share(cells.get(detector), column) for detector in detectors]
        body.append(line)
    if len(body) < 2:  # clean alone
        return []
    header = ["Condition", *(["PSNR", "SSIM"] if measured else []), *map(escape, detectors)]
    return [f"## By condition: {title}", "", *table(header, body)]


def _share(row: Mapping[Hashable, Any] | None, column: str) -> str:
    if row is None:
        return "not run"
    if row["status"] != "ok":
        return escape(row["status"])
    value, lo, hi = (float(row[f"{column}{end}"]) for end in ("", "_lo", "_hi"))
    return with_interval(value, lo, hi)


def _decibels(value: float) -> str:
    return UNDEFINED if math.isnan(value) else f"{value:.1f}"


def _accused(row: Mapping[Hashable, Any]) -> str:
    if row["status"] != "ok":
        return escape(row["status"])
    value, lo, hi = (1 - float(row[f"real_recall{end}"]) for end in ("", "_hi", "_lo"))
    return with_interval(value, lo, hi)


def _by_column(rows: pd.DataFrame) -> list[str]:
    """Lay out false-positive rates by edit and value of each column that the suite cuts by."""
    edits = rows["condition"].str.startswith(_ONLY_REALS) | (rows["condition"] == CLEAN)
    cells = rows[edits & (rows["generator"] == POOLED) & (rows["domain"] != POOLED)]
    if (cells["condition"] == CLEAN).all():
        return []
    lines: list[str] = []
    for column, of_column in split_columns(cells).items():
        for detector, own in of_column.groupby("detector", sort=False):
            values = list(dict.fromkeys(own["domain"]))
            body = []
            for condition, of_edit in own.groupby("condition", sort=False):
                accused = {row["domain"]: _accused(row) for row in of_edit.to_dict("records")}
                body.append([escape(str(condition)), *(accused.get(v, UNDEFINED) for v in values)])
            title = f"Reals called fake, by edit and {escape(column)}: {escape(str(detector))}"
            header = ["Condition", *(escape(value.partition("=")[2] or value) for value in values)]
            lines += [f"## {title}", "", *table(header, body)]
    return lines
