"""The board's further tables as Markdown: ranks, micro and macro, working points, real sources."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from leaderboards.render.text import UNDEFINED, escape, rate, section, table, with_interval
from leaderboards.statistics.catalogue import Table, headline_metrics, metrics_in
from leaderboards.tables.cells import CLEAN
from leaderboards.tables.extras import Extras
from leaderboards.tables.means import macro_mean, main_rows


def further(rows: pd.DataFrame, extras: Extras | None) -> list[str]:
    """Write the sections between the tables by condition and the cells not scored."""
    clean = rows[rows["condition"] == CLEAN]
    if clean.empty:
        return []
    lines = [] if extras is None else _summary(clean, extras)
    lines += _macro_means(clean, "verdicts", "Verdicts by class, clean")
    lines += _macro_means(clean, "working points", "Working points and calibration, clean")
    return lines + ([] if extras is None else [*_sources(extras), *_periods(extras)])


def _macro_means(clean: pd.DataFrame, members: Table, title: str) -> list[str]:
    """Write one line a detector: unweighted means over its slices of the metrics of a table."""
    metrics = metrics_in(members)
    body = []
    for detector, cells in clean.groupby("detector", sort=False):
        rows = main_rows(cells)
        means = (metric.show(macro_mean(rows, metric.name)) for metric in metrics)
        body.append([escape(str(detector)), *means])
    return section(title, ["Detector", *(m.title for m in metrics)], body)


def equalised_section(extras: Extras | None, equaliser: str) -> list[str]:
    """Write AUC on raw and on equalised images side by side, with the paired difference."""
    if extras is None or extras.equalised.empty:
        return []
    body = []
    for row in extras.equalised.to_dict("records"):
        change = with_interval(row["difference"], row["difference_lo"], row["difference_hi"], rate)
        name = escape(row["slice"]) if row["slice"] else "mean (headline)"
        body.append(
            [escape(row["detector"]), name, rate(row["raw"]), rate(row["equalised"]), change]
        )
    header = ["Detector", "Slice", "AUC raw", "AUC equalised", "Difference"]
    return [
        "## Equalised: AUC, raw and equalised",
        "",
        f"Before any condition, every image of both classes goes through {escape(equaliser)}: whatever is "
        "called clean here is behind it, and `raw` is the images as they lie. A drop is what a detector "
        "owed to format, size or compression.",
        "",
        *table(header, body, left=2),
    ]


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
    return section("Rank, macro and micro, clean", header, body)


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
            "A control is real and compared with no generator: it is in no other number.",
            "",
        ]
    return lines + _source_auc(extras)


def _source_auc(extras: Extras) -> list[str]:
    if extras.source_auc.empty:
        return []
    detectors = list(dict.fromkeys(extras.source_auc["detector"]))
    body: dict[str, list[str]] = {}
    for row in extras.source_auc.to_dict("records"):
        name = escape(row["source"]) + (" (control)" if row["control"] else "")
        cells = body.setdefault(row["source"], [name, str(row["n_real"])])
        cells.append(with_interval(row["auc"], row["auc_lo"], row["auc_hi"]))
    return [
        "## AUC against each real source, clean",
        "",
        "The fakes behind each detector's headline against each source alone, whatever the pairing.",
        "",
        *table(["Real source", "Images", *map(escape, detectors)], list(body.values())),
    ]


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
_TOUCHED = ("ccuracy", "ttack success", "alse-positive", "called fake")


def labelled_oracle(lines: Sequence[str]) -> list[str]:
    """Label every table of some lines of the board whose numbers rest on an oracle threshold."""
    starts = [i for i, line in enumerate(lines) if line.startswith("#")]
    labelled = list(lines)
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        header = [line for line in lines[start:end] if line.startswith("| ")][:1]
        if any(word in text for word in _TOUCHED for text in (lines[start], *header)):
            labelled[start] += f" ({ORACLE})"
    return labelled


def with_oracle_warning(lines: Sequence[str]) -> list[str]:
    """Set the warning of an oracle threshold below the title, which is the first of the lines."""
    warning = (
        f"> **{ORACLE}: fitted on the very images that are scored.** Accuracy, attack success and "
        "false-positive rates are upper bounds that no user reaches; AUC does not depend on it."
    )
    return [*lines[:1], "", warning, *lines[1:]]
