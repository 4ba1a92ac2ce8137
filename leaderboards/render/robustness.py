"""The board's tables about robustness: severity of corruptions, curves over eps, transfer, checks."""

from __future__ import annotations

import pandas as pd

from leaderboards.render.csv import render_rows
from leaderboards.render.text import UNDEFINED, escape, rate, section, table
from leaderboards.statistics.catalogue import headline_metrics
from leaderboards.tables.attacks import curves, transfer_matrix
from leaderboards.tables.notes import BoardNotes
from leaderboards.tables.severity import by_series, curve_rows, degradation

_ALL = " (all)"


def severity_section(rows: pd.DataFrame, notes: BoardNotes) -> list[str]:
    """Write drops by strength, area under the severity curve, mean and worst; [] without curves."""
    series = by_series(rows, notes.curves)
    if series.empty:
        return []
    n_strengths = max(len(members) for members in series["conditions"])
    header = ["Detector", "Corruption", *(str(i + 1) for i in range(n_strengths))]
    header += ["Mean drop", "Worst drop", "Area"]
    lines: list[str] = []
    for metric in headline_metrics():
        body = []
        for row in series.to_dict("records"):
            drops = [rate(drop) for drop in row[f"{metric.name}_drops"]]
            cells = [escape(row["detector"]), escape(row["family"])]
            cells += drops + [""] * (n_strengths - len(drops))
            cells += [rate(row[f"{metric.name}_{part}"]) for part in ("mean_drop", "worst_drop")]
            mark = _ALL if row["basis"] == "all" else ""
            body.append([*cells, metric.show(row[f"{metric.name}_area"]) + mark])
        title = f"Severity: drop of {metric.phrase} by strength, mild to harsh"
        lines += section(title, header, body, left=2)
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
        for metric in headline_metrics():
            name, drop = row[f"{metric.name}_worst"], row[f"{metric.name}_worst_drop"]
            worst = f"{escape(name)} ({rate(drop)})" if name else UNDEFINED
            cells += [rate(row[f"{metric.name}_mean"]), worst]
        body.append(cells)
    header = ["Detector", "Corruptions"]
    for metric in headline_metrics():
        header += [metric.title, f"Worst for {metric.phrase}"]
    return section("Severity: mean corruption degradation", header, body)


def severity_csv(rows: pd.DataFrame, notes: BoardNotes) -> str:
    """Write the curves as tidy CSV; "" where no corruption of the suite has two strengths."""
    points = curve_rows(rows, notes.curves)
    return "" if points.empty else render_rows(points)


def attack_tables(rows: pd.DataFrame, notes: BoardNotes) -> list[str]:
    """Write the tables about attacks; no lines where the board holds no attack."""
    return [*_curves(rows, notes), *_transfer(rows, notes), *_checks(notes)]


def _curves(rows: pd.DataFrame, notes: BoardNotes) -> list[str]:
    areas = curves(rows, notes.attacks)
    if areas.empty:
        return []
    body = [
        [
            escape(row["detector"]),
            escape(row["family"]),
            f"{row['eps']:.4g} ({row['n_eps']} budgets)",
            rate(row["accuracy_area"]),
            rate(row["auc_area"]),
        ]
        for row in areas.to_dict("records")
    ]
    header = ["Detector", "Attack", "Largest eps", "Area, accuracy", "Area, AUC"]
    note = [
        "From clean to the largest eps, by trapezoids, per unit of eps: 1 is perfect throughout.",
        "",
    ]
    return section("Robustness over eps: area under the curve", header, body, left=3, note=note)


def _transfer(rows: pd.DataFrame, notes: BoardNotes) -> list[str]:
    transfers = transfer_matrix(rows, notes.attacks)
    if transfers.empty:
        return []
    targets = [name for name in transfers.columns if name not in ("attack", "surrogate")]
    body = [
        [escape(row["attack"]), escape(row["surrogate"]), *(rate(row[name]) for name in targets)]
        for row in transfers.to_dict("records")
    ]
    return [
        "## Transfer: attack success by surrogate (rows) and target (columns)",
        "",
        *table(["Attack", "Surrogate", *map(escape, targets)], body, left=2),
        "A target attacked from itself is white-box.",
        "",
    ]


def _checks(notes: BoardNotes) -> list[str]:
    if not notes.checks:
        return []
    verdicts = {True: "passed", False: "**failed**", None: "-"}
    body = [
        [
            escape(check.detector),
            escape(check.condition),
            escape(check.name),
            verdicts[check.passed],
            escape(check.detail),
        ]
        for check in notes.checks
    ]
    header = ["Detector", "Condition", "Check", "Result", "Measured"]
    return [
        "## Attack checks",
        "",
        *table(header, body, left=len(header)),
        "A failed check makes the cell *attack unreliable*: the attack, not the detector, gave way.",
        "",
    ]
