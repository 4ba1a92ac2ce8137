"""The board as Markdown: the headline first, then tables by slice and condition, then the notes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from leaderboards.render.attacks import attack_tables
from leaderboards.render.further import further, labelled_oracle
from leaderboards.render.legend import legend
from leaderboards.render.severity import severity_section
from leaderboards.render.text import UNDEFINED, escape, rate, table, with_interval
from leaderboards.tables.cells import CLEAN
from leaderboards.tables.extras import Extras
from leaderboards.tables.means import (
    FAMILIES,
    Family,
    by_condition,
    failures,
    family_rows,
    headline,
    main_family,
    slice_name,
)
from leaderboards.tables.notes import BoardNotes
from leaderboards.tables.slicing import POOLED

MARKS = {"seen": " †", "mixed": " ‡", "unknown": " (?)"}
METRICS = {"auc": "AUC", "accuracy": "Accuracy"}


def render_markdown(rows: pd.DataFrame, notes: BoardNotes, extras: Extras | None = None) -> str:
    """The whole document; no clock, no path, so the same rows and notes give the same bytes."""
    lines = [f"# Leaderboard: {escape(notes.dataset)}, suite {escape(notes.suite)}", ""]
    lines += _limited(notes)
    lines += _headline(rows)
    for family in FAMILIES:
        lines += _by_slice(rows, family)
    lines += _by_condition(rows)
    lines += attack_tables(rows, notes)
    lines += severity_section(rows, notes)
    lines += further(rows, extras)
    lines += _failures(rows)
    if "oracle" in set(rows["threshold_policy"]):
        lines = labelled_oracle(lines)
    lines += legend(rows, notes)
    return "\n".join(lines).rstrip("\n") + "\n"


def _limited(notes: BoardNotes) -> list[str]:
    if notes.limit is None:
        return []
    of = "" if notes.n_available is None else f" of {notes.n_available}"
    return [
        f"> **LIMITED RUN: {notes.n_images}{of} images (limit {notes.limit}).** "
        "Good for a trial, not for a comparison.",
        "",
    ]


def _headline(rows: pd.DataFrame) -> list[str]:
    family = main_family(rows)
    found = headline(rows).to_dict("records")
    parts = ["unseen", "seen"]
    # A detector with no unseen slice is ranked by its mean over all: show that only where it is.
    if any(row["n_unseen"] == 0 for row in found):
        parts.append("all")
    counts = {"unseen": "n_unseen", "seen": "n_seen", "all": "n_slices"}
    drops = any(row["n_conditions"] for row in found)
    worst = f"Worst {family} (AUC)" if family in ("generator", "domain") else "Worst slice (AUC)"
    header = ["Detector", *(f"{title} {part}" for title in METRICS.values() for part in parts)]
    header += [worst, *(["Mean AUC drop", "Mean accuracy drop"] if drops else []), "Not scored"]
    body: list[list[str]] = []
    for row in found:
        cells = [escape(row["detector"])]
        cells += [
            rate(row[f"{metric}_{part}"]) if row[counts[part]] else "none"
            for metric in METRICS
            for part in parts
        ]
        cells.append(
            f"{escape(row['worst'])} ({rate(row['worst_auc'])})" if row["worst"] else UNDEFINED
        )
        if drops:
            cells += [rate(row["mean_auc_drop"]), rate(row["mean_accuracy_drop"])]
        cells.append(f"{row['n_not_ok']} of {row['n_cells']} cells")
        body.append(cells)
    unit = "slice" if family in ("pooled", "generator and domain") else family
    return [
        *table(header, body),
        f"Clean images; unweighted means over each detector's unseen and seen {unit}s.",
        "",
    ]


def _by_slice(rows: pd.DataFrame, family: Family) -> list[str]:
    chosen = family_rows(rows, family)
    chosen = chosen[chosen["condition"] == CLEAN]
    if chosen.empty:
        return []
    title = "Pooled" if family == "pooled" else f"By {family}"
    lines: list[str] = []
    for metric, name in METRICS.items():
        lines += [f"## {title}: {name}, clean", ""]
        lines += _pivot(
            chosen,
            "Slice" if family in ("pooled", "generator and domain") else family.capitalize(),
            lambda row: (row["generator"], row["domain"]),
            lambda row, metric=metric: _measured(row, metric),  # type: ignore[misc]
        )
    return lines


def _by_condition(rows: pd.DataFrame) -> list[str]:
    found = by_condition(rows)
    if (found["condition"] == CLEAN).all():
        return []
    lines: list[str] = []
    for metric, name in METRICS.items():
        lines += [f"## By condition: {name}, and its drop against clean", ""]
        lines += _pivot(
            found,
            "Condition",
            lambda row: (row["condition"],),
            lambda row, metric=metric: _dropped(row, metric),  # type: ignore[misc]
        )
    attacked = found[found["attack_success"].notna()]
    if len(attacked):
        lines += ["## By condition: attack success", ""]
        lines += _pivot(
            found[found["condition"].isin(attacked["condition"])],
            "Condition",
            lambda row: (row["condition"],),
            lambda row: rate(row["attack_success"]),
        )
    return lines


def _failures(rows: pd.DataFrame) -> list[str]:
    found = failures(rows)
    if found.empty:
        return []
    grouped: dict[tuple[str, ...], list[str]] = {}
    for row in found.to_dict("records"):
        key = tuple(str(row[name]) for name in ("detector", "condition", "status", "reason"))
        # Generators and domains share this list, and may share a name.
        kind = "domain " if row["generator"] == POOLED != row["domain"] else ""
        grouped.setdefault(key, []).append(kind + slice_name(row["generator"], row["domain"]))
    body = [
        [escape(key[0]), escape(key[1]), ", ".join(map(escape, names)), *map(escape, key[2:])]
        for key, names in grouped.items()
    ]
    header = ["Detector", "Condition", "Slices", "Status", "Reason"]
    return ["## Cells not scored", "", *table(header, body, left=len(header))]


def _measured(row: dict[str, Any], metric: str) -> str:
    if row["status"] != "ok":
        return escape(row["status"])
    text = with_interval(row[metric], row[f"{metric}_lo"], row[f"{metric}_hi"])
    return text + MARKS.get(row["seen"], "")


def _dropped(row: dict[str, Any], metric: str) -> str:
    text = rate(row[metric])
    if row["condition"] != CLEAN:
        text += f" (drop {rate(row[f'{metric}_drop'])})"
    return text + (" (all)" if row["basis"] == "all" else "")


def _pivot(
    frame: pd.DataFrame,
    corner: str,
    key: Callable[[dict[str, Any]], tuple[str, ...]],
    cell: Callable[[dict[str, Any]], str],
) -> list[str]:
    """A table with one column a detector, rows and columns in order of first appearance."""
    detectors = list(dict.fromkeys(frame["detector"]))
    body: dict[tuple[str, ...], dict[str, str]] = {}
    for record in frame.to_dict("records"):
        row = {str(name): value for name, value in record.items()}
        body.setdefault(key(row), {})[row["detector"]] = cell(row)
    lines = []
    for named, cells in body.items():
        title = slice_name(*named) if len(named) == 2 else named[0]
        lines.append([escape(title), *(cells.get(d, "not run") for d in detectors)])
    return table([corner, *map(escape, detectors)], lines)
