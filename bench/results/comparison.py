"""``bench compare``: detectors of several runs, paired image by image, with corrected p values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import BenchError, NothingSelectedError, nearest
from bench.results.gating.common import DetectorPair
from bench.results.pairing import (
    data_notes,
    load_scores,
    pair,
    undefined_notes,
)
from bench.results.scores import ScoreTable
from leaderboards import SeenBy
from leaderboards.statistics.catalogue import paired_metrics
from leaderboards.statistics.paired_cells import (
    MACRO,
    CellMean,
    CellName,
    PairedCell,
    Tested,
    paired_tests,
)
from leaderboards.statistics.significance import benjamini_hochberg, holm
from leaderboards.tables.means import basis_slices
from leaderboards.tables.notes import Caution


@dataclass(frozen=True, slots=True)
class Contrast:
    """One paired difference: a detector against the reference, in one cell or over all.

    Attributes:
        reference: The detector it is held against.
        test: The difference, other minus reference.
        holm: Adjusted so that the chance of any false claim in the table is 5%.
        bh: Adjusted so that at most 5% of the claims are false, on average.
    """

    reference: str
    test: Tested
    holm: float
    bh: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A table of contrasts.

    Attributes:
        dataset: The data set's name.
        policy: How thresholds came about.
        metric: What is compared.
        contrasts: Rows, cells first, then the board's mean under each condition, detector by detector.
        lacking: Cells that one side lacks, with the reason.
        notes: What a reader should know.
        cautions: Why numbers of any of the runs must not be taken at face value.
    """

    dataset: str
    policy: str
    metric: str
    contrasts: tuple[Contrast, ...]
    lacking: tuple[tuple[CellName, str], ...]
    notes: tuple[str, ...]
    cautions: tuple[Caution, ...] = ()


def compare(paths: Sequence[Path], metric: str = "auc") -> Comparison:
    """Hold every detector of the runs against the first one.

    Args:
        paths: Run folders or baselines; one with several detectors is enough.
        metric: One of ``leaderboards.statistics.catalogue.paired_metrics``.

    Raises:
        BenchError: Runs that cannot be compared, or an unknown metric.
        NothingSelectedError: Fewer than two detectors.
    """
    if metric not in paired_metrics():
        raise BenchError(f"--metric {metric}: {nearest(metric, paired_metrics())}")
    runs = [load_scores(path) for path in paths]
    entries = [(run, name) for run in runs for name in run.detectors]
    if len(entries) < 2:
        raise NothingSelectedError(
            "there is one detector only: give a second run to compare it with"
        )
    (reference_run, reference), others = entries[0], entries[1:]
    labels = _labels(entries)
    tests: list[Tested] = []
    lacking: list[tuple[CellName, str]] = []
    notes: list[str] = []
    for (run, name), label in zip(others, labels[1:], strict=True):
        paired = pair(reference_run, run, [DetectorPair(reference, name)])
        cells = [cell for cell in paired.cells if cell.allows(metric)]
        averages = (_averaged(reference_run, reference), _averaged(run, name))
        averaged = averages[0] & averages[1]
        means = _means(cells, averaged)
        of_detector = paired_tests(cells, metric, paired.strata, paired.clusters, means=means)
        tests += [replace(test, name=(label, *test.name[1:])) for test in of_detector]
        lacking += [
            (cell._replace(detector=label), reason)
            for cells_apart in (paired.lacking, paired.gone, paired.new)
            for cell, reason in cells_apart.items()
        ]
        notes += [
            f"{label}: {note}"
            for note in (*paired.notes, *undefined_notes(paired.cells, metric))
            if not note.startswith("not gated") and " is held against " not in note
        ]
        if averages[0] != averages[1]:
            notes.append(
                f"{label}: means are over {len(averaged)} slices, those that the board averages for both "
                f"it and {labels[0]}"
            )
    p = [test.p for test in tests]
    contrasts = tuple(
        Contrast(labels[0], test, float(a), float(b))
        for test, a, b in zip(tests, holm(p), benjamini_hochberg(p), strict=True)
    )
    notes += [
        f"{run.name} is a limited run ({run.limit} images): good for a trial, not for a comparison"
        for run in runs
        if run.limit is not None
    ]
    notes += data_notes(*runs)
    policy = str(reference_run.protocol["threshold"])
    return Comparison(
        reference_run.dataset,
        policy,
        metric,
        contrasts,
        tuple(lacking),
        tuple(dict.fromkeys(notes)),
        tuple(dict.fromkeys(caution for run in runs for caution in run.cautions)),
    )


def _labels(entries: Sequence[tuple[ScoreTable, str]]) -> list[str]:
    """Detector names, with the run's folder where two runs use the same one."""
    names = [name for _, name in entries]
    return [name if names.count(name) == 1 else f"{name} ({run.name})" for run, name in entries]


def _averaged(scores: ScoreTable, detector: str) -> frozenset[tuple[str, str]]:
    """Name the slices that the board averages for a detector."""
    training = scores.training.get(detector, SeenBy(known=False))
    return basis_slices(scores.slices(), training)


def _means(cells: Sequence[PairedCell], averaged: frozenset[tuple[str, str]]) -> list[CellMean]:
    """Take the board's mean under each condition; none where a slice of it has no result."""
    members: dict[str, list[int]] = {}
    for position, cell in enumerate(cells):
        name = CellName(*cell.name)
        if (name.generator, name.domain) in averaged:
            members.setdefault(name.condition, []).append(position)
    return [
        CellMean(
            CellName(CellName(*cells[0].name).detector, MACRO, "", condition), tuple(positions)
        )
        for condition, positions in members.items()
        if len(positions) == len(averaged)
    ]
