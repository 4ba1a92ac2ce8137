"""What is lost as a corruption grows: drops by strength, area under the curve, the worst corruption.

A series is one corruption at several strengths (column ``family``). Pure functions of the tidy rows and of
a mapping from condition to (series, strength), since a leaderboard cannot read a condition. Both classes
went through the same chain in every cell, so a drop is the corruption's and not a difference between the
classes' treatments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from leaderboards.statistics.catalogue import headline_metrics
from leaderboards.tables.cells import CLEAN
from leaderboards.tables.means import NAN, by_condition, main_rows

METRICS = tuple(metric.name for metric in headline_metrics())
Curves = Mapping[str, tuple[str, int]]


def curve_rows(rows: pd.DataFrame, curves: Curves) -> pd.DataFrame:
    """Tabulate the curves cell by cell, for plots: one row a detector, series, strength and slice.

    Args:
        rows: The board's rows.
        curves: Condition to its series and its strength, from 1 (mild) on.

    Returns:
        Columns ``detector, family, strength, condition, generator, domain, status, n_real, n_fake``,
        then per metric value, lower and upper end of its 95% interval and drop against clean in the
        same slice. Strength 0 is clean, once a series. Empty where no series has two strengths.
    """
    columns = ["detector", "family", "strength", "condition", "generator", "domain", "status",
               "n_real", "n_fake"]  # fmt: skip
    measured = [f"{m}{part}" for m in METRICS for part in ("", "_lo", "_hi", "_drop")]
    chosen = main_rows(rows)
    keys = ["detector", "generator", "domain"]
    clean = chosen[chosen["condition"] == CLEAN].set_index(keys)
    parts = []
    for name, members in severity_series(curves).items():
        if len(members) < 2:
            continue
        for strength, condition in enumerate([CLEAN, *members]):
            part = chosen[chosen["condition"] == condition].copy()
            part["family"], part["strength"] = name, strength
            slices = pd.MultiIndex.from_frame(part[keys])
            for metric in METRICS:
                before = clean[metric].reindex(slices).to_numpy(dtype=np.float64)
                part[f"{metric}_drop"] = before - part[metric].to_numpy(dtype=np.float64)
            parts.append(part)
    if not parts:
        return pd.DataFrame(columns=[*columns, *measured])
    points = pd.concat(parts, ignore_index=True)
    detectors = {name: i for i, name in enumerate(dict.fromkeys(chosen["detector"]))}
    # Stable: series, strengths and slices stay in the suite's order.
    order = points["detector"].map(detectors).to_numpy().argsort(kind="stable")
    return points.iloc[order].loc[:, [*columns, *measured]].reset_index(drop=True)


def by_series(rows: pd.DataFrame, curves: Curves) -> pd.DataFrame:
    """Sum up each detector and series in one row: what its conditions cost on the mean over slices.

    Returns:
        Columns ``detector, family, basis, conditions, n_not_ok`` and per metric ``<m>_drops`` (a
        tuple, mild to harsh), ``<m>_mean_drop``, ``<m>_worst_drop`` and ``<m>_area``: the area under the
        metric over strength, clean included, strengths equally spaced, divided by the span, so it
        is a mean of the metric; nan for a single strength. A drop is clean minus condition on the basis that
        ``leaderboards.tables.means.by_condition`` states; nan as soon as one of the series is.
    """
    table = by_condition(rows)
    records: list[dict[str, Any]] = []
    for detector, conditions in table.groupby("detector", sort=False):
        means = conditions.set_index("condition")
        for name, members in severity_series(curves).items():
            if CLEAN not in means.index or not set(members) <= set(means.index):
                continue
            part = means.loc[members]
            row: dict[str, Any] = {
                "detector": str(detector),
                "family": name,
                "basis": part["basis"].iloc[0],
                "conditions": tuple(members),
                "n_not_ok": int(part["n_not_ok"].sum()),
            }
            for metric in METRICS:
                drops = part[f"{metric}_drop"].to_numpy(dtype=np.float64)
                after = part[metric].to_numpy(dtype=np.float64)
                row[f"{metric}_drops"] = tuple(drops.tolist())
                row[f"{metric}_mean_drop"] = float(drops.mean())
                row[f"{metric}_worst_drop"] = float(drops.max())
                # The clean mean over the same slices: the condition's mean plus its drop.
                points = [float((after + drops)[0]), *after.tolist()]
                row[f"{metric}_area"] = area(points) if len(members) > 1 else NAN
            records.append(row)
    columns = ["detector", "family", "basis", "conditions", "n_not_ok"]
    columns += [
        f"{m}_{part}" for m in METRICS for part in ("drops", "mean_drop", "worst_drop", "area")
    ]
    return pd.DataFrame(records, columns=columns)


def degradation(rows: pd.DataFrame, curves: Curves) -> pd.DataFrame:
    """Sum up each detector in one row: mean corruption degradation and the worst series.

    Returns:
        Columns ``detector, n_families`` and per metric ``<m>_mean`` (the unweighted mean over series
        of their mean drop: a series counts once, however many strengths it has), ``<m>_worst`` (the
        series of the largest mean drop, "" where one is undefined) and ``<m>_worst_drop``.
    """
    table = by_series(rows, curves)
    records: list[dict[str, Any]] = []
    for detector, of_detector in table.groupby("detector", sort=False):
        row: dict[str, Any] = {"detector": str(detector), "n_families": len(of_detector)}
        for metric in METRICS:
            drops = of_detector[f"{metric}_mean_drop"].to_numpy(dtype=np.float64)
            row[f"{metric}_mean"] = float(drops.mean())
            if np.isnan(drops).any():
                row[f"{metric}_worst"], row[f"{metric}_worst_drop"] = "", NAN
            else:
                worst = int(drops.argmax())
                row[f"{metric}_worst"] = str(of_detector["family"].iloc[worst])
                row[f"{metric}_worst_drop"] = float(drops[worst])
        records.append(row)
    columns = ["detector", "n_families"]
    columns += [f"{m}_{part}" for m in METRICS for part in ("mean", "worst", "worst_drop")]
    return pd.DataFrame(records, columns=columns)


def severity_series(curves: Curves) -> dict[str, list[str]]:
    """Map each series to its conditions, mild to harsh; series in order of first appearance.

    Example:
        >>> severity_series({"jpeg(quality=50)": ("jpeg", 2), "jpeg(quality=90)": ("jpeg", 1)})
        {'jpeg': ['jpeg(quality=90)', 'jpeg(quality=50)']}
    """
    series: dict[str, list[tuple[int, str]]] = {}
    for condition, (name, strength) in curves.items():
        series.setdefault(name, []).append((strength, condition))
    return {
        name: [condition for _, condition in sorted(members, key=lambda member: member[0])]
        for name, members in series.items()
    }


def area(values: list[float]) -> float:
    """Compute the trapezoidal area under equally spaced values over their span; nan where one is.

    ``(x_1 / 2 + x_2 + ... + x_(n-1) + x_n / 2) / (n - 1)``

    Example:
        >>> area([1.0, 0.5, 0.5])
        0.625
    """
    if len(values) < 2:
        return NAN
    return float((sum(values) - (values[0] + values[-1]) / 2) / (len(values) - 1))
