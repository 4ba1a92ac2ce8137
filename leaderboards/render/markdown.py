"""The board as Markdown: one screen with the headline, then tables by slice and condition, then notes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd

from leaderboards.render.budgets import budget_tables
from leaderboards.render.certified import certified_section
from leaderboards.render.classes import class_section
from leaderboards.render.contents import contents
from leaderboards.render.further import (
    equalised_section,
    further,
    labelled_oracle,
    with_oracle_warning,
)
from leaderboards.render.legend import legend
from leaderboards.render.opening import advice, means_section, opening
from leaderboards.render.parts import parts_section
from leaderboards.render.robustness import attack_tables, severity_section
from leaderboards.render.shortcuts import shortcut_section
from leaderboards.render.text import escape, rate, table, with_interval
from leaderboards.statistics.catalogue import Metric, headline_metrics
from leaderboards.tables.cells import CLEAN
from leaderboards.tables.extras import Extras
from leaderboards.tables.means import (
    CUT_KINDS,
    CutKind,
    by_condition,
    cut_rows,
    failures,
    headline,
    slice_name,
    split_columns,
)
from leaderboards.tables.notes import BoardNotes
from leaderboards.tables.slicing import POOLED

MARKS = {"seen": " †", "mixed": " ‡", "unknown": " (?)"}
# Columns that name a line of a table with one column a detector.
_SLICE, _CONDITION = ("generator", "domain"), ("condition",)


def render_markdown(rows: pd.DataFrame, notes: BoardNotes, extras: Extras | None = None) -> str:
    """Write the whole document; no clock, no path: the same rows and notes give the same bytes."""
    top = [f"# Leaderboard: {escape(notes.dataset)}, suite {escape(notes.suite)}", ""]
    summaries = headline(rows)
    top += opening(rows, notes, extras, summaries)
    top += parts_section(extras, notes.suite, notes.parts)
    details = [*advice(notes.warnings), *means_section(rows, summaries)]
    details += shortcut_section(notes.shortcuts)
    details += equalised_section(extras, notes.equaliser)
    for kind in CUT_KINDS:
        details += _by_slice(rows, kind)
    details += _by_condition(rows)
    details += [] if extras is None else class_section(rows, extras.classes)
    details += [*attack_tables(rows, notes), *budget_tables(extras)]
    details += certified_section(extras, notes.certificates)
    details += severity_section(rows, notes)
    details += further(rows, extras)
    details += _failures(rows)
    details += legend(rows, notes)
    if "oracle" in set(rows["threshold_policy"]):
        top, details = with_oracle_warning(labelled_oracle(top)), labelled_oracle(details)
    return "\n".join([*top, *contents(details, top), *details]).rstrip("\n") + "\n"


FORMATS = {"md": render_markdown}


def _by_slice(rows: pd.DataFrame, kind: CutKind) -> list[str]:
    if kind != "domain":
        return _slices(cut_rows(rows, kind), kind)
    # A domain of its own, and a table for each further column that the suite cuts by.
    of_domain = rows[(rows["generator"] == POOLED) & (rows["domain"] != POOLED)]
    parts = split_columns(of_domain).items()
    return [line for column, cells in parts for line in _slices(cells, column)]


def _slices(cells: pd.DataFrame, kind: str) -> list[str]:
    cells = cells[cells["condition"] == CLEAN]
    if cells.empty:
        return []
    words = escape(kind.replace("_", " "))
    title = "Pooled" if kind == "pooled" else f"By {words}"
    corner = "Slice" if kind in ("pooled", "generator and domain") else words.capitalize()
    lines: list[str] = []
    scored = cells[cells["status"] == "ok"]
    for metric in headline_metrics():
        if len(scored) and scored[metric.name].isna().all():
            continue  # undefined for all of them, as AUC is of a single class
        lines += [f"## {title}: {metric.title}, clean", ""]
        lines += _pivot(cells, corner, _SLICE, partial(_measured, metric=metric))
    return lines


def _by_condition(rows: pd.DataFrame) -> list[str]:
    means = by_condition(rows)
    if (means["condition"] == CLEAN).all():
        return []
    lines: list[str] = []
    for metric in headline_metrics():
        if means[metric.name].isna().all():
            continue
        lines += [f"## By condition: {metric.title}, and its drop against clean", ""]
        lines += _pivot(means, "Condition", _CONDITION, partial(_dropped, metric=metric))
    attacked = means[means["attack_success"].notna()]
    if len(attacked):
        lines += ["## By condition: attack success", ""]
        lines += _pivot(
            means[means["condition"].isin(attacked["condition"])],
            "Condition",
            _CONDITION,
            lambda row: rate(row["attack_success"]),
        )
    return lines


def _failures(rows: pd.DataFrame) -> list[str]:
    failed = failures(rows)
    if failed.empty:
        return []
    grouped: dict[tuple[str, ...], list[str]] = {}
    for row in failed.to_dict("records"):
        key = tuple(str(row[name]) for name in ("detector", "condition", "status", "reason"))
        # Generators and domains share this list, and may share a name.
        is_domain = row["generator"] == POOLED != row["domain"] and "=" not in row["domain"]
        kind = "domain " if is_domain else ""
        grouped.setdefault(key, []).append(kind + slice_name(row["generator"], row["domain"]))
    body = [
        [escape(key[0]), escape(key[1]), ", ".join(map(escape, names)), *map(escape, key[2:])]
        for key, names in grouped.items()
    ]
    header = ["Detector", "Condition", "Slices", "Status", "Reason"]
    return ["## Cells not scored", "", *table(header, body, left=len(header))]


def _measured(row: dict[str, Any], metric: Metric) -> str:
    if row["status"] != "ok":
        return escape(row["status"])
    value, lo, hi = (row[column] for column in metric.columns)
    return with_interval(value, lo, hi, metric.show) + MARKS.get(row["seen"], "")


def _dropped(row: dict[str, Any], metric: Metric) -> str:
    text = metric.show(row[metric.name])
    if row["condition"] != CLEAN:
        text += f" (drop {rate(row[f'{metric.name}_drop'])})"
    return text + (" (all)" if row["basis"] == "all" else "")


def _pivot(
    frame: pd.DataFrame,
    corner: str,
    keys: tuple[str, ...],
    text: Callable[[dict[str, Any]], str],
) -> list[str]:
    """A table with one column a detector, rows and columns in order of first appearance."""
    detectors = list(dict.fromkeys(frame["detector"]))
    body: dict[tuple[str, ...], dict[str, str]] = {}
    for record in frame.to_dict("records"):
        row = {str(name): value for name, value in record.items()}
        body.setdefault(tuple(row[key] for key in keys), {})[row["detector"]] = text(row)
    lines = []
    for key, cells in body.items():
        title = slice_name(*key) if keys == _SLICE else key[0]
        lines.append([escape(title), *(cells.get(name, "not run") for name in detectors)])
    return table([corner, *map(escape, detectors)], lines)
