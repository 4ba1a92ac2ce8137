"""Two sets of scores side by side: the same images, the same protocol, cell by cell, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.errors import BenchError, NoBaselineError, NothingSelectedError
from bench.results.baseline import BASELINE_NAME, load_baseline
from bench.results.scores import Scored, load_run
from leaderboards import ScoreColumn
from leaderboards.statistics.paired import cluster_codes
from leaderboards.statistics.paired_cells import PairedCell

_SHOWN = 3


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """Cells that both have scored, and those that one of them lacks.

    Attributes:
        cells: Scored by both.
        lacking: Name of each cell that is not, to the reason.
        strata: (n,) codes of images gathered apart, for resampling.
        clusters: (n,) codes of dependent images; None where the data name none.
        notes: What differs and may explain a change.
    """

    cells: tuple[PairedCell, ...]
    lacking: Mapping[tuple[str, str, str, str], str]
    strata: NDArray[np.int64]
    clusters: NDArray[np.int64] | None
    notes: tuple[str, ...]


def load_scores(path: Path, *, role: str = "run") -> Scored:
    """The scores of a run's folder, of a baseline's folder, or of a ``baseline.json``.

    Raises:
        NoBaselineError: There is nothing where the baseline should be.
        BenchError: What is there cannot be read.
    """
    if path.is_dir() and (path / BASELINE_NAME).is_file() and not (path / "run.json").exists():
        path = path / BASELINE_NAME
    if path.is_file():
        return load_baseline(path)
    if role == "baseline" and not (path / "run.json").is_file():
        raise NoBaselineError(
            f"no baseline at {path}: make one with `bench baseline update RUN --to FOLDER --reason ...`"
        )
    return load_run(path)[1]


def pair(
    baseline: Scored, candidate: Scored, detectors: Sequence[tuple[str, str]] | None = None
) -> Paired:
    """Pair cells by detector, slice and condition, and images by sample id.

    Args:
        baseline: What was.
        candidate: What is.
        detectors: (baseline's, candidate's) names to hold against each other; by default the same
            names, or the one detector each has.

    Raises:
        BenchError: Other images, labels, contents or another protocol: the difference is shown.
        NothingSelectedError: No detector in common.
    """
    _same_protocol(baseline, candidate)
    candidate = _aligned(baseline, candidate)
    pairs = _detectors(baseline, candidate) if detectors is None else list(detectors)
    then = {(c.detector, c.condition): c for c in baseline.columns}
    now = {(c.detector, c.condition): c for c in candidate.columns}
    cells: list[PairedCell] = []
    lacking: dict[tuple[str, str, str, str], str] = {}
    cuts = baseline.slices()
    for old, new in pairs:
        for condition in dict.fromkeys(c.condition for c in baseline.columns if c.detector == old):
            if _never_attackable(then.get((old, condition)), now.get((new, condition))):
                continue
            for cut in cuts:
                name = (new, cut.generator, cut.domain, condition)
                reasons = [
                    f"{side}: {why}"
                    for side, column in (
                        ("baseline", then.get((old, condition))),
                        ("candidate", now.get((new, condition))),
                    )
                    if (why := _unscored(column, cut.rows))
                ]
                if reasons:
                    lacking[name] = "; ".join(reasons)
                    continue
                cells.append(
                    PairedCell(
                        name, cut.rows, cut.labels,
                        then[old, condition].logits, now[new, condition].logits,
                        (baseline.thresholds[old], candidate.thresholds[new]),
                    )
                )  # fmt: skip
    samples = baseline.samples
    strata = pd.factorize(samples["label"].astype(str) + "\0" + samples["generator"])[0]
    clusters = cluster_codes(list(samples["group"]))
    return Paired(tuple(cells), lacking, strata, clusters, _notes(baseline, candidate, pairs))


def _never_attackable(*columns: ScoreColumn | None) -> bool:
    """Nothing to lose: neither ever had a usable gradient."""
    return all(column is not None and column.status == "not attackable" for column in columns)


def _unscored(column: ScoreColumn | None, rows: NDArray[np.int64]) -> str:
    if column is None:
        return "not run"
    if column.status in ("failed", "not attackable"):
        return f"{column.status}: {column.reason}"
    missing = int(np.count_nonzero(~np.isfinite(column.logits[rows])))
    return f"{missing} of {rows.size} images are unscored" if missing else ""


def _same_protocol(baseline: Scored, candidate: Scored) -> None:
    keys = sorted({*baseline.protocol, *candidate.protocol})
    for key in keys:
        then, now = baseline.protocol.get(key), candidate.protocol.get(key)
        if then != now:
            raise BenchError(
                f"another protocol, {key}: {_told(then, now)} in {baseline.name}, "
                f"{_told(now, then)} in {candidate.name}; numbers of unlike protocols are not compared: "
                "run the same suite on the same data, or move the baseline"
            )


def _told(value: Any, other: Any) -> str:
    """What ``value`` has that ``other`` lacks, where both are lists; else the value."""
    if isinstance(value, list) and isinstance(other, list):
        extra = [str(item) for item in value if item not in other]
        return ", ".join(extra[:_SHOWN]) or "nothing more"
    return repr(value)


def _aligned(baseline: Scored, candidate: Scored) -> Scored:
    """The candidate in the baseline's order of images."""
    then, now = (s.samples.set_index("sample_id") for s in (baseline, candidate))
    gone, new = then.index.difference(now.index), now.index.difference(then.index)
    if len(gone) or len(new):
        raise BenchError(
            f"other images: {_some('only in ' + baseline.name, gone)}; "
            f"{_some('only in ' + candidate.name, new)}; score the same images, or move the baseline"
        )
    now = now.loc[then.index]
    for column, what in (("label", "label"), ("generator", "generator"), ("sha256", "content")):
        if column not in now.columns or column not in then.columns:
            continue
        told = (then[column] != now[column]) & (then[column] != "") & (now[column] != "")
        if told.any():
            first = str(then.index[told.to_numpy()][0])
            raise BenchError(
                f"{int(told.sum())} images have another {what} than in {baseline.name}, first {first!r}: "
                f"{then.loc[first, column]!r} then, {now.loc[first, column]!r} now"
            )
    order = (
        candidate.samples.reset_index().set_index("sample_id").loc[then.index, "index"].to_numpy()
    )
    columns = tuple(replace(column, logits=column.logits[order]) for column in candidate.columns)
    return replace(candidate, samples=now.reset_index(), columns=columns)


def _some(title: str, names: pd.Index) -> str:
    shown = ", ".join(repr(str(name)) for name in names[:_SHOWN])
    return f"{len(names)} {title}" + (
        f" ({shown}{', ...' if len(names) > _SHOWN else ''})" if shown else ""
    )


def _detectors(baseline: Scored, candidate: Scored) -> list[tuple[str, str]]:
    common = [name for name in baseline.detectors if name in candidate.detectors]
    if not common and len(baseline.detectors) == len(candidate.detectors) == 1:
        return [(baseline.detectors[0], candidate.detectors[0])]
    if not common:
        raise NothingSelectedError(
            f"no detector in common: {', '.join(baseline.detectors)} in {baseline.name}, "
            f"{', '.join(candidate.detectors)} in {candidate.name}"
        )
    # A detector that was dropped is a hole in the gate, not a pass.
    return [(name, name) for name in baseline.detectors]


def _notes(
    baseline: Scored, candidate: Scored, pairs: Sequence[tuple[str, str]]
) -> tuple[str, ...]:
    notes = [
        f"{key}: {then} then, {candidate.context.get(key)} now"
        for key, then in baseline.context.items()
        if candidate.context.get(key) != then
    ]
    notes += [f"{new} is held against {old}" for old, new in pairs if old != new]
    known = {new for _, new in pairs}
    notes += [f"not gated, no baseline: {d}" for d in candidate.detectors if d not in known]
    return tuple(notes)
