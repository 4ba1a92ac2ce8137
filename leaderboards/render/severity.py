"""The severity tables of a board, and its curves as CSV."""

from __future__ import annotations

import pandas as pd

from leaderboards.render.csv import render_csv
from leaderboards.render.text import UNDEFINED, escape, rate, table
from leaderboards.tables.notes import BoardNotes
from leaderboards.tables.severity import by_family, curve_rows, degradation

TITLES = {"auc": "AUC", "accuracy": "accuracy"}
_ALL = " (all)"


def severity_section(rows: pd.DataFrame, notes: BoardNotes) -> list[str]:
    """Drops by strength, area under the severity curve, mean and worst; nothing without curves."""
    found = by_family(rows, notes.curves)
    if found.empty:
        return []
    most = max(len(members) for members in found["conditions"])
    lines: list[str] = []
    for metric, title in TITLES.items():
        header = ["Detector", "Corruption", *(str(i + 1) for i in range(most))]
        header += ["Mean drop", "Worst drop", "Area"]
        body = []
        for row in found.to_dict("records"):
            drops = [rate(drop) for drop in row[f"{metric}_drops"]]
            cells = [escape(row["detector"]), escape(row["family"])]
            cells += drops + [""] * (most - len(drops))
            cells += [rate(row[f"{metric}_{part}"]) for part in ("mean_drop", "worst_drop")]
            cells.append(rate(row[f"{metric}_area"]) + (_ALL if row["basis"] == "all" else ""))
            body.append(cells)
        lines += [f"## Severity: drop of {title} by strength, mild to harsh", ""]
        lines += table(header, body, left=2)
    lines += _degradation(rows, notes)
    lines += [
        "Drop: clean minus corrupted over the same slices; positive is worse, and it need not grow with "
        "strength. Area: under the metric from clean to the harshest strength, strengths equally "
        "spaced, over the span; n/a for a single strength. Mean corruption degradation: each "
        "corruption's mean drop, averaged over corruptions, each counted once.",
        "",
    ]
    return lines


def _degradation(rows: pd.DataFrame, notes: BoardNotes) -> list[str]:
    body = []
    for row in degradation(rows, notes.curves).to_dict("records"):
        cells = [escape(row["detector"]), str(row["n_families"])]
        for metric in TITLES:
            worst = row[f"{metric}_worst"]
            told = f"{escape(worst)} ({rate(row[f'{metric}_worst_drop'])})" if worst else UNDEFINED
            cells += [rate(row[f"{metric}_mean"]), told]
        body.append(cells)
    header = ["Detector", "Corruptions", "AUC", "Worst for AUC", "Accuracy", "Worst for accuracy"]
    return ["## Severity: mean corruption degradation", "", *table(header, body)]


def severity_csv(rows: pd.DataFrame, notes: BoardNotes) -> str:
    """The curves as tidy CSV; "" where no corruption of the suite has two strengths."""
    found = curve_rows(rows, notes.curves)
    return "" if found.empty else render_csv(found)
