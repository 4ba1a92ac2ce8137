"""The board's further tables as Markdown: ranks, micro and macro, working points, real sources."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from leaderboards.render.text import UNDEFINED, escape, rate, table, with_interval
from leaderboards.tables.cells import CLEAN
from leaderboards.tables.extras import Extras, family_of
from leaderboards.tables.means import macro_mean

_POINTS = {
    "tpr_at_1_fpr": "TPR at 1% FPR",
    "tpr_at_5_fpr": "TPR at 5% FPR",
    "eer": "EER",
    "partial_auc": "Partial AUC (FPR to 10%)",
    "brier": "Brier",
    "ece": "ECE",
}


def further(rows: pd.DataFrame, extras: Extras | None) -> list[str]:
    """The sections between the tables by condition and the cells not scored."""
    clean = rows[rows["condition"] == CLEAN]
    if clean.empty:
        return []
    lines = [] if extras is None else _summary(clean, extras)
    lines += ["## Working points and calibration, clean", ""]
    body = [
        [escape(str(detector)), *(rate(macro_mean(family_of(own), name)) for name in _POINTS)]
        for detector, own in clean.groupby("detector", sort=False)
    ]
    lines += table(["Detector", *_POINTS.values()], body)
    return lines + ([] if extras is None else _sources(extras))


def _summary(clean: pd.DataFrame, extras: Extras) -> list[str]:
    body: list[list[str]] = []
    micro = {row["detector"]: row for row in extras.pooled.to_dict("records")}
    for detector, own in clean.groupby("detector", sort=False):
        name = str(detector)
        rank = extras.ranks.get(name, 0)
        cells = [escape(name), str(rank) if rank else UNDEFINED]
        for metric in ("auc", "accuracy"):
            cells.append(rate(macro_mean(family_of(own), metric)))
            if name in micro:
                row = micro[name]
                lo, hi = (float(row[f"{metric}_{end}"]) for end in ("lo", "hi"))
                cells.append(with_interval(float(row[metric]), lo, hi))
            else:
                cells.append(UNDEFINED)
        body.append(cells)
    header = ["Detector", "Rank", "AUC macro", "AUC micro", "Accuracy macro", "Accuracy micro"]
    return ["## Rank, macro and micro, clean", "", *table(header, body)]


def _sources(extras: Extras) -> list[str]:
    detectors = list(dict.fromkeys(extras.sources["detector"]))
    body: dict[str, list[str]] = {}
    for row in extras.sources.to_dict("records"):
        value = float(row["fpr"])
        text = (
            UNDEFINED if math.isnan(value) else with_interval(value, row["fpr_lo"], row["fpr_hi"])
        )
        name = escape(row["source"]) + (" (control)" if row["control"] else "")
        body.setdefault(row["source"], [name, str(row["n"])]).append(text)
    if not body:
        return []
    header = ["Real source", "Images", *map(escape, detectors)]
    lines = [
        "## False-positive rate by real source, clean",
        "",
        *table(header, list(body.values())),
    ]
    if extras.sources["control"].any():
        lines += [
            "",
            "A control is real and compared with no generator: it is in no other number.",
            "",
        ]
    return lines


ORACLE = "ORACLE threshold"
_TOUCHED = ("ccuracy", "ttack success", "alse-positive")


def labelled_oracle(lines: Sequence[str]) -> list[str]:
    """The board's lines with a label on every table whose numbers rest on an oracle threshold."""
    warning = (
        f"> **{ORACLE}: fitted on the very images that are scored.** Accuracy, attack success and "
        "false-positive rates are upper bounds that no user reaches; AUC does not depend on it."
    )
    heads = [at for at, line in enumerate(lines) if line.startswith("#")]
    found = list(lines)
    for at, end in zip(heads, [*heads[1:], len(lines)], strict=True):
        section = [lines[at], *(line for line in lines[at:end] if line.startswith("| "))][:2]
        if any(word in text for word in _TOUCHED for text in section):
            found[at] += f" ({ORACLE})"
    return [*found[:1], "", warning, *found[1:]]
