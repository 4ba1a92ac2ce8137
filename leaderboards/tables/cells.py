"""From score columns to one row a cell: detector x generator x domain x condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaderboards.statistics import catalogue
from leaderboards.statistics.metrics import measure
from leaderboards.statistics.thresholds import called_fake
from leaderboards.tables.measures.distances import distances_of, median_distance
from leaderboards.tables.measures.states import (
    CONDEMNED,
    CellNames,
    CellState,
    Status,
    counted_state,
)
from leaderboards.tables.rounds.stopping import Reach
from leaderboards.tables.seen import SeenBy, seen_state
from leaderboards.tables.slicing import POOLED, Axis, Slice, slices

__all__ = [
    "CLEAN",
    "COLUMNS",
    "POOLED",
    "RAW",
    "TEXT_COLUMNS",
    "Axis",
    "ScoreColumn",
    "SeenBy",
    "Slice",
    "Status",
    "cell_rows",
    "slices",
]

CLEAN = "clean"
# The images as they lie, on a board whose other conditions are all behind an equalising chain.
RAW = "raw"
_IDENTITY = ("detector", "dataset", "generator", "domain", "condition", "seen", "status")
_ATTACK_COLUMNS = (
    "attack_success", "evade_success", "frame_success", "median_linf", "median_l2", "median_steps",
    "median_psnr", "median_ssim", "median_distance", "median_distance_lo", "median_distance_hi",
)  # fmt: skip
# Under a condition that changes one class, the other's own rates are those under "clean", and no finding.
_UNTOUCHED = {
    "fakes": ("real_recall", "real_accuracy"),
    "reals": ("recall", "fake_recall", "fake_accuracy"),
}
_REMARKS = ("threshold_policy", "reason")
TEXT_COLUMNS = (*_IDENTITY, *_REMARKS)


def board_columns(metrics: Sequence[catalogue.Metric] | None = None) -> tuple[str, ...]:
    """Name the columns of a board's rows in order, those of every metric, or of some, among them."""
    sizes, core, further = [catalogue.columns_in(b, metrics) for b in ("sizes", "core", "further")]
    return (*_IDENTITY, *sizes, "threshold", *core, *_ATTACK_COLUMNS, *further, *_REMARKS)


COLUMNS = board_columns(catalogue.CATALOGUE)  # of every board, whatever metrics plug-ins add


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
        linf: (n,) size of the perturbation, in [0, 1] pixel units, nan where not attacked. None
            where the condition holds no attack.
        l2: (n,) likewise in the Euclidean norm.
        steps: (n,) gradients or queries spent, nan where not attacked.
        only: The one class that the condition changes, "fakes" or "reals", the other's scores being those of
            "clean"; "" where it changes both.
        psnr: (n,) peak signal-to-noise ratio against the unchanged image in dB, nan where undefined or
            unchanged. None where nobody asked.
        ssim: (n,) structural similarity likewise.
        ranked: False where logits say no more than the verdict, as those of an attack that stops at
            success: AUC and average precision are then undefined.
        reach: How far each slice was scored, where scoring stopped at a target; None where everything was
            to be scored.
        pilot_votes: (n,) noisy copies called fake of those that choose a verdict; None without certificate.
        votes: (n,) likewise among those that certify it.
        distance_norm: ``linf`` or ``l2`` where the attack looked for the smallest change; else "".
        counts_queries: Whether ``steps`` are the queries after which an image was first fooled.
    """

    detector: str
    condition: str
    logits: NDArray[np.float32]
    status: Status = "ok"
    reason: str = ""
    linf: NDArray[Any] | None = None
    l2: NDArray[Any] | None = None
    steps: NDArray[Any] | None = None
    ranked: bool = True
    only: str = ""
    psnr: NDArray[Any] | None = None
    ssim: NDArray[Any] | None = None
    pilot_votes: NDArray[Any] | None = None
    votes: NDArray[Any] | None = None
    reach: Reach | None = None
    distance_norm: str = ""
    counts_queries: bool = False

    def part(self, cut: Slice) -> Slice:
        """Give the images of a slice that were to be scored: all, or those before it stopped."""
        return cut if self.reach is None else self.reach.part(cut)

    def among(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Keep of some rows those up to which every slice of the column was scored."""
        return rows if self.reach is None else rows[self.reach.places[rows] < self.reach.least]

    def take(self, rows: NDArray[np.int64]) -> ScoreColumn:
        """Give the same column for some of the images, in the order of ``rows``, (m,) int64."""
        arrays = {
            name: values[rows]
            for name in ("logits", "linf", "l2", "steps", "psnr", "ssim", "pilot_votes", "votes")
            if (values := getattr(self, name)) is not None
        }
        reach = None if self.reach is None else self.reach.take(rows)
        return replace(self, **arrays, reach=reach)


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
        A tidy frame with the columns of ``board_columns``, one row a cell, in the order of columns,
        then slices. Undefined is nan (``<NA>`` in the counts). A cell with any image unscored is
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
        logit = _threshold_of(threshold, column.detector)
        for whole in slices:
            cut = column.part(whole)
            head = cell_head(cut, column, seen, dataset)
            sizes = {"n_real": len(cut.real_rows), "n_fake": len(cut.fake_rows)}
            rule = {"threshold": logit, "threshold_policy": policy}
            scored = _score(cut, column, clean.get(column.detector), logit)
            rows.append(head | sizes | rule | scored)
    return framed(rows)


def cell_head(
    cut: Slice, column: CellNames, seen: Mapping[str, SeenBy], dataset: str
) -> dict[str, Any]:
    """Name a cell: the columns of its row that say what it is about."""
    return {
        "detector": column.detector,
        "dataset": dataset,
        "generator": cut.generator,
        "domain": cut.domain,
        "condition": column.condition,
        "seen": seen_state(cut, seen.get(column.detector, _UNKNOWN)),
    }


def framed(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Put rows of cells, each with the columns that it has values for, into a board's frame."""
    return as_rows(pd.DataFrame(rows, columns=list(board_columns()), dtype=object))


def as_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Bring a frame to exactly the board's columns, in order, each with its fixed type.

    Raises:
        ValueError: A column missing.
    """
    names = board_columns()
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ValueError(f"board rows lack the columns {missing}")
    types = dict.fromkeys(names, "float64")
    types |= dict.fromkeys(TEXT_COLUMNS, "object") | dict.fromkeys(
        catalogue.count_columns(), "Int64"
    )
    rows = frame.loc[:, list(names)].astype(types).reset_index(drop=True)
    for name in TEXT_COLUMNS:
        rows[name] = pd.Series([_storable(text) for text in rows[name]], dtype=object)
    return rows


def _storable(text: object) -> str:
    """Text without lone surrogates (undecodable file names): neither UTF-8 nor Arrow hold them."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def cell_state(column: ScoreColumn, rows: NDArray[np.int64]) -> CellState:
    """Judge whether the numbers of one cell may be used: only those of an "ok" cell enter anything.

    Boards, comparisons and gates all ask here, so that what a board withholds is in none of them.

    Args:
        column: Scores of the detector under the condition.
        rows: Positions of the cell's images.
    """
    logits = column.logits[rows]
    n_unscored = int(np.count_nonzero(np.isnan(logits)))
    n_infinite = int(np.count_nonzero(np.isinf(logits)))
    return counted_state(column.status, column.reason, logits.size, n_unscored, n_infinite)


def _score(
    cut: Slice, column: ScoreColumn, clean: ScoreColumn | None, threshold: float
) -> dict[str, Any]:
    rows, labels = cut.rows, cut.labels
    logits = column.logits[rows]
    state = cell_state(column, rows)
    values: dict[str, Any] = state._asdict()
    if state.status != "ok":
        return values
    values |= measure(labels, logits, threshold)
    if column.linf is not None or column.l2 is not None:
        attacked = _attacked(column, rows)
        for name, label in (("attack_success", None), ("evade_success", 1), ("frame_success", 0)):
            chosen = attacked if label is None else attacked & (labels == label)
            values[name] = _attack_success(
                labels[chosen], logits[chosen], clean, rows[chosen], threshold
            )
        values["median_linf"] = _median(column.linf, rows[attacked])
        values["median_l2"] = _median(column.l2, rows[attacked])
        values["median_steps"] = _median(column.steps, rows[attacked])
        values |= median_distance(distances_of(column, cut, threshold))
    if not column.ranked:
        values |= dict.fromkeys(catalogue.logit_columns(), float("nan"))
    if column.only:
        values["median_psnr"] = _median(column.psnr, rows)
        values["median_ssim"] = _median(column.ssim, rows)
        values |= {
            f"{name}{part}": float("nan")
            for name in _UNTOUCHED[column.only]
            for part in ("", "_lo", "_hi")
        }
    return values


def _attacked(column: ScoreColumn, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the rows the attack touched: its goal may leave a class alone."""
    for sizes in (column.linf, column.l2):
        if sizes is not None:
            return ~np.isnan(np.asarray(sizes, dtype=np.float64)[rows])
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
    clean_logits = clean.logits[rows]
    if not np.isfinite(clean_logits).all():
        return float("nan")
    fake = labels == 1
    right = called_fake(clean_logits, threshold) == fake
    flipped = right & (called_fake(logits, threshold) != fake)
    n_right = int(np.count_nonzero(right))
    return int(np.count_nonzero(flipped)) / n_right if n_right else float("nan")


def _median(values: NDArray[Any] | None, rows: NDArray[np.int64]) -> float:
    if values is None:
        return float("nan")
    chosen = np.asarray(values, dtype=np.float64)[rows]
    chosen = chosen[~np.isnan(chosen)]
    middle = float(np.median(chosen)) if chosen.size else float("nan")
    return middle if np.isfinite(middle) else float("nan")


def _threshold_of(threshold: float | Mapping[str, float], detector: str) -> float:
    if not isinstance(threshold, Mapping):
        return float(threshold)
    if detector not in threshold:
        raise ValueError(f"no threshold for detector {detector!r}; given: {sorted(threshold)}")
    return float(threshold[detector])


def _check_column(column: ScoreColumn, n: int) -> None:
    if column.status not in get_args(Status):
        raise ValueError(f"status {column.status!r} is unknown; known: {list(get_args(Status))}")
    for name in ("logits", "linf", "l2", "steps", "psnr", "ssim", "pilot_votes", "votes"):
        values = getattr(column, name)
        if values is not None and np.shape(values) != (n,):
            raise ValueError(
                f"{name} of {column.detector} under {column.condition} has shape "
                f"{np.shape(values)}; the samples need ({n},)"
            )
