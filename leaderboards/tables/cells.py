"""From score columns to one row a cell: detector x generator x domain x condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaderboards.statistics.metrics import called_fake, evaluate
from leaderboards.tables.slicing import POOLED, Axis, Slice, slices

__all__ = [
    "CLEAN",
    "COLUMNS",
    "COUNT_COLUMNS",
    "POOLED",
    "TEXT_COLUMNS",
    "Axis",
    "ScoreColumn",
    "SeenBy",
    "Slice",
    "Status",
    "cell_rows",
    "slices",
]

Status = Literal["ok", "failed", "not attackable", "attack unreliable", "incomplete"]
CONDEMNED = ("failed", "not attackable", "attack unreliable")

CLEAN = "clean"
COLUMNS = (
    "detector", "dataset", "generator", "domain", "condition", "seen", "status", "n_real", "n_fake",
    "threshold", "accuracy", "accuracy_lo", "accuracy_hi", "balanced_accuracy", "precision",
    "precision_lo", "precision_hi", "recall", "recall_lo", "recall_hi", "f1", "auc", "auc_lo",
    "auc_hi", "ap", "real_recall", "real_recall_lo", "real_recall_hi", "fake_recall",
    "fake_recall_lo", "fake_recall_hi", "tp", "fp", "tn", "fn", "attack_success", "evade_success",
    "frame_success", "median_linf", "median_l2", "median_steps", "balanced_accuracy_lo",
    "balanced_accuracy_hi", "f1_lo", "f1_hi", "tpr_at_1_fpr", "tpr_at_1_fpr_lo", "tpr_at_1_fpr_hi",
    "tpr_at_5_fpr", "tpr_at_5_fpr_lo", "tpr_at_5_fpr_hi", "eer", "partial_auc", "brier", "ece",
    "threshold_policy", "reason",
)  # fmt: skip
TEXT_COLUMNS = (
    "detector", "dataset", "generator", "domain", "condition", "seen", "status",
    "threshold_policy", "reason",
)  # fmt: skip
COUNT_COLUMNS = ("n_real", "n_fake", "tp", "fp", "tn", "fn")


# What rests on the order of logits or on their size, not on verdicts.
RANKS = (
    "auc", "auc_lo", "auc_hi", "ap", "tpr_at_1_fpr", "tpr_at_1_fpr_lo", "tpr_at_1_fpr_hi",
    "tpr_at_5_fpr", "tpr_at_5_fpr_lo", "tpr_at_5_fpr_hi", "eer", "partial_auc", "brier", "ece",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreColumn:
    """The scores of one detector under one condition, aligned with the samples.

    Attributes:
        detector: The detector's name on the board.
        condition: The condition's canonical spelling; "clean" is the empty chain.
        logits: (n,) float32, nan where an image is unscored.
        status: "failed", "not attackable" and "attack unreliable" condemn the whole column; in an
            "incomplete" one, the slices that are wholly scored still count.
        reason: Why, where the status is not "ok".
        success: (n,) 1 = the attack flipped the decision, 0 = it did not, nan = not attacked. None
            where the condition holds no attack.
        linf: (n,) size of the perturbation, in [0, 1] pixel units, nan where not attacked.
        l2: (n,) likewise in the Euclidean norm.
        steps: (n,) gradients or queries spent, nan where not attacked.
        ranked: False where logits say no more than the verdict, as those of an attack that stops at
            success: AUC and average precision are then undefined.
    """

    detector: str
    condition: str
    logits: NDArray[np.float32]
    status: Status = "ok"
    reason: str = ""
    success: NDArray[Any] | None = None
    linf: NDArray[Any] | None = None
    l2: NDArray[Any] | None = None
    steps: NDArray[Any] | None = None
    ranked: bool = True


@dataclass(frozen=True, slots=True)
class SeenBy:
    """What a detector was trained on, as far as its card tells.

    Attributes:
        generators: Names of generators in the training data.
        domains: Names of domains in the training data.
        known: False where the card does not say; every cell is then "unknown".
    """

    generators: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    known: bool = True


_UNKNOWN = SeenBy(known=False)


def cell_rows(
    samples: pd.DataFrame,
    slices: Sequence[Slice],
    columns: Sequence[ScoreColumn],
    seen: Mapping[str, SeenBy],
    dataset: str,
    *,
    threshold: float | Mapping[str, float] = 0.0,
    policy: str = "0",
) -> pd.DataFrame:
    """Score every slice under every column.

    Args:
        samples: The frame the slices were cut from.
        slices: From ``slices``; the lists of several cuts may be concatenated.
        columns: Score columns, at most one for each detector and condition.
        seen: Detector to its training data; a detector not named here is "unknown".
        dataset: The data set's name.
        threshold: One logit, or detector to logit.
        policy: How the threshold came about, as the suite spells it; stands in every row.

    Returns:
        A tidy frame with the columns ``COLUMNS``, one row a cell, in the order of columns, then
        slices. Undefined is nan (``<NA>`` in the counts). A cell with any image unscored is
        "incomplete" and holds no metric: it is never scored on the rest.

    Raises:
        ValueError: A column not aligned with the samples, a repeated detector and condition, an
            unknown status, a detector the thresholds do not name, labels other than 0/1.
    """
    for column in columns:
        _check_column(column, len(samples))
    names = [(column.detector, column.condition) for column in columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"two score columns for detector and condition {repeated[0]}; give one")
    clean = {column.detector: column for column in columns if column.condition == CLEAN}
    rows: list[dict[str, Any]] = []
    for column in columns:
        at = _threshold_of(threshold, column.detector)
        for cut in slices:
            head = {
                "detector": column.detector,
                "dataset": dataset,
                "generator": cut.generator,
                "domain": cut.domain,
                "condition": column.condition,
                "seen": _seen(cut, seen.get(column.detector, _UNKNOWN)),
                "n_real": len(cut.real_rows),
                "n_fake": len(cut.fake_rows),
                "threshold": at,
                "threshold_policy": policy,
            }
            rows.append(head | _score(cut, column, clean.get(column.detector), at))
    return as_rows(pd.DataFrame(rows, columns=list(COLUMNS), dtype=object))


def as_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with exactly the board's columns, in order, each with its fixed type.

    Raises:
        ValueError: A column missing.
    """
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise ValueError(f"board rows lack the columns {missing}")
    kinds = dict.fromkeys(COLUMNS, "float64")
    kinds |= dict.fromkeys(TEXT_COLUMNS, "object") | dict.fromkeys(COUNT_COLUMNS, "Int64")
    rows = frame.loc[:, list(COLUMNS)].astype(kinds).reset_index(drop=True)
    for name in TEXT_COLUMNS:
        rows[name] = pd.Series([_storable(text) for text in rows[name]], dtype=object)
    return rows


def _storable(text: object) -> str:
    """Text without lone surrogates (undecodable file names): neither UTF-8 nor Arrow hold them."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def _score(
    cut: Slice, column: ScoreColumn, clean: ScoreColumn | None, threshold: float
) -> dict[str, Any]:
    rows, labels = cut.rows, cut.labels
    logits = column.logits[rows]
    status, reason = _state(column, logits)
    if status != "ok":
        return {"status": status, "reason": reason}
    found: dict[str, Any] = {"status": status, "reason": ""}
    found |= evaluate(labels, logits, threshold).as_dict()
    if _is_attack(column):
        attacked = _attacked(column, rows)
        for name, of in (("attack_success", None), ("evade_success", 1), ("frame_success", 0)):
            chosen = attacked if of is None else attacked & (labels == of)
            found[name] = _attack_success(
                labels[chosen], logits[chosen], clean, rows[chosen], threshold
            )
        found["median_linf"] = _median(column.linf, rows[attacked])
        found["median_l2"] = _median(column.l2, rows[attacked])
        found["median_steps"] = _median(column.steps, rows[attacked])
    if not column.ranked:
        found |= dict.fromkeys(RANKS, float("nan"))
    return found


def _state(column: ScoreColumn, logits: NDArray[Any]) -> tuple[Status, str]:
    if column.status in CONDEMNED:
        return column.status, column.reason or column.status
    unscored = int(np.count_nonzero(np.isnan(logits)))
    if unscored:
        told = f": {column.reason}" if column.reason else ""
        return "incomplete", f"{unscored} of {logits.size} images are unscored{told}"
    infinite = int(np.count_nonzero(np.isinf(logits)))
    if infinite:
        return "failed", f"{infinite} of {logits.size} logits are infinite"
    return "ok", ""


def _is_attack(column: ScoreColumn) -> bool:
    return any(told is not None for told in (column.success, column.linf, column.l2))


def _attacked(column: ScoreColumn, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the rows the attack touched: its goal may leave a class alone."""
    for told in (column.success, column.linf, column.l2):
        if told is not None:
            return ~np.isnan(np.asarray(told, dtype=np.float64)[rows])
    return np.zeros(rows.size, dtype=bool)


def _attack_success(
    labels: NDArray[Any],
    logits: NDArray[Any],
    clean: ScoreColumn | None,
    rows: NDArray[np.int64],
    threshold: float,
) -> float:
    """Of the attacked images that were right clean, the share that is wrong under attack."""
    if clean is None or clean.status in CONDEMNED:
        return float("nan")
    before = clean.logits[rows]
    if not np.isfinite(before).all():
        return float("nan")
    fake = labels == 1
    right = called_fake(before, threshold) == fake
    flipped = right & (called_fake(logits, threshold) != fake)
    n_right = int(np.count_nonzero(right))
    return int(np.count_nonzero(flipped)) / n_right if n_right else float("nan")


def _median(values: NDArray[Any] | None, rows: NDArray[np.int64]) -> float:
    if values is None:
        return float("nan")
    chosen = np.asarray(values, dtype=np.float64)[rows]
    chosen = chosen[~np.isnan(chosen)]
    return float(np.median(chosen)) if chosen.size else float("nan")


def _seen(cut: Slice, seen: SeenBy) -> str:
    if not seen.known:
        return "unknown"
    if cut.generator != POOLED or cut.domain != POOLED:
        met = cut.generator in seen.generators or cut.domain in seen.domains
        return "seen" if met else "unseen"
    each = [name in seen.generators for name in cut.generators]
    if each and all(each):
        return "seen"
    return "mixed" if any(each) or seen.domains.intersection(cut.domains) else "unseen"


def _threshold_of(threshold: float | Mapping[str, float], detector: str) -> float:
    if not isinstance(threshold, Mapping):
        return float(threshold)
    if detector not in threshold:
        raise ValueError(f"no threshold for detector {detector!r}; given: {sorted(threshold)}")
    return float(threshold[detector])


def _check_column(column: ScoreColumn, n: int) -> None:
    if column.status not in get_args(Status):
        raise ValueError(f"status {column.status!r} is unknown; known: {list(get_args(Status))}")
    for name in ("logits", "success", "linf", "l2", "steps"):
        values = getattr(column, name)
        if values is not None and np.shape(values) != (n,):
            raise ValueError(
                f"{name} of {column.detector} under {column.condition} has shape "
                f"{np.shape(values)}; the samples need ({n},)"
            )
