"""The board's tables about attacks: curves over eps, the transfer matrix, the honesty checks."""

from __future__ import annotations

import pandas as pd

from leaderboards.render.text import escape, rate, table
from leaderboards.tables.attacks import curves, transfer_matrix
from leaderboards.tables.notes import BoardNotes


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
    return [
        "## Robustness over eps: area under the curve",
        "",
        *table(header, body, left=2),
        "From clean to the largest eps, by trapezoids, per unit of eps: 1 is perfect throughout.",
        "",
    ]


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
