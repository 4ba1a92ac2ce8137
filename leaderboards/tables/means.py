"""The board's derived tables: pure functions from the tidy rows, one table each.

A mean here is the unweighted mean over slices. Where one of its cells is not "ok", or the metric is
undefined in one of them, the mean is nan: it is never a mean of the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd

from leaderboards.tables.cells import CLEAN
from leaderboards.tables.slicing import POOLED

Family = Literal["generator", "generator and domain", "domain", "pooled"]

# The finest honest statement first: generators are what detectors fail to generalise over.
FAMILIES: tuple[Family, ...] = ("generator", "generator and domain", "domain", "pooled")
NAN = float("nan")


def family_rows(rows: pd.DataFrame, family: Family) -> pd.DataFrame:
    """The rows whose slices are cut in one way; the others would count images twice in a mean."""
    one_generator = rows["generator"] != POOLED
    one_domain = rows["domain"] != POOLED
    masks = {
        "generator": one_generator & ~one_domain,
        "generator and domain": one_generator & one_domain,
        "domain": ~one_generator & one_domain,
        "pooled": ~one_generator & ~one_domain,
    }
    return rows[masks[family]]


def main_family(rows: pd.DataFrame) -> Family:
    """The family the headline rests on: the first of ``FAMILIES`` that the board holds."""
    for family in FAMILIES:
        if len(family_rows(rows, family)):
            return family
    return "pooled"


def slice_name(generator: str, domain: str) -> str:
    """One name for a slice: its generator, its domain, or both."""
    told = [name for name in (generator, domain) if name != POOLED]
    return " / ".join(told) or POOLED


def matrix(
    rows: pd.DataFrame, family: Family, metric: str = "auc", condition: str = CLEAN
) -> pd.DataFrame:
    """Detector x slice, for one metric under one condition; nan where undefined or not scored.

    Returns:
        float64; the index holds detectors, the columns generators, domains, or pairs of both.

    Raises:
        ValueError: A metric the board does not hold.
    """
    _check_metric(rows, metric)
    chosen = family_rows(rows, family)
    chosen = chosen[chosen["condition"] == condition]
    axes = {"generator": ["generator"], "domain": ["domain"]}.get(family, ["generator", "domain"])
    detectors, slices = (
        chosen[names].drop_duplicates().set_index(names).index for names in (["detector"], axes)
    )
    table = chosen.astype({metric: "float64"}).pivot(index="detector", columns=axes, values=metric)
    return table.reindex(index=detectors, columns=slices)


def macro_mean(cells: pd.DataFrame, metric: str) -> float:
    """Unweighted mean of a metric over cells; nan for none, or where any is unscored or undefined."""
    if cells.empty or (cells["status"] != "ok").any():
        return NAN
    return float(cells[metric].to_numpy(dtype=np.float64).mean())


def by_condition(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a detector and condition: macro means and their drop against clean.

    Returns:
        Columns ``detector, condition, basis, n_cells, n_not_ok, auc, auc_drop, accuracy,
        accuracy_drop, attack_success``. ``basis`` says which slices are averaged: "unseen", or "all"
        where the detector has no unseen slice. A drop is clean minus condition over the same slices:
        positive is worse.
    """
    chosen = family_rows(rows, main_family(rows))
    found: list[dict[str, Any]] = []
    for detector, own in _groups(chosen, "detector"):
        clean = own[own["condition"] == CLEAN]
        for condition, cells in _groups(own, "condition"):
            basis, averaged = _basis(cells)
            before = _same_slices(clean, averaged)
            row: dict[str, Any] = {
                "detector": detector,
                "condition": condition,
                "basis": basis,
                "n_cells": len(averaged),
                "n_not_ok": int((averaged["status"] != "ok").sum()),
            }
            for metric in ("auc", "accuracy"):
                row[metric] = macro_mean(averaged, metric)
                row[f"{metric}_drop"] = macro_mean(before, metric) - row[metric]
            row["attack_success"] = macro_mean(averaged, "attack_success")
            found.append(row)
    columns = ["detector", "condition", "basis", "n_cells", "n_not_ok", "auc", "auc_drop",
               "accuracy", "accuracy_drop", "attack_success"]  # fmt: skip
    return pd.DataFrame(found, columns=columns)


def headline(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a detector, best first: by AUC over unseen slices, then over all.

    Returns:
        Columns ``detector, n_unseen, n_seen, n_slices, auc_unseen, auc_seen, auc_all,
        accuracy_unseen, accuracy_seen, accuracy_all, worst, worst_auc, mean_auc_drop,
        mean_accuracy_drop, n_conditions, n_not_ok, n_cells``. Metrics are on clean images; ``worst``
        names the slice of lowest AUC ("" where it cannot be known because a cell is not scored);
        drops are means over the other conditions, on the basis ``by_condition`` states;
        ``n_not_ok`` of ``n_cells`` counts every cell of the detector.
    """
    chosen = family_rows(rows, main_family(rows))
    conditions = by_condition(rows)
    found: list[dict[str, Any]] = []
    for detector, own in _groups(rows, "detector"):
        mine = chosen[chosen["detector"] == detector]
        clean = mine[mine["condition"] == CLEAN]
        parts = {
            "unseen": clean[clean["seen"] == "unseen"],
            "seen": clean[clean["seen"] == "seen"],
            "all": clean,
        }
        row: dict[str, Any] = {
            "detector": detector,
            "n_unseen": len(parts["unseen"]),
            "n_seen": len(parts["seen"]),
            "n_slices": len(clean),
        }
        for metric in ("auc", "accuracy"):
            row |= {f"{metric}_{part}": macro_mean(cells, metric) for part, cells in parts.items()}
        row["worst"], row["worst_auc"] = _worst(clean)
        others = conditions[
            (conditions["detector"] == detector) & (conditions["condition"] != CLEAN)
        ]
        for metric in ("auc", "accuracy"):
            drops = others[f"{metric}_drop"].to_numpy(dtype=np.float64)
            row[f"mean_{metric}_drop"] = float(drops.mean()) if drops.size else NAN
        row["n_conditions"] = len(others)
        row["n_not_ok"] = int((own["status"] != "ok").sum())
        row["n_cells"] = len(own)
        found.append(row)
    columns = ["detector", "n_unseen", "n_seen", "n_slices", "auc_unseen", "auc_seen", "auc_all",
               "accuracy_unseen", "accuracy_seen", "accuracy_all", "worst", "worst_auc",
               "mean_auc_drop", "mean_accuracy_drop", "n_conditions", "n_not_ok", "n_cells"]  # fmt: skip
    found.sort(key=_best_first)
    return pd.DataFrame(found, columns=columns)


def failures(rows: pd.DataFrame) -> pd.DataFrame:
    """The cells that are not "ok", with their reason."""
    columns = ["detector", "generator", "domain", "condition", "status", "reason"]
    return rows.loc[rows["status"] != "ok", columns].reset_index(drop=True)


def _worst(clean: pd.DataFrame) -> tuple[str, float]:
    # An unscored slice might be the worst: without it the name would be a guess.
    if clean.empty or (clean["status"] != "ok").any() or clean["auc"].isna().any():
        return "", NAN
    values = clean["auc"].to_numpy(dtype=np.float64)
    at = int(values.argmin())
    return slice_name(clean["generator"].iloc[at], clean["domain"].iloc[at]), float(values[at])


def _basis(cells: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    unseen = cells[cells["seen"] == "unseen"]
    return ("unseen", unseen) if len(unseen) else ("all", cells)


def _same_slices(clean: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Clean cells of the same slices; empty (so every mean nan) unless all of them are there."""
    wanted = set(zip(cells["generator"], cells["domain"], strict=True))
    keys = list(zip(clean["generator"], clean["domain"], strict=True))
    if not wanted.issubset(keys):
        return clean.iloc[:0]
    return clean[[key in wanted for key in keys]]


def _groups(rows: pd.DataFrame, column: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Groups in order of first appearance: suites list conditions from mild to harsh."""
    for name, group in rows.groupby(column, sort=False):
        yield str(name), group


def _best_first(row: dict[str, Any]) -> tuple[bool, float, bool, float, str]:
    unseen, overall = row["auc_unseen"], row["auc_all"]
    return (
        np.isnan(unseen),
        0.0 if np.isnan(unseen) else -unseen,
        np.isnan(overall),
        0.0 if np.isnan(overall) else -overall,
        row["detector"],
    )


def _check_metric(rows: pd.DataFrame, metric: str) -> None:
    numeric = [name for name in rows.columns if rows[name].dtype.kind in "fiu"]
    if metric not in numeric:
        raise ValueError(f"the board has no metric {metric!r}; known: {', '.join(numeric)}")
