"""Two sets of scores on data of which one has grown or shrunk: the images that both hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.results.scores import ScoreTable
from leaderboards.common_set import OtherPairingError, common_set
from leaderboards.statistics.paired_cells import CellName
from leaderboards.tables.slicing import Slice


class DetectorPair(NamedTuple):
    """Names of the two detectors that are held against each other."""

    baseline: str
    candidate: str


class Restricted(NamedTuple):
    """Two sets of scores on the images of kinds that both hold, and what only one of them holds, in words."""

    baseline: ScoreTable
    candidate: ScoreTable
    changes: tuple[str, ...]


def restricted(baseline: ScoreTable, candidate: ScoreTable) -> Restricted:
    """Leave out whole generators and domains that only one side has.

    Raises:
        BenchError: A generator is compared with other reals, or nothing is in common.
    """
    try:
        common = common_set(
            baseline.samples, candidate.samples, (baseline.pairing, candidate.pairing)
        )
    except OtherPairingError as error:
        raise BenchError(
            f"another protocol, pairing: {error}; numbers of unlike protocols are not compared: run the "
            "same suite on the same data, or move the baseline"
        ) from error
    # That nothing is in common, or that one image is called two things, is said image by image.
    if common.whole or not common.pairing or _renamed(baseline, candidate):
        return Restricted(baseline, candidate, ())
    sides = {"new": common.new, "gone": common.gone}
    changes = tuple(
        f"{word}, and not judged: " + ", ".join(f"{kind} {count}" for kind, count in kinds.items())
        for word, kinds in sides.items()
        if kinds
    )
    return Restricted(
        _rows_of(baseline, common.before, common.pairing),
        _rows_of(candidate, common.after, common.pairing),
        changes,
    )


def _renamed(baseline: ScoreTable, candidate: ScoreTable) -> bool:
    """Tell whether an image of both sides has another label, generator or domain."""
    before, after = (table.samples.set_index("sample_id") for table in (baseline, candidate))
    both = before.index.intersection(after.index)
    names = ["label", "generator", "domain"]
    return not before.loc[both, names].equals(after.loc[both, names])


def _rows_of(
    scores: ScoreTable, rows: NDArray[np.int64], pairing: Mapping[str, tuple[str, ...]]
) -> ScoreTable:
    columns = tuple(column.take(rows) for column in scores.columns)
    samples = scores.samples.iloc[rows].reset_index(drop=True)
    return replace(scores, samples=samples, columns=columns, pairing=pairing)


class ChangedCells(NamedTuple):
    """Cells of the baseline alone and of the candidate alone, each to the reason."""

    gone: Mapping[CellName, str]
    new: Mapping[CellName, str]


def changed_cells(
    whole: tuple[ScoreTable, ScoreTable], common: Sequence[Slice], pairs: Sequence[DetectorPair]
) -> ChangedCells:
    """Name the cells that only one of two sets of scores holds.

    Args:
        whole: Baseline and candidate with all their images.
        common: Slices of the images that both hold.
        pairs: Whom to hold against whom.
    """
    judged = {(piece.generator, piece.domain) for piece in common}

    def of(scores: ScoreTable, side: int, reason: str) -> dict[CellName, str]:
        conditions = [(column.detector, column.condition) for column in scores.columns]
        pieces = [(piece.generator, piece.domain) for piece in scores.slices()]
        return {
            CellName(names.candidate, *piece, condition): reason
            for names in pairs
            for detector, condition in conditions
            if detector == names[side]
            for piece in pieces
            if piece not in judged
        }

    return ChangedCells(
        of(whole[0], 0, "gone: the candidate's data do not hold it"),
        of(whole[1], 1, "new: the baseline's data do not hold it"),
    )
