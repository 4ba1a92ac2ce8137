"""The board's further tables as Markdown: ranks, micro and macro, working points, real sources."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from leaderboards.render.text import UNDEFINED, escape, rate, table, with_interval
from leaderboards.statistics.catalogue import headline_metrics, metrics_in
from leaderboards.tables.cells import CLEAN
from leaderboards.tables.extras import Extras
from leaderboards.tables.means import macro_mean, main_rows


def further(rows: pd.DataFrame, extras: Extras | None) -> list[str]:
    """Write the sections between the tables by condition and the cells not scored."""
    clean = rows[rows["condition"] == CLEAN]
    if clean.empty:
        return []
    lines = [] if extras is None else _summary(clean, extras)
    points = metrics_in("working points")
    body = []
    for detector, cells in clean.groupby("detector", sort=False):
        means = {point.name: macro_mean(main_rows(cells), point.name) for point in points}
        body.append([escape(str(detector)), *(point.show(means[point.name]) for point in points)])
    lines += ["## Working points and calibration, clean", ""]
    lines += table(["Detector", *(point.title for point in points)], body)
    return lines + ([] if extras is None else [*_sources(extras), *_periods(extras)])


def _summary(clean: pd.DataFrame, extras: Extras) -> list[str]:
    metrics = headline_metrics()
    micro = {row["detector"]: row for row in extras.pooled.to_dict("records")}
    body: list[list[str]] = []
    for detector, rows in clean.groupby("detector", sort=False):
        name = str(detector)
        rank = extras.ranks.get(name, 0)
        cells = [escape(name), str(rank) if rank else UNDEFINED]
        for metric in metrics:
            cells.append(metric.show(macro_mean(main_rows(rows), metric.name)))
            if name in micro:
                value, lo, hi = (float(micro[name][column]) for column in metric.columns)
                cells.append(with_interval(value, lo, hi, metric.show))
            else:
                cells.append(UNDEFINED)
        body.append(cells)
    header = ["Detector", "Rank"]
    header += [f"{metric.title} {mean}" for metric in metrics for mean in ("macro", "micro")]
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


def _periods(extras: Extras) -> list[str]:
    """Lay out accuracy and AUC over time, and the AUC of each detector's next period."""
    if extras.periods is None:
        return []
    lines: list[str] = []
    for axis, rows in extras.periods.groupby("axis", sort=False):
        body = [
            [
                escape(row["detector"]), escape(row["period"]), escape(row["generators"] or "all"),
                str(row["n_real"]), str(row["n_fake"]), rate(row["accuracy"]),
                with_interval(row["auc"], row["auc_lo"], row["auc_hi"]),
                "next period" if row["next"] else str(row["seen"]),
            ]
            for row in rows.to_dict("records")
        ]  # fmt: skip
        header = ["Detector", "Period", "Generators", "Real", "Fake", "Accuracy", "AUC", "Seen"]
        lines += [f"## Over time: {axis}, clean", "", *table(header, body, left=3)]
    if extras.periods["next"].any():
        lines += [
            "Next period: the generators released after the last that the detector was trained on.",
            "",
        ]
    return lines


ORACLE = "ORACLE threshold"
# Words of numbers that rest on the threshold, without the first letter, whose case varies.
_TOUCHED = ("ccuracy", "ttack success", "alse-positive")


def labelled_oracle(lines: Sequence[str]) -> list[str]:
    """Label every table of the board's lines whose numbers rest on an oracle threshold."""
    warning = (
        f"> **{ORACLE}: fitted on the very images that are scored.** Accuracy, attack success and "
        "false-positive rates are upper bounds that no user reaches; AUC does not depend on it."
    )
    starts = [i for i, line in enumerate(lines) if line.startswith("#")]
    labelled = list(lines)
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        header = [line for line in lines[start:end] if line.startswith("| ")][:1]
        if any(word in text for word in _TOUCHED for text in (lines[start], *header)):
            labelled[start] += f" ({ORACLE})"
    return [*labelled[:1], "", warning, *labelled[1:]]
