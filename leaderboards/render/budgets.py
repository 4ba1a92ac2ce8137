"""The board's tables that one attack run gives for every budget: by distance, and by queries."""

from __future__ import annotations

import math

import pandas as pd

from leaderboards.render.csv import render_rows
from leaderboards.render.text import UNDEFINED, escape, rate, table, with_interval
from leaderboards.tables.attacks import levels
from leaderboards.tables.extras import Extras


def budget_tables(extras: Extras | None) -> list[str]:
    """Write robust accuracy by distance and success by queries; no lines where there is neither."""
    return [] if extras is None else [*_distances(extras.distances), *_queries(extras.queries)]


def budget_files(extras: Extras | None) -> dict[str, str]:
    """Write both tables as tidy CSV, by file name; those without rows are left out."""
    tables = {} if extras is None else {
        "distances.csv": extras.distances, "queries.csv": extras.queries,
    }  # fmt: skip
    return {name: render_rows(frame) for name, frame in tables.items() if len(frame)}


def _distances(distances: pd.DataFrame) -> list[str]:
    lines: list[str] = []
    for norm, rows in distances.groupby("norm", sort=False):
        budgets = list(dict.fromkeys(rows["eps"]))
        body = []
        for (detector, condition), part in rows.groupby(["detector", "condition"], sort=False):
            first = part.iloc[0]
            median = with_interval(
                first["median_distance"], first["median_distance_lo"],
                first["median_distance_hi"], _length,
            )  # fmt: skip
            body.append(
                [
                    escape(str(detector)),
                    escape(str(condition)),
                    str(first["n"]),
                    median,
                    str(first["never_fooled"]),
                    *(rate(value) for value in part["robust_accuracy"]),
                ]
            )
        header = ["Detector", "Attack", "Images", "Median distance", "Never fooled"]
        header += ["clean" if eps == 0 else f"at {levels(eps)}" for eps in budgets]
        word = "L-inf" if norm == "linf" else "L2"
        lines += [f"## Distance to the nearest image that fools, {word}", ""]
        lines += table(header, body, left=2)
    if lines:
        lines += [
            "Distances in units of [0, 1], 0 where an image is judged wrongly as it is, infinite where "
            "nothing fooled; with the 95% interval of order statistics. Then robust accuracy: the share "
            "of images whose distance is larger than eps. What an attack does not find is no guarantee.",
            "",
        ]
    return lines


def _queries(queries: pd.DataFrame) -> list[str]:
    if queries.empty:
        return []
    marks = sorted(set(queries["queries"]))
    body = []
    for (detector, condition), part in queries.groupby(["detector", "condition"], sort=False):
        shares = dict(zip(part["queries"], part["success"], strict=True))
        cells = [rate(shares[mark]) if mark in shares else "" for mark in marks]
        body.append([escape(str(detector)), escape(str(condition)), *cells])
    return [
        "## Attack success by queries",
        "",
        *table(["Detector", "Attack", *map(str, marks)], body, left=2),
        "Of the images judged rightly when clean, the share fooled after so many queries of one run.",
        "",
    ]


def _length(value: float) -> str:
    if math.isnan(value):
        return UNDEFINED
    return "inf" if math.isinf(value) else f"{value:.4f}"
