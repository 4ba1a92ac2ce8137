"""Imported scores as run.json has them: where they come from, and what their file has cost."""

from __future__ import annotations

import numpy as np

from bench.protocol.series.severity import curves
from bench.runs.imported.joined import Joined
from bench.runs.record import place
from bench.store.provenance import fingerprint, git_state, versions
from bench.store.run_spec import (
    ConditionRecord,
    DetectorRecord,
    Imported,
    ImportedScores,
    RunSpec,
    ThresholdRecord,
)
from leaderboards.statistics.ranking import tied_pairs
from leaderboards.tables.notes import count_left_out

# Folder of the scores, in that of the run.
STORE = "store"
# Fewer scores than these may well be two by chance.
_FEW = 3


def import_spec(joined: Joined, thresholds: dict[str, ThresholdRecord]) -> RunSpec:
    """Describe imported scores as ``run.json`` records them."""
    request, manifest, file = joined.request, joined.manifest, joined.file
    conditions = joined.cells.conditions
    severity = curves(list(conditions.values()))
    split = request.scored_split
    return RunSpec(
        suite=request.suite,
        data=place(request.place),
        dataset=manifest.name,
        layout=manifest.layout,
        pairing={name: tuple(sources) for name, sources in joined.pairing.items()},
        manifest_digest=manifest.digest,
        left_out=count_left_out(
            (row["label"], row["generator"], row["domain"])
            for row in manifest.lost_from(split).to_pylist()
        ),
        split=split,
        limit=request.limit,
        n_images=len(joined.rows),
        n_available=len(manifest.rows(split)),
        detectors=tuple(
            DetectorRecord(
                label=detector,
                requested=detector,
                asked=f"imported from {request.file.resolve()}",
                identity=fingerprint({"imported": joined.sha256, "detector": detector}),
                batch_size=0,
                card=card.model_dump(mode="json"),
                remarks=tuple(map(str, file.facts.get(detector, {}).get("remarks", ()))),
            )
            for detector, card in joined.cards.items()
        ),
        audit=joined.audit,
        thresholds=thresholds,
        conditions=tuple(
            ConditionRecord.of(condition, severity).model_copy(update={"must_change": False})
            for condition in conditions.values()
        ),
        imported=Imported(
            file=file.name,
            sha256=joined.sha256,
            scores={detector: _losses(joined, detector) for detector in joined.cards},
        ),
        seed=request.seed,
        precision="unknown",
        device="unknown",
        environment={},
        decode={},
        versions=versions(),
        git=git_state(),
        store=STORE,
    )


def _losses(joined: Joined, detector: str) -> ImportedScores:
    """What the file's form has cost: clamped and tied scores, those that are missing, verdicts only."""
    rows = joined.rows
    cells = {c: cell for (name, c), cell in joined.cells.cells.items() if name == detector}
    scores = np.concatenate([cell.logits[rows] for cell in cells.values()])
    finite = scores[np.isfinite(scores)]
    kind = joined.file.kinds[detector]
    thresholded = finite.size > _FEW and len(np.unique(finite)) <= 2
    if thresholded or joined.file.facts.get(detector, {}).get("kind") == "verdict":
        kind = "verdict"  # whatever the column is called
    labels = joined.manifest.table["label"].to_numpy()[rows]
    lacking = sum(
        int(np.count_nonzero(~np.isfinite(cell.logits[rows])))
        for cell in cells.values()
        if cell.failure is None
    )
    return ImportedScores(
        kind=kind,
        n_clamped=sum(int(cell.clamped[rows].sum()) for cell in cells.values()),
        tied_pairs=tied_pairs(labels, cells["clean"].logits[rows]) if "clean" in cells else 0.0,
        n_missing=lacking,
    )
