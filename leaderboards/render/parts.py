"""A protocol in parts, as Markdown and CSV: the numbers to quote first, then every part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from leaderboards.render.csv import render_matrix
from leaderboards.render.text import UNDEFINED, escape, table, with_interval
from leaderboards.tables.extras import Extras
from leaderboards.tables.further.parts import CLEAN_AUC, PartFacts


def parts_section(extras: Extras | None, suite: str, asked: Sequence[PartFacts]) -> list[str]:
    """Write the headline numbers, then a line a detector and part; no lines without parts."""
    if extras is None or extras.parts.empty:
        return []
    rows = extras.parts
    quoted = [CLEAN_AUC, *(part.headline for part in asked if part.headline)]
    lines = [f"## {escape(suite)}: the numbers to quote", ""]
    body = []
    for detector, own in rows.groupby("detector", sort=False):
        by_title = {row["headline"]: row for row in own.to_dict("records") if row["headline"]}
        body.append([escape(str(detector)), *(_number(by_title[title]) for title in quoted)])
    lines += table(["Detector", *map(escape, quoted)], body)
    lines += [f"## {escape(suite)}: every part", ""]
    measured = [row for row in rows.to_dict("records") if row["headline"] != CLEAN_AUC]
    lines += table(
        ["Detector", "Part", "Conditions", "Balanced accuracy", "Fakes right", "Reals right"],
        [
            [
                escape(row["detector"]), escape(row["part"]), str(len(row["conditions"].split("; "))),
                *(_number(row, name) for name in ("value", "fakes", "reals")),
            ]
            for row in measured
        ],
        left=2,
    )  # fmt: skip
    lines += [
        "An image counts as right in a part where its verdict is right on the clean image and under every "
        "condition of the part, so that a part is never above the weakest of its conditions. Balanced "
        "accuracy is the mean of both classes' shares; 95% intervals. AUC is over all images that "
        "count, each once.",
        "",
    ]
    lines += [
        f"- {escape(part.name)}: {escape('; '.join(part.conditions))}{_limits(part)}"
        for part in asked
    ]
    missing = rows[rows["reason"] != ""]
    lines += [
        f"- {escape(row['detector'])}, {escape(row['part'])}: n/a, {escape(row['reason'])}"
        for row in missing.to_dict("records")
    ]
    return [*lines, ""]


def _limits(part: PartFacts) -> str:
    if part.radius is not None:
        return f" (certified at L2 radius {part.radius:g})"
    return "" if part.eps is None else f" (changes up to {part.eps * 255:.4g}/255)"


def _number(row: Mapping[Any, Any], name: str = "value") -> str:
    if pd.isna(row[name]):
        return UNDEFINED
    return with_interval(row[name], row[f"{name}_lo"], row[f"{name}_hi"])


def parts_csv(extras: Extras | None) -> str:
    """Write every part of every detector as tidy CSV; "" where the protocol has no parts."""
    if extras is None or extras.parts.empty:
        return ""
    return render_matrix(extras.parts)
