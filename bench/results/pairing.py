"""Two sets of scores side by side: the same images, the same protocol, cell by cell, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.errors import BenchError, NoBaselineError, NothingSelectedError
from bench.results.baseline import BASELINE_NAME, load_baseline
from bench.results.confounds import duplicate_lines
from bench.results.gating.common import ChangedCells, DetectorPair, changed_cells, restricted
from bench.results.scores import ScoreTable, load_run
from leaderboards import ScoreColumn
from leaderboards.statistics.paired import cluster_codes
from leaderboards.statistics.paired_cells import CellName, PairedCell
from leaderboards.tables.cells import cell_state
from leaderboards.tables.measures.states import CONDEMNED
from leaderboards.tables.notes import Caution, count_by_class
from leaderboards.tables.rounds.order import positions
from leaderboards.tables.slicing import Slice

_MOST_NAMED = 3  # images or conditions that a message names before it says "..."


@dataclass(frozen=True, slots=True, eq=False)
class PairedScores:
    """The cells that both sets of scores have, and those that one of them lacks.

    Attributes:
        cells: Cells scored by both.
        lacking: Name of each other cell, to the reason.
        strata: (n,) codes of images gathered apart, for resampling.
        clusters: (n,) codes of dependent images, of one group or of equal bytes; None where there
            are none.
        notes: What differs and may explain a change.
        new: Name of each cell that the baseline's data do not hold, to the reason.
        gone: Name of each cell that the candidate's data do not hold, to the reason.
        cautions: Why the numbers of either side must not be taken at face value.
        places: (n,) place of every image in the order of scoring, where that was asked for.
    """

    cells: tuple[PairedCell, ...]
    lacking: Mapping[CellName, str]
    strata: NDArray[np.int64]
    clusters: NDArray[np.int64] | None
    notes: tuple[str, ...]
    new: Mapping[CellName, str]
    gone: Mapping[CellName, str]
    cautions: tuple[Caution, ...] = ()
    places: NDArray[np.float64] | None = None


class _ColumnPair(NamedTuple):
    """The scores of two detectors under one condition; the candidate may not have been run under it."""

    detectors: DetectorPair
    condition: str
    baseline: ScoreColumn
    candidate: ScoreColumn | None

    def part(self, piece: Slice) -> Slice:
        """Restrict a slice to the images that both were to be scored on."""
        piece = self.baseline.part(piece)
        return piece if self.candidate is None else self.candidate.part(piece)


def load_scores(path: Path, *, role: str = "run") -> ScoreTable:
    """Read the scores of a run's folder, of a baseline's folder, or of a ``baseline.json``.

    Args:
        path: The folder or file.
        role: ``baseline`` where the scores are to be the bar; a missing one is then told apart.

    Raises:
        NoBaselineError: There is nothing where the baseline should be.
        BenchError: What is there cannot be read.
    """
    is_run = (path / "run.json").is_file()
    if path.is_file():
        return load_baseline(path)
    if (path / BASELINE_NAME).is_file() and not is_run:
        return load_baseline(path / BASELINE_NAME)
    if role == "baseline" and not is_run:
        raise NoBaselineError(
            f"no baseline at {path}: make one with `bench baseline update RUN --to FOLDER --reason ...`"
        )
    return load_run(path).scores


def pair(
    baseline: ScoreTable,
    candidate: ScoreTable,
    detectors: Sequence[DetectorPair] | None = None,
    *,
    whole_cells: bool = False,
) -> PairedScores:
    """Pair cells by detector, slice and condition, and images by sample id.

    Args:
        baseline: The scores that are the bar.
        candidate: The scores to hold against it.
        detectors: Whom to hold against whom; by default the same names, or the one detector that
            each has.
        whole_cells: Keep images in a cell that the candidate has not come to yet, with nan, and say in which
            order images come.

    Raises:
        BenchError: Other images, labels, contents or another protocol: the difference is shown.
        NothingSelectedError: No detector in common.
    """
    _check_protocol(baseline, candidate)
    whole = baseline, candidate
    baseline, candidate, changes = restricted(baseline, _without_unscored(baseline, candidate))
    candidate = _reordered(candidate, baseline)
    pairs = _same_detectors(baseline, candidate) if detectors is None else list(detectors)
    slices = baseline.slices()
    apart = changed_cells(whole, slices, pairs) if changes else ChangedCells({}, {})
    cells: list[PairedCell] = []
    lacking: dict[CellName, str] = {}
    for columns in _column_pairs(baseline, candidate, pairs):
        old, new = columns.detectors
        for whole_piece in slices:
            part = columns.part(whole_piece)
            piece = whole_piece if whole_cells else part
            name = CellName(new, piece.generator, piece.domain, columns.condition)
            # What a candidate has not come to yet is no lack, where images come in rounds.
            reason = _lacking(columns, part.rows, part.rows[:0] if whole_cells else part.rows)
            if columns.candidate is None or reason:
                lacking[name] = reason
                continue
            cells.append(
                PairedCell(
                    name=name,
                    rows=piece.rows,
                    labels=piece.labels,
                    baseline=columns.baseline.logits,
                    candidate=columns.candidate.logits,
                    thresholds=(baseline.thresholds[old], candidate.thresholds[new]),
                    ranked=columns.baseline.ranked and columns.candidate.ranked,
                )
            )
    samples = baseline.samples
    strata = pd.factorize(samples["label"].astype(str) + "\0" + samples["generator"])[0]
    clusters = cluster_codes(list(samples["group"]), list(samples["sha256"]))
    return PairedScores(
        tuple(cells), lacking, strata, clusters, (*changes, *_notes(baseline, candidate, pairs)),
        apart.new, apart.gone,
        tuple(dict.fromkeys([*baseline.cautions, *candidate.cautions])),
        _places(candidate) if whole_cells else None,
    )  # fmt: skip


def _places(candidate: ScoreTable) -> NDArray[np.float64]:
    """Place every image in the order in which the candidate was scored, or would have been."""
    for column in candidate.columns:
        if column.reach is not None:
            return column.reach.places
    return positions(candidate.samples, int(candidate.context.get("seed", 0)))


def _without_unscored(baseline: ScoreTable, candidate: ScoreTable) -> ScoreTable:
    """Leave out images that a stopped candidate never came to, and that the baseline could not read."""
    if all(column.reach is None for column in candidate.columns):
        return candidate
    known = candidate.samples["sample_id"].isin(baseline.samples["sample_id"]).to_numpy()
    scored = np.logical_or.reduce([~np.isnan(column.logits) for column in candidate.columns])
    rows = np.flatnonzero(known | scored)
    return replace(
        candidate,
        samples=candidate.samples.iloc[rows].reset_index(drop=True),
        columns=tuple(column.take(rows) for column in candidate.columns),
    )


def data_notes(*tables: ScoreTable) -> Iterator[str]:
    """Say what the images behind some scores lack, and which of them are the same."""
    lacking = (count_by_class(scores.left_out) for scores in tables)
    yield from dict.fromkeys(
        f"left out for every detector alike: {kinds}" for kinds in lacking if kinds
    )
    yield from dict.fromkeys(line for table in tables for line in duplicate_lines(table.repeats))


def undefined_notes(cells: Sequence[PairedCell], metric: str) -> list[str]:
    """Say under which conditions a metric is left out, because logits there say no more than verdicts."""
    conditions = dict.fromkeys(
        CellName(*cell.name).condition for cell in cells if not cell.allows(metric)
    )
    return [
        f"{metric} under {condition} is undefined, as on the board: the attack stops at success"
        for condition in conditions
    ]


def _column_pairs(
    baseline: ScoreTable, candidate: ScoreTable, pairs: Sequence[DetectorPair]
) -> Iterator[_ColumnPair]:
    """Pair columns under every condition of the baseline; what neither can be attacked under is left out."""
    candidates = {(column.detector, column.condition): column for column in candidate.columns}
    for detectors in pairs:
        for column in baseline.columns:
            if column.detector != detectors.baseline:
                continue
            other = candidates.get((detectors.candidate, column.condition))
            # Nothing to lose where neither ever had a usable gradient.
            if not (_not_attackable(column) and _not_attackable(other)):
                yield _ColumnPair(detectors, column.condition, column, other)


def _not_attackable(column: ScoreColumn | None) -> bool:
    return column is not None and column.status == "not attackable"


def _lacking(
    columns: _ColumnPair, of_baseline: NDArray[np.int64], of_candidate: NDArray[np.int64]
) -> str:
    """Say which side has no scores for its rows, and why; empty where both have them all."""
    reasons = {
        "baseline": _unscored(columns.baseline, of_baseline),
        "candidate": _unscored(columns.candidate, of_candidate),
    }
    return "; ".join(f"{side}: {reason}" for side, reason in reasons.items() if reason)


def _unscored(column: ScoreColumn | None, rows: NDArray[np.int64]) -> str:
    if column is None:
        return "not run"
    status, reason = cell_state(column, rows)
    return f"{status}: {reason}" if status in CONDEMNED and reason != status else reason


def _check_protocol(baseline: ScoreTable, candidate: ScoreTable) -> None:
    # The pairing is held against each other generator by generator, since a set may grow.
    for key in sorted({*baseline.protocol, *candidate.protocol} - {"pairing"}):
        before, after = baseline.protocol.get(key), candidate.protocol.get(key)
        if before != after:
            raise BenchError(
                f"another protocol, {key}: {_difference(before, after)} in {baseline.name}, "
                f"{_difference(after, before)} in {candidate.name}; numbers of unlike protocols are not "
                "compared: run the same suite on the same data, or move the baseline"
            )


def _difference(value: Any, other: Any) -> str:
    """Name what ``value`` has that ``other`` lacks, where both are lists; else the whole value."""
    if isinstance(value, list) and isinstance(other, list):
        extra = [str(item) for item in value if item not in other]
        return ", ".join(extra[:_MOST_NAMED]) or "nothing more"
    return repr(value)


def _reordered(candidate: ScoreTable, baseline: ScoreTable) -> ScoreTable:
    """Put the candidate into the baseline's order of images, once it is sure that they are the same.

    Raises:
        BenchError: An image that only one has, or that has another label, generator or content.
    """
    before = baseline.samples.set_index("sample_id")
    after = candidate.samples.set_index("sample_id")
    gone, added = before.index.difference(after.index), after.index.difference(before.index)
    if len(gone) or len(added):
        raise BenchError(
            f"other images: {_count('only in ' + baseline.name, gone)}; "
            f"{_count('only in ' + candidate.name, added)}; score the same images, or move the baseline"
        )
    order = after.index.get_indexer(before.index)
    after = after.iloc[order]
    for column, noun in (("label", "label"), ("generator", "generator"), ("sha256", "content")):
        if column in before.columns and column in after.columns:
            _check_equal(before[column], after[column], noun, baseline.name)
    columns = tuple(column.take(order) for column in candidate.columns)
    return replace(candidate, samples=after.reset_index(), columns=columns)


def _check_equal(before: pd.Series, after: pd.Series, noun: str, baseline: str) -> None:
    """Refuse images whose facts differ; an empty value is unknown and differs from nothing."""
    differs = (before != after) & (before != "") & (after != "")
    if differs.any():
        first = str(before.index[differs.to_numpy()][0])
        raise BenchError(
            f"{int(differs.sum())} images have another {noun} than in {baseline}, first {first!r}: "
            f"{before[first]!r} then, {after[first]!r} now"
        )


def _count(title: str, names: pd.Index) -> str:
    """Count images and name the first few of them."""
    if names.empty:
        return f"0 {title}"
    first = ", ".join(repr(str(name)) for name in names[:_MOST_NAMED])
    return f"{len(names)} {title} ({first}{', ...' if len(names) > _MOST_NAMED else ''})"


def _same_detectors(baseline: ScoreTable, candidate: ScoreTable) -> list[DetectorPair]:
    common = [name for name in baseline.detectors if name in candidate.detectors]
    if not common and len(baseline.detectors) == len(candidate.detectors) == 1:
        return [DetectorPair(baseline.detectors[0], candidate.detectors[0])]
    if not common:
        raise NothingSelectedError(
            f"no detector in common: {', '.join(baseline.detectors)} in {baseline.name}, "
            f"{', '.join(candidate.detectors)} in {candidate.name}"
        )
    # A detector that was dropped is a hole in the gate, not a pass.
    return [DetectorPair(name, name) for name in baseline.detectors]


def _notes(
    baseline: ScoreTable, candidate: ScoreTable, pairs: Sequence[DetectorPair]
) -> Iterator[str]:
    changed = [
        f"{key}: {value} then, {candidate.context.get(key)} now"
        for key, value in baseline.context.items()
        if candidate.context.get(key) != value
    ]
    renamed = [
        f"{names.candidate} is held against {names.baseline}"
        for names in pairs
        if names.candidate != names.baseline
    ]
    gated = {names.candidate for names in pairs}
    left_out = [f"not gated, no baseline: {d}" for d in candidate.detectors if d not in gated]
    yield from (*changed, *renamed, *left_out)
