"""One detector after another on the same images: a metric over runs, each held against the one before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd

from bench.errors import BenchError, IncompleteError
from bench.results.gate import GateResult, gate
from bench.results.gating.rules import GateRules, Primary
from leaderboards.gate import Verdict
from leaderboards.render.csv import guard
from leaderboards.render.text import UNDEFINED, escape, rate, table
from leaderboards.statistics.paired_cells import MACRO

COLUMNS: Final = (
    "run", "detector", "metric", "condition", "value", "change", "change_lo", "change_hi", "verdict", "worst",
    "worst_value", "n_real", "n_fake", "reason",
)  # fmt: skip


class Asked(NamedTuple):
    """What a history is of: a metric, a condition, and the drop that counts."""

    metric: str = "auc"
    condition: str = "clean"
    margin: float = 0.01


def history(runs: Sequence[Path], asked: Asked) -> pd.DataFrame:
    """Put runs one behind the other, in the order given.

    Args:
        runs: Run folders or baselines.
        asked: The metric, the condition, and the margin of the verdicts.

    Returns:
        Columns ``COLUMNS``, one row a run and detector: the unweighted mean of the metric over the slices,
        its change since the run before (paired by image, with a 95% interval) and the gate's verdict on it,
        the worst slice, and the images. Where a run cannot be compared with the one before, change and
        verdict are empty and ``reason`` says why.

    Raises:
        BenchError: Fewer than two runs, or one that cannot be read.
    """
    if len(runs) < 2:
        raise BenchError("give two runs or more, the oldest first: one alone has no history")
    rules = GateRules(
        metric=asked.metric, margin=asked.margin, primary=(Primary(condition=asked.condition),),
        new="note", gone="note",
    )  # fmt: skip
    rows: list[dict[str, object]] = []
    for place, run in enumerate(runs):
        compared, reason = None, "the first"
        if place:
            try:
                compared, reason = gate(run, runs[place - 1], rules), ""
            except BenchError as error:
                reason = str(error)
        # Held against itself, a run gives its values, whatever it cannot be compared with.
        rows += _rows(run, asked, compared or gate(run, run, rules), reason)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(run: Path, asked: Asked, result: GateResult, reason: str) -> list[dict[str, object]]:
    detectors = dict.fromkeys(verdict.name[0] for verdict in result.verdicts)
    return [_row(run, asked, detector, result, reason) for detector in detectors]


def _row(
    run: Path, asked: Asked, detector: str, result: GateResult, reason: str
) -> dict[str, object]:
    own = [verdict for verdict in result.verdicts if verdict.name[0] == detector]
    cells = [v for v in own if v.name[1] != MACRO and v.candidate == v.candidate]
    if not cells:
        raise IncompleteError(f"{run}: {detector} has no {asked.metric} under {asked.condition}")
    whole: Verdict = next((v for v in own if v.name[1] == MACRO), cells[0])
    worst = min(cells, key=lambda verdict: verdict.candidate)
    empty = bool(reason)
    return {
        "run": str(run),
        "detector": detector,
        "metric": asked.metric,
        "condition": asked.condition,
        "value": whole.candidate,
        "change": float("nan") if empty else whole.change,
        "change_lo": float("nan") if empty else whole.lo,
        "change_hi": float("nan") if empty else whole.hi,
        "verdict": "" if empty else whole.decision,
        "worst": " / ".join(part for part in worst.name[1:3] if part and part != "all"),
        "worst_value": worst.candidate,
        "n_real": whole.n_real or worst.n_real,
        "n_fake": whole.n_fake or worst.n_fake,
        "reason": reason or whole.reason,
    }


def as_markdown(rows: pd.DataFrame) -> str:
    """Render a history as a table for people, oldest first."""
    metric, condition = rows.iloc[0][["metric", "condition"]]
    body = []
    for row in rows.to_dict("records"):
        change = UNDEFINED
        if row["change"] == row["change"]:
            change = f"{row['change']:+.4f} [{row['change_lo']:+.4f}, {row['change_hi']:+.4f}]"
        body.append(
            [
                escape(row["run"]), escape(row["detector"]), rate(row["value"]), change,
                row["verdict"] or UNDEFINED, f"{escape(row['worst'])} ({rate(row['worst_value'])})",
                f"{row['n_real']} + {row['n_fake']}", escape(row["reason"]),
            ]
        )  # fmt: skip
    header = ["Run", "Detector", f"Mean {metric}", "Change [95% interval]", "Verdict", "Worst slice",
              "Real + fake", "Why"]  # fmt: skip
    lines = [
        f"# History: {metric}, {escape(condition)}",
        "",
        *table(header, body, left=2),
        "Mean: unweighted, over the slices. Change: since the run before, on the same images; the verdict is "
        "that of `bench gate` on it.",
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def as_csv(rows: pd.DataFrame) -> str:
    """Render a history as CSV; undefined numbers are empty."""
    texts = ("run", "detector", "worst", "reason")
    return rows.assign(**{name: rows[name].map(guard) for name in texts}).to_csv(
        index=False, lineterminator="\n"
    )


def as_json(rows: pd.DataFrame) -> list[dict[str, object]]:
    """Give a history as plain rows; undefined numbers are None."""
    text = rows.to_json(orient="records", double_precision=15)
    document: list[dict[str, object]] = json.loads(text)
    return document
