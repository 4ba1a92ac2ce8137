"""Detectors over time: by the generators' release dates, and by days since an image was first posted.

The windows and the next-period AUC follow AI-GenBench (Pellegrini et al. 2025): generators in the order
of their release, four a window; a detector that saw generators up to one window is asked about the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from leaderboards.tables.cells import CLEAN, ScoreColumn, cell_rows
from leaderboards.tables.generator_names import is_among
from leaderboards.tables.seen import SeenBy
from leaderboards.tables.slicing import FREE, Slice, pool_of

WINDOW: Final = 4  # generators a window
_RELEASE: Final = ("release_date", "released")
_DAYS: Final = ("days_since_first_post", "days_since_1st_post")
# Columns of the samples from which there is a table over time.
TIME_COLUMNS: Final = frozenset(FREE + name for name in (*_RELEASE, *_DAYS))
_EDGES: Final = (0, 1, 8, 31, 91, 366)  # first day of each bin; the last is open
PERIOD_COLUMNS: Final = (
    "detector", "axis", "period", "generators", "next", "seen", "n_real", "n_fake", "auc", "auc_lo", "auc_hi",
    "accuracy",
)  # fmt: skip


def over_time(
    samples: pd.DataFrame,
    pairing: Mapping[str, Sequence[str]],
    columns: Sequence[ScoreColumn],
    seen: Mapping[str, SeenBy],
    thresholds: Mapping[str, float],
) -> pd.DataFrame:
    """Measure clean detection in each period, where the data set tells of time.

    Args:
        samples: One row an image; times are in its free columns.
        pairing: Generator to the real sources its fakes are compared with.
        columns: Scores; those of other conditions than clean are passed over.
        seen: Detector to its training data.
        thresholds: Detector to its threshold.

    Returns:
        Columns ``PERIOD_COLUMNS``, a row a detector and period, in time; empty where nothing tells of
        time. ``next`` marks the window after the last one of which the detector saw a generator: its AUC
        is the next-period AUC. A detector that saw none of these, or of which nobody knows, has none.
    """
    clean = [c for c in columns if c.condition == CLEAN and c.detector in thresholds]
    tables: list[pd.DataFrame] = []

    def measure(axis: str, cuts: Mapping[str, Slice]) -> pd.DataFrame:
        rows = [
            cell_rows(samples, [cut], clean, seen, "", threshold=thresholds).assign(period=name)
            for name, cut in cuts.items()
        ]
        return pd.concat(rows).assign(axis=axis, generators="", next=False)

    releases = generator_dates(samples)
    if releases and clean:
        windows = {
            _span(n, w, releases): w for n, w in enumerate(release_windows(releases), start=1)
        }
        cuts = {
            name: pool_of(samples, pairing, generators=window) for name, window in windows.items()
        }
        rows = measure("release date", cuts)
        rows["generators"] = [", ".join(windows[name]) for name in rows["period"]]
        following = {c.detector: _next(windows, seen.get(c.detector)) for c in clean}
        rows["next"] = rows["period"] == rows["detector"].map(following)
        tables.append(rows)
    if (bins := _day_bins(samples, pairing)) and clean:
        tables.append(measure("days since first post", bins))
    table = pd.concat(tables) if tables else pd.DataFrame(columns=list(PERIOD_COLUMNS))
    return table.reindex(columns=list(PERIOD_COLUMNS)).reset_index(drop=True)


def generator_dates(samples: pd.DataFrame) -> dict[str, pd.Timestamp]:
    """Read the release date of each generator: the earliest that its fakes bear.

    Returns:
        Empty where fewer than two generators have one.
    """
    column = next((FREE + name for name in _RELEASE if FREE + name in samples.columns), None)
    if column is None:
        return {}
    fakes = samples[samples["label"] == 1]
    dates = pd.to_datetime(
        fakes[column].where(fakes[column] != ""), errors="coerce", format="mixed", utc=True
    )
    earliest = dates.groupby(fakes["generator"]).min().dropna()
    by_name = {str(name): date for name, date in earliest.items()}
    return by_name if len(by_name) > 1 else {}


def release_windows(releases: Mapping[str, pd.Timestamp], size: int = WINDOW) -> list[list[str]]:
    """Cut generators into windows in the order of their release, then of their names.

    Example:
        >>> dates = {"b": pd.Timestamp("2023"), "a": pd.Timestamp("2024"), "c": pd.Timestamp("2022")}
        >>> release_windows(dates, size=2)
        [['c', 'b'], ['a']]
    """
    names = sorted(releases, key=lambda name: (releases[name], name))
    return [names[i : i + size] for i in range(0, len(names), size)]


def _span(number: int, window: Sequence[str], releases: Mapping[str, pd.Timestamp]) -> str:
    """Name a window: several may begin and end on the same days."""
    first, last = (f"{releases[name]:%Y-%m-%d}" for name in (window[0], window[-1]))
    return f"{number}: {first}" if first == last else f"{number}: {first} to {last}"


def _next(windows: Mapping[str, Sequence[str]], seen: SeenBy | None) -> str:
    """Name the window after the last one that a detector saw a generator of; "" for none."""
    if seen is None or not seen.known:
        return ""
    names = list(windows)
    of_seen = [any(is_among(n, seen.generators) for n in windows[name]) for name in names]
    last = max((i for i, was_seen in enumerate(of_seen) if was_seen), default=len(names))
    return names[last + 1] if last + 1 < len(names) else ""


def _day_bins(samples: pd.DataFrame, pairing: Mapping[str, Sequence[str]]) -> dict[str, Slice]:
    """Cut images by days since they were first posted; those without a number are in no bin."""
    column = next((FREE + name for name in _DAYS if FREE + name in samples.columns), None)
    if column is None:
        return {}
    days = pd.to_numeric(samples[column], errors="coerce").to_numpy(dtype=np.float64)
    bins: dict[str, Slice] = {}
    for start, end in zip(_EDGES, [*_EDGES[1:], np.inf], strict=True):
        chosen = (days >= start) & (days < end)
        last = f"{int(end) - 1}" if np.isfinite(end) else ""
        name = (
            f"{start}"
            if last == f"{start}"
            else f"{start} to {last}"
            if last
            else f"{start} and more"
        )
        if chosen.any():
            bins[name] = pool_of(samples, pairing, rows=chosen)
    return bins
