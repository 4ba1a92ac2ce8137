"""The two classes told apart: do changed fakes still show, are changed reals accused; and the worst case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaderboards.tables.cells import CLEAN, RAW, ScoreColumn, cell_rows
from leaderboards.tables.seen import SeenBy
from leaderboards.tables.slicing import Slice

CLASS_COLUMNS: Final = (
    "detector", "condition", "only", "status", "n_real", "n_fake",
    "fakes_found", "fakes_found_lo", "fakes_found_hi",
    "reals_accused", "reals_accused_lo", "reals_accused_hi", "median_psnr", "median_ssim",
)  # fmt: skip
LABELS: Final = {"reals": 0, "fakes": 1}


def by_class(
    samples: pd.DataFrame,
    everything: Slice,
    columns: Sequence[ScoreColumn],
    seen: Mapping[str, SeenBy],
    thresholds: Mapping[str, float],
) -> pd.DataFrame:
    """Measure each class alone under every condition without an attack, every image counted once.

    Args:
        samples: One row an image.
        everything: The images that count.
        columns: Score columns.
        seen: Detector to its training data.
        thresholds: Detector to the logit above which an image is called fake.

    Returns:
        Columns ``CLASS_COLUMNS``, a row a detector and condition: the share of fakes and of reals that are
        called fake with Wilson's 95% intervals, nan for the class that the condition leaves alone, and the
        medians of PSNR and SSIM. Empty where nothing but ``clean`` is there.
    """
    attacks = {column.condition for column in columns if column.linf is not None}
    chosen = [c for c in columns if c.condition not in attacks and c.detector in thresholds]
    if all(column.condition in (CLEAN, RAW) for column in chosen):
        return pd.DataFrame(columns=list(CLASS_COLUMNS))
    rows = cell_rows(samples, [everything], chosen, seen, "pooled", threshold=thresholds)
    return class_table(rows, [column.only for column in chosen])


def class_table(rows: pd.DataFrame, only: Sequence[str]) -> pd.DataFrame:
    """Lay out pooled cells by class, given the one class that the condition of each changes, or ""."""
    table = rows[
        ["detector", "condition", "status", "n_real", "n_fake", "median_psnr", "median_ssim"]
    ].copy()
    table["only"] = list(only)
    for end in ("", "_lo", "_hi"):
        table[f"fakes_found{end}"] = rows[f"fake_recall{end}"]
    for end, opposite in (("", ""), ("_lo", "_hi"), ("_hi", "_lo")):
        table[f"reals_accused{end}"] = 1 - rows[f"real_recall{opposite}"]
    return table[list(CLASS_COLUMNS)]


def ensemble_name(only: str) -> str:
    """Name the worst case over the conditions of a class: ``ensemble(fakes)``."""
    return f"ensemble({only})"


def ensembles(
    columns: Sequence[ScoreColumn], labels: NDArray[np.int64], only: str
) -> list[ScoreColumn]:
    """Make the worst case of every detector: each image under the condition that harms it most.

    The adversary asks no detector; which of his pictures is worst is known here alone, so this bounds
    what any choice among them could reach.

    Args:
        columns: Score columns, ``clean`` among them.
        labels: (n,) 1 = AI-generated.
        only: "fakes": the lowest logit counts; "reals": the highest.

    Returns:
        One column a detector that has two such conditions or more; the images of the other class keep
        their ``clean`` scores. Where a member has no result, there is none.
    """
    worst = []
    for detector in dict.fromkeys(column.detector for column in columns):
        own = [column for column in columns if column.detector == detector]
        clean = next((column for column in own if column.condition == CLEAN), None)
        members = [column for column in own if column.only == only]
        if clean is not None and len(members) > 1:
            worst.append(_worst(clean, members, labels == LABELS[only], only))
    return worst


def _worst(
    clean: ScoreColumn, members: Sequence[ScoreColumn], named: NDArray[np.bool_], only: str
) -> ScoreColumn:
    lacking = [each for each in (clean, *members) if each.status != "ok"]
    if lacking:
        return ScoreColumn(
            detector=clean.detector,
            condition=ensemble_name(only),
            logits=np.full_like(clean.logits, np.nan),
            status="failed",
            reason=f"{len(lacking)} of its members have no result, first {lacking[0].condition}",
            only=only,
        )
    logits = np.stack([each.logits for each in members])
    harm = -logits if only == "fakes" else logits
    chosen = np.argmax(np.where(np.isnan(harm), -np.inf, harm), axis=0)
    at = (chosen, np.arange(named.size))
    return ScoreColumn(
        detector=clean.detector,
        condition=ensemble_name(only),
        logits=np.where(named, logits[at], clean.logits),
        only=only,
        psnr=_of_chosen([each.psnr for each in members], at),
        ssim=_of_chosen([each.ssim for each in members], at),
    )


def _of_chosen(
    values: Sequence[NDArray[np.float32] | None],
    at: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> NDArray[np.float32] | None:
    known = [each for each in values if each is not None]
    return np.stack(known)[at] if len(known) == len(values) else None
