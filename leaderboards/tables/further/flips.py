"""Flips: which images change their verdict, under what, and the weakest condition that is enough."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaderboards.statistics.intervals import wilson
from leaderboards.statistics.thresholds import called_fake
from leaderboards.tables.cells import CLEAN, RAW, ScoreColumn, cell_state
from leaderboards.tables.slicing import Slice

HARSHNESS_COLUMNS: Final = (
    "detector", "place", "condition", "attack", "flips", "n", "share", "share_lo", "share_hi", "weakest_for",
)  # fmt: skip
FLIP_COLUMNS: Final = (
    "detector", "image", "label", "generator", "domain", "clean_logit", "clean_verdict", "clean_right",
    "flips", "conditions", "weakest", "weakest_place", "weakest_delivery", "all_flips",
)  # fmt: skip
_VERDICTS: Final = ("real", "fake")


class Flips(NamedTuple):
    """Every verdict that changes.

    Attributes:
        harshness: Columns ``HARSHNESS_COLUMNS``, a row a detector and condition, mildest first: ``share`` of
            the images whose verdict it changes, with Wilson's 95% interval; ``weakest_for`` images it is the
            weakest condition that turns them.
        images: Columns ``FLIP_COLUMNS``, a row a detector and image whose verdict at least one condition
            changes, the most fragile first. ``weakest_delivery`` is the weakest that is no attack; "" where
            none is enough.
    """

    harshness: pd.DataFrame
    images: pd.DataFrame


def flips(
    samples: pd.DataFrame,
    everything: Slice,
    columns: Sequence[ScoreColumn],
    thresholds: Mapping[str, float],
    attacks: Collection[str],
) -> Flips:
    """Hold the verdicts under every condition against those on the clean images, right or wrong.

    The order of harshness is the detector's own: by the share of all images whose verdict a condition
    changes. Equal ones share a place, and stand in the order of the suite. A condition that is not wholly
    scored is in none of it.

    Args:
        samples: One row an image.
        everything: The images that count, each once.
        columns: Score columns of all detectors.
        thresholds: Detector to the logit above which an image is called fake.
        attacks: Conditions that hold an attack.
    """
    tables = [
        _of_detector(samples, everything, detector, own, threshold, attacks=attacks)
        for detector, own in _by_detector(columns, everything).items()
        if not np.isnan(threshold := thresholds.get(detector, float("nan"))) and CLEAN in own
    ]
    return Flips(
        _stacked([table.harshness for table in tables], HARSHNESS_COLUMNS),
        _stacked([table.images for table in tables], FLIP_COLUMNS),
    )


def _stacked(frames: list[pd.DataFrame], names: Sequence[str]) -> pd.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(names))


def _by_detector(
    columns: Sequence[ScoreColumn], everything: Slice
) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Collect the logits of every detector by condition, of those that are wholly scored."""
    by_detector: dict[str, dict[str, NDArray[np.float32]]] = {}
    for column in columns:
        if column.condition != RAW and cell_state(column, everything.rows).status == "ok":
            own = by_detector.setdefault(column.detector, {})
            own[column.condition] = column.logits[everything.rows]
    return by_detector


def _of_detector(
    samples: pd.DataFrame,
    everything: Slice,
    detector: str,
    logits: Mapping[str, NDArray[np.float32]],
    threshold: float,
    *,
    attacks: Collection[str],
) -> Flips:
    clean = called_fake(logits[CLEAN], threshold)
    turned: dict[str, NDArray[np.bool_]] = {
        name: np.not_equal(called_fake(values, threshold), clean)
        for name, values in logits.items()
        if name != CLEAN
    }
    order = sorted(turned, key=lambda name: int(turned[name].sum()))
    if not order:
        return Flips(pd.DataFrame(), pd.DataFrame())
    # (conditions, images), mildest condition first.
    matrix = np.stack([turned[name] for name in order])
    counts = matrix.sum(axis=1)
    places = (1 + np.searchsorted(counts, counts)).tolist()
    changes: NDArray[np.bool_] = np.asarray(matrix.any(axis=0))
    weakest = np.where(changes, matrix.argmax(axis=0), -1)
    harshness = [
        _harshness(
            detector,
            places[row],
            name,
            matrix[row],
            int((weakest == row).sum()),
            attack=name in attacks,
        )
        for row, name in enumerate(order)
    ]
    deliveries = [place for place, name in enumerate(order) if name not in attacks]
    records: list[dict[str, Any]] = []
    for position in np.lexsort((np.arange(clean.size), weakest)).tolist():
        if not changes[position]:
            continue
        row = samples.iloc[int(everything.rows[position])]
        hits = [place for place in range(len(order)) if matrix[place, position]]
        enough = [place for place in hits if place in deliveries]
        label = int(everything.labels[position])
        values = (
            detector, str(row["sample_id"]), _VERDICTS[label], str(row["generator"]), str(row["domain"]),
            float(logits[CLEAN][position]), _VERDICTS[int(clean[position])], bool(clean[position] == label),
            len(hits), len(order), order[hits[0]], places[hits[0]],
            order[enough[0]] if enough else "", "; ".join(order[place] for place in hits),
        )  # fmt: skip
        records.append(dict(zip(FLIP_COLUMNS, values, strict=True)))
    return Flips(pd.DataFrame(harshness), pd.DataFrame(records, columns=list(FLIP_COLUMNS)))


def _harshness(
    detector: str,
    place: int,
    condition: str,
    turned: NDArray[np.bool_],
    weakest_for: int,
    *,
    attack: bool,
) -> dict[str, Any]:
    k, n = int(turned.sum()), turned.size
    lo, hi = wilson(k, n)
    values = (
        detector, place, condition, attack, k, n, k / n if n else float("nan"), lo, hi, weakest_for,
    )  # fmt: skip
    return dict(zip(HARSHNESS_COLUMNS, values, strict=True))
