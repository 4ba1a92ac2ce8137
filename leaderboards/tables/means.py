"""The board's derived tables: pure functions from the tidy rows, one table each.

A mean here is the unweighted mean over slices. Where one of its cells is not "ok", or the metric is
undefined in one of them, the mean is nan: it is never a mean of the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from leaderboards.statistics.catalogue import headline_metrics
from leaderboards.tables.cells import CLEAN, RAW
from leaderboards.tables.seen import SeenBy, seen_state
from leaderboards.tables.slicing import POOLED, Slice

CutKind = Literal["generator", "generator and domain", "domain", "pooled"]

# The finest honest statement first: generators are what detectors fail to generalise over.
CUT_KINDS: tuple[CutKind, ...] = ("generator", "generator and domain", "domain", "pooled")
NAN = float("nan")


def cut_rows(rows: pd.DataFrame, kind: CutKind) -> pd.DataFrame:
    """Select the rows whose slices are cut in one way; the others would count images twice in a mean."""
    one_generator = rows["generator"] != POOLED
    one_domain = rows["domain"] != POOLED
    masks = {
        "generator": one_generator & ~one_domain,
        "generator and domain": one_generator & one_domain,
        "domain": ~one_generator & one_domain,
        "pooled": ~one_generator & ~one_domain,
    }
    chosen = rows[masks[kind]]
    # Slices of two columns hold the same images: the headline rests on those of the first.
    return next(iter(split_columns(chosen).values()), chosen) if kind == "domain" else chosen


def split_columns(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Part rows that are cut by domain from those cut by further columns, whose domain is ``column=value``.

    Args:
        rows: Rows without a generator.

    Returns:
        "domain", or the name of a column, to its rows; "domain" first, then in order of appearance.
    """
    names = [
        domain.partition("=")[0] if "=" in domain else "domain"
        for domain in rows["domain"].tolist()
    ]
    order = sorted(dict.fromkeys(names), key=lambda name: name != "domain")
    return {name: rows[[name == other for other in names]] for name in order}


def main_cut(rows: pd.DataFrame) -> CutKind:
    """Choose the cut that the headline rests on: the first of ``CUT_KINDS`` that the board holds."""
    for kind in CUT_KINDS:
        if len(cut_rows(rows, kind)):
            return kind
    return "pooled"


def main_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Select the rows that the headline rests on."""
    return cut_rows(rows, main_cut(rows))


def slice_name(generator: str, domain: str) -> str:
    """Name a slice by its generator, its domain, or both.

    Example:
        >>> slice_name("sd14", "all"), slice_name("sd14", "faces")
        ('sd14', 'sd14 / faces')
    """
    names = [name for name in (generator, domain) if name != POOLED]
    return " / ".join(names) or POOLED


def matrix(
    rows: pd.DataFrame, kind: CutKind, metric: str = "auc", condition: str = CLEAN
) -> pd.DataFrame:
    """Lay out detector x slice, for one metric under one condition; nan where undefined or not scored.

    Returns:
        float64; the index holds detectors, the columns generators, domains, or pairs of both.

    Raises:
        ValueError: A metric the board does not hold.
    """
    _check_metric(rows, metric)
    chosen = cut_rows(rows, kind)
    chosen = chosen[chosen["condition"] == condition]
    axes = {"generator": ["generator"], "domain": ["domain"]}.get(kind, ["generator", "domain"])
    detectors, slices = (
        chosen[names].drop_duplicates().set_index(names).index for names in (["detector"], axes)
    )
    table = chosen.astype({metric: "float64"}).pivot(index="detector", columns=axes, values=metric)
    return table.reindex(index=detectors, columns=slices)


class MeanBasis(NamedTuple):
    """The cells that a board's mean is taken over.

    Attributes:
        name: "unseen", or "all" where the detector has no unseen slice.
        cells: Rows of these cells.
    """

    name: str
    cells: pd.DataFrame


def mean_basis(cells: pd.DataFrame) -> MeanBasis:
    """Choose what to average of one detector's cells under one condition, all cut in one way."""
    unseen = cells[cells["seen"] == "unseen"]
    return MeanBasis("unseen", unseen) if len(unseen) else MeanBasis("all", cells)


def board_basis(rows: pd.DataFrame, detector: str, condition: str = CLEAN) -> MeanBasis:
    """Choose the cells behind the one number that a board has for a detector under a condition."""
    cells = main_rows(rows)
    chosen = (cells["detector"] == detector) & (cells["condition"] == condition)
    return mean_basis(cells[chosen])


def basis_slices(slices: Sequence[Slice], training: SeenBy) -> frozenset[tuple[str, str]]:
    """Choose the slices that a board averages for a detector, before anything is scored.

    Args:
        slices: Every slice of the board.
        training: What the detector was trained on.

    Returns:
        Generator and domain of each.
    """
    cells = pd.DataFrame(
        [(cut.generator, cut.domain, seen_state(cut, training)) for cut in slices],
        columns=["generator", "domain", "seen"],
    )
    averaged = mean_basis(main_rows(cells)).cells
    return frozenset(zip(averaged["generator"], averaged["domain"], strict=True))


def board_mean(rows: pd.DataFrame, detector: str, metric: str, condition: str = CLEAN) -> float:
    """Average a metric as the board does: over unseen slices of the main cut, or all without any.

    ``by_condition``, LaTeX, model cards and comparisons give this number, so that they agree.

    Returns:
        nan where a cell of it is not scored or undefined.
    """
    return macro_mean(board_basis(rows, detector, condition).cells, metric)


def macro_mean(cells: pd.DataFrame, metric: str) -> float:
    """Average a metric over cells, unweighted; nan for none, or where any is unscored or undefined."""
    if cells.empty or (cells["status"] != "ok").any():
        return NAN
    return float(cells[metric].to_numpy(dtype=np.float64).mean())


def by_condition(rows: pd.DataFrame) -> pd.DataFrame:
    """Average over slices: one row a detector and condition, with the drop against clean.

    Returns:
        Columns ``detector, condition, basis, n_cells, n_not_ok, auc, auc_drop, accuracy,
        accuracy_drop, attack_success``. ``basis`` says which slices are averaged: "unseen", or "all"
        where the detector has no unseen slice. A drop is clean minus condition over the same slices:
        positive is worse.
    """
    metrics = [metric.name for metric in headline_metrics()]
    records: list[dict[str, Any]] = []
    for detector, of_detector in _groups(main_rows(rows), "detector"):
        clean = of_detector[of_detector["condition"] == CLEAN]
        for condition, of_condition in _groups(of_detector, "condition"):
            basis, cells = mean_basis(of_condition)
            clean_cells = _same_slices(clean, cells)
            record: dict[str, Any] = {
                "detector": detector,
                "condition": condition,
                "basis": basis,
                "n_cells": len(cells),
                "n_not_ok": int((cells["status"] != "ok").sum()),
            }
            for metric in metrics:
                record[metric] = macro_mean(cells, metric)
                record[f"{metric}_drop"] = macro_mean(clean_cells, metric) - record[metric]
            record["attack_success"] = macro_mean(cells, "attack_success")
            records.append(record)
    columns = ["detector", "condition", "basis", "n_cells", "n_not_ok"]
    columns += [f"{metric}{part}" for metric in metrics for part in ("", "_drop")]
    return pd.DataFrame(records, columns=[*columns, "attack_success"])


def headline(rows: pd.DataFrame) -> pd.DataFrame:
    """Sum up each detector in one row, best first: by AUC over unseen slices, then over all.

    Returns:
        Columns ``detector, n_unseen, n_seen, n_slices, auc_unseen, auc_seen, auc_all,
        accuracy_unseen, accuracy_seen, accuracy_all, worst, worst_auc, mean_auc_drop,
        mean_accuracy_drop, n_conditions, n_not_ok, n_cells``. Metrics are on clean images; ``worst``
        names the slice of lowest AUC ("" where it cannot be known because a cell is not scored);
        drops are means over the other conditions, on the basis ``by_condition`` states;
        ``n_not_ok`` of ``n_cells`` counts every cell of the detector.
    """
    metrics = [metric.name for metric in headline_metrics()]
    parts = ("unseen", "seen", "all")
    cells, conditions = main_rows(rows), by_condition(rows)
    others = conditions[~conditions["condition"].isin([CLEAN, RAW])]
    records = [
        {
            "detector": detector,
            **_clean_means(cells[cells["detector"] == detector], metrics),
            **_mean_drops(others[others["detector"] == detector], metrics),
            "n_not_ok": int((of_detector["status"] != "ok").sum()),
            "n_cells": len(of_detector),
        }
        for detector, of_detector in _groups(rows, "detector")
    ]
    columns = ["detector", "n_unseen", "n_seen", "n_slices"]
    columns += [f"{metric}_{part}" for metric in metrics for part in parts]
    columns += ["worst", "worst_auc", *(f"mean_{metric}_drop" for metric in metrics)]
    columns += ["n_conditions", "n_not_ok", "n_cells"]
    records.sort(key=_best_first)
    return pd.DataFrame(records, columns=columns)


def _clean_means(cells: pd.DataFrame, metrics: list[str]) -> dict[str, Any]:
    """One detector's means on clean images, by whether it was trained on the slice."""
    clean = cells[cells["condition"] == CLEAN]
    parts = {
        "unseen": clean[clean["seen"] == "unseen"],
        "seen": clean[clean["seen"] == "seen"],
        "all": clean,
    }
    record: dict[str, Any] = {
        "n_unseen": len(parts["unseen"]),
        "n_seen": len(parts["seen"]),
        "n_slices": len(clean),
    }
    for metric in metrics:
        record |= {f"{metric}_{name}": macro_mean(part, metric) for name, part in parts.items()}
    record["worst"], record["worst_auc"] = _worst(clean)
    return record


def _mean_drops(conditions: pd.DataFrame, metrics: list[str]) -> dict[str, Any]:
    """One detector's mean drop over conditions other than clean."""
    record: dict[str, Any] = {"n_conditions": len(conditions)}
    for metric in metrics:
        drops = conditions[f"{metric}_drop"].to_numpy(dtype=np.float64)
        record[f"mean_{metric}_drop"] = float(drops.mean()) if drops.size else NAN
    return record


def failures(rows: pd.DataFrame) -> pd.DataFrame:
    """List the cells that are not "ok", with their reason."""
    columns = ["detector", "generator", "domain", "condition", "status", "reason"]
    return rows.loc[rows["status"] != "ok", columns].reset_index(drop=True)


def _worst(clean: pd.DataFrame) -> tuple[str, float]:
    # An unscored slice might be the worst: without it the name would be a guess.
    if clean.empty or (clean["status"] != "ok").any() or clean["auc"].isna().any():
        return "", NAN
    values = clean["auc"].to_numpy(dtype=np.float64)
    lowest = clean.iloc[int(values.argmin())]
    return slice_name(lowest["generator"], lowest["domain"]), float(lowest["auc"])


def _same_slices(clean: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Clean cells of the same slices; empty (so every mean nan) unless all of them are there."""
    averaged = set(zip(cells["generator"], cells["domain"], strict=True))
    keys = list(zip(clean["generator"], clean["domain"], strict=True))
    if not averaged.issubset(keys):
        return clean.iloc[:0]
    return clean[[key in averaged for key in keys]]


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
