"""A file of scores beside the images it is about, each row held against them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from bench.audit.before_run import Wishes, audit_first
from bench.datasets.layouts.base import UNKNOWN
from bench.datasets.manifest import Manifest
from bench.datasets.open import open_data
from bench.datasets.real_pairing import pair_reals
from bench.errors import BenchError
from bench.runs import calibration
from bench.runs.imported.cells import Cells, Wanted, join
from bench.runs.imported.joining import ImageIndex
from bench.runs.imported.request import ImportRequest
from bench.runs.imported.rows import ScoreFile, read_scores_file
from bench.store import units as planning
from bench.store.run_spec import AuditRecord
from bench.store.units import Chunk
from bench.support.progress import Progress
from bench.support.toml import first_fault
from detectors.card import DetectorCard


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """A file of scores, joined to its images.

    Attributes:
        request: What was asked for.
        file: The table as read.
        sha256: Hash of the file.
        manifest: All images that were indexed.
        chunks: Those that are scored.
        calibration: Those that thresholds are chosen on.
        cells: The scores by detector and condition.
        cards: Detector to its card.
        pairing: Generator to the real sources it is compared with.
        audit: What the files give away; None where nobody looked.
    """

    request: ImportRequest
    file: ScoreFile
    sha256: str
    manifest: Manifest
    chunks: tuple[Chunk, ...]
    calibration: tuple[Chunk, ...]
    cells: Cells
    cards: Mapping[str, DetectorCard]
    pairing: Mapping[str, tuple[str, ...]]
    audit: AuditRecord | None

    @property
    def rows(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Rows of the manifest that are scored."""
        return np.concatenate([chunk.rows for chunk in self.chunks])


def read_joined(request: ImportRequest, progress: Progress) -> Joined:
    """Read the file, index the images, and hold the one against the other.

    Raises:
        BenchError: They do not fit, or the file leaves open what it holds.
    """
    suite, split = request.suite, request.scored_split
    if request.limit is not None and request.limit < 2:
        raise BenchError(f"--limit {request.limit}: give at least 2, one real and one fake image")
    file = read_scores_file(request.file, request.detector, request.scores)
    with request.file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    splits = [split, *([suite.policy.split] if suite.policy.split else [])] if split else None
    manifest = open_data(
        request.place, progress, layout=request.layout, cache=request.cache, splits=splits
    )
    progress.note(f"{manifest.name}: recognised as {manifest.recognised}; {len(manifest)} images")
    rows = planning.select(manifest, split, request.limit, request.seed)
    audited = audit_first(Wishes(suite=suite, cache=request.cache), manifest, rows, progress)
    pairing = pair_reals(manifest, rows, suite.pairing)
    chunks = planning.cut(manifest, rows)
    chosen_on = calibration.calibration_chunks(
        manifest, suite.policy, chunks, request.limit, request.seed
    )
    whole = not split or manifest.splits() == ("",)
    wanted = _wanted(request, manifest, chunks, chosen_on)
    cells = join(file, manifest, ImageIndex.of(manifest, whole=whole), wanted, suite.equalise)
    cells.refuse(file.name, manifest.name, allow_missing=request.allow_missing)
    if not cells.cells:
        raise BenchError(f"{file.name} has no row about an image of {manifest.name}")
    cards = {detector: _card(file, detector) for detector in cells.detectors}
    return Joined(
        request, file, sha256, manifest, chunks, chosen_on, cells, cards, pairing, audited.record
    )


def _wanted(
    request: ImportRequest,
    manifest: Manifest,
    chunks: tuple[Chunk, ...],
    chosen_on: tuple[Chunk, ...],
) -> Wanted:
    scored, calibrates, ignored = (np.zeros(len(manifest), dtype=np.bool_) for _ in range(3))
    for chunk in chunks:
        scored[chunk.rows] = True
    for chunk in chosen_on:
        calibrates[chunk.rows] = ~scored[chunk.rows]
    if request.limit is not None:  # what a limit drops is no fault of the table
        ignored[manifest.rows(request.scored_split)] = True
        if chosen_on and request.suite.policy.split:
            ignored[manifest.rows(request.suite.policy.split)] = True
        ignored &= ~(scored | calibrates)
    return Wanted(scored, calibrates, ignored)


def _card(file: ScoreFile, detector: str) -> DetectorCard:
    stated = file.facts.get(detector, {}).get("card")
    if stated is None:
        return DetectorCard(name=detector, arch=UNKNOWN)
    try:
        return DetectorCard.model_validate(stated)
    except ValidationError as error:
        key, says = first_fault(error)
        raise BenchError(f"{file.name}: the card of {detector}: {key}: {says}") from error
