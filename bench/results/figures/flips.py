"""The verdicts of a run that change, from its stored scores alone."""

from __future__ import annotations

from pathlib import Path

from bench.errors import BenchError, nearest
from bench.results.figures.drawing import load_evidence
from leaderboards.plots.evidence import Evidence
from leaderboards.tables.further.flips import Flips, flips


def flips_of(folder: Path, detector: str | None = None) -> Flips:
    """Read a run and find every image whose verdict a condition changes.

    Args:
        folder: The run's folder.
        detector: One of its detectors; None for all.

    Raises:
        BenchError: The folder is no run, has no such detector, or no condition beside clean is wholly scored.
    """
    evidence = load_evidence(folder).evidence
    if detector is not None and detector not in evidence.detectors:
        raise BenchError(
            f"no detector {detector!r} in {folder}: {nearest(detector, evidence.detectors)}"
        )
    made = flips_in(evidence, detector)
    if made.harshness.empty:
        raise BenchError(
            f"{folder} has no flips to show: no condition beside clean is wholly scored; run a suite with "
            "conditions, such as corruptions or laundering"
        )
    return made


def flips_in(evidence: Evidence, detector: str | None = None) -> Flips:
    """Find every image whose verdict a condition changes, of one detector or of all."""
    columns = [c for c in evidence.columns if detector in (None, c.detector)]
    attacks = evidence.notes.attacks
    return flips(evidence.samples, evidence.pooled(), columns, evidence.thresholds, attacks)
