"""What is lost as a corruption grows: drops by strength, area under the curve, the worst corruption.

Pure functions of the tidy rows and of a mapping from condition to (family, strength), since a leaderboard
cannot read a condition. Both classes went through the same chain in every cell, so a drop is the
corruption's and not a difference between the classes' treatments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from leaderboards.tables.cells import CLEAN
from leaderboards.tables.means import NAN, by_condition, family_rows, main_family

METRICS = ("auc", "accuracy")
Curves = Mapping[str, tuple[str, int]]


def curve_rows(rows: pd.DataFrame, curves: Curves) -> pd.DataFrame:
    """The curves cell by cell, for plots: one row a detector, family, strength and slice.

    Args:
        rows: The board's rows.
        curves: Condition to its family and its strength, from 1 (mild) on.

    Returns:
        Columns ``detector, family, strength, condition, generator, domain, status, n_real, n_fake``,
        then per metric value, lower and upper end of its 95% interval and drop against clean in the
        same slice. Strength 0 is clean, once a family. Empty where no family has two strengths.
    """
    columns = ["detector", "family", "strength", "condition", "generator", "domain", "status",
               "n_real", "n_fake"]  # fmt: skip
    measured = [f"{m}{part}" for m in METRICS for part in ("", "_lo", "_hi", "_drop")]
    chosen = family_rows(rows, main_family(rows))
    keys = ["detector", "generator", "domain"]
    clean = chosen[chosen["condition"] == CLEAN].set_index(keys)
    parts = []
    for family, members in families(curves).items():
        if len(members) < 2:
            continue
        for strength, condition in enumerate([CLEAN, *members]):
            part = chosen[chosen["condition"] == condition].copy()
            part["family"], part["strength"] = family, strength
            at = pd.MultiIndex.from_frame(part[keys])
            for metric in METRICS:
                before = clean[metric].reindex(at).to_numpy(dtype=np.float64)
                part[f"{metric}_drop"] = before - part[metric].to_numpy(dtype=np.float64)
            parts.append(part)
    if not parts:
        return pd.DataFrame(columns=[*columns, *measured])
    found = pd.concat(parts, ignore_index=True)
    detectors = {name: i for i, name in enumerate(dict.fromkeys(chosen["detector"]))}
    # Stable: families, strengths and slices stay in the suite's order.
    order = found["detector"].map(detectors).to_numpy().argsort(kind="stable")
    return found.iloc[order].loc[:, [*columns, *measured]].reset_index(drop=True)


def by_family(rows: pd.DataFrame, curves: Curves) -> pd.DataFrame:
    """One row a detector and family: what its conditions cost on the mean over slices.

    Returns:
        Columns ``detector, family, basis, conditions, n_not_ok`` and per metric ``<m>_drops`` (a
        tuple, mild to harsh), ``<m>_mean_drop``, ``<m>_worst_drop`` and ``<m>_area``: the area under the
        metric over strength, clean included, strengths equally spaced, divided by the span, so it
        is a mean of the metric; nan for a single strength. A drop is clean minus condition on the basis that
        ``leaderboards.tables.means.by_condition`` states; nan as soon as one of the family is.
    """
    table = by_condition(rows)
    found: list[dict[str, Any]] = []
    for detector, own in table.groupby("detector", sort=False):
        means = own.set_index("condition")
        for family, members in families(curves).items():
            if CLEAN not in means.index or not set(members) <= set(means.index):
                continue
            part = means.loc[members]
            row: dict[str, Any] = {
                "detector": str(detector),
                "family": family,
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
            found.append(row)
    columns = ["detector", "family", "basis", "conditions", "n_not_ok"]
    columns += [
        f"{m}_{part}" for m in METRICS for part in ("drops", "mean_drop", "worst_drop", "area")
    ]
    return pd.DataFrame(found, columns=columns)


def degradation(rows: pd.DataFrame, curves: Curves) -> pd.DataFrame:
    """One row a detector: mean corruption degradation and the worst family.

    Returns:
        Columns ``detector, n_families`` and per metric ``<m>_mean`` (the unweighted mean over families
        of their mean drop: a family counts once, however many strengths it has), ``<m>_worst`` (the
        family of the largest mean drop, "" where one is undefined) and ``<m>_worst_drop``.
    """
    table = by_family(rows, curves)
    found: list[dict[str, Any]] = []
    for detector, own in table.groupby("detector", sort=False):
        row: dict[str, Any] = {"detector": str(detector), "n_families": len(own)}
        for metric in METRICS:
            drops = own[f"{metric}_mean_drop"].to_numpy(dtype=np.float64)
            known = not np.isnan(drops).any()
            at = int(drops.argmax()) if known else 0
            row[f"{metric}_mean"] = float(drops.mean())
            row[f"{metric}_worst"] = str(own["family"].iloc[at]) if known else ""
            row[f"{metric}_worst_drop"] = float(drops[at]) if known else NAN
        found.append(row)
    columns = ["detector", "n_families"]
    columns += [f"{m}_{part}" for m in METRICS for part in ("mean", "worst", "worst_drop")]
    return pd.DataFrame(found, columns=columns)


def families(curves: Curves) -> dict[str, list[str]]:
    """Family to its conditions, mild to harsh; families in order of first appearance."""
    found: dict[str, list[tuple[int, str]]] = {}
    for condition, (family, strength) in curves.items():
        found.setdefault(family, []).append((strength, condition))
    return {
        family: [name for _, name in sorted(members, key=lambda member: member[0])]
        for family, members in found.items()
    }


def area(values: list[float]) -> float:
    """Trapezoidal area under equally spaced values over their span; nan where one is undefined."""
    if len(values) < 2:
        return NAN
    return float((sum(values) - (values[0] + values[-1]) / 2) / (len(values) - 1))
