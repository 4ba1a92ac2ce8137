"""A prepared run as run.json has it, and the report of what has been recorded."""

from __future__ import annotations

import dataclasses
import os

from bench.datasets import Manifest
from bench.datasets.open import POCKET, known_card
from bench.inference.detector import DetectorRequest
from bench.protocol.series.severity import curves
from bench.results.board import Report, recorded_report
from bench.runs.prepare import Prepared
from bench.runs.settled import Settled
from bench.store.provenance import git_state, versions
from bench.store.run_spec import ConditionRecord, DataCardRecord, DetectorRecord, RunSpec
from bench.store.rundir import RunDir, RunRecord
from bench.support.objects.place import place_of
from bench.support.progress import Progress
from leaderboards.tables.notes import count_left_out


def run_spec(prepared: Prepared, settled: Settled) -> RunSpec:
    """Describe a prepared run as ``run.json`` records it."""
    request, manifest = prepared.request, prepared.manifest
    store, folder = prepared.store.root, request.folder
    severity = curves(list(prepared.conditions.values()))
    split = request.suite.split if request.split is None else request.split
    return RunSpec(
        suite=request.suite,
        data=place(request.data or request.suite.dataset),
        columns=dict(request.columns),
        reals=tuple(str(place.resolve()) for place in request.reals),
        dataset=manifest.name,
        layout=manifest.layout,
        data_card=_data_card(manifest, request.data or request.suite.dataset),
        pairing={name: tuple(sources) for name, sources in prepared.pairing.items()},
        manifest_digest=manifest.digest,
        left_out=count_left_out(
            (row["label"], row["generator"], row["domain"])
            for row in manifest.lost_from(split).to_pylist()
        ),
        copies=prepared.audited.copies,
        audit=prepared.audited.record,
        split=split,
        limit=request.limit,
        until="" if request.until is None else str(request.until),
        n_images=len(prepared.rows),
        n_available=prepared.n_available,
        detectors=tuple(
            DetectorRecord(
                label=detector.label,
                requested=detector.name,
                asked=_asked(detector),
                identity=prepared.identities[detector.label],
                batch_size=settled.batch_sizes[detector.label],
                card=prepared.detectors[detector.label].card.model_dump(mode="json"),
                remarks=settled.remarks.get(detector.label, ()),
            )
            for detector in request.detectors
        ),
        surrogates=dict(prepared.surrogate_identities),
        thresholds=dict(settled.thresholds),
        forms=settled.forms,
        conditions=tuple(ConditionRecord.of(c, severity) for c in prepared.conditions.values()),
        seed=request.seed,
        precision=request.numerics.precision,
        device=prepared.device.type,
        environment=prepared.environment,
        decode=dataclasses.asdict(prepared.policy),
        versions=versions(),
        git=git_state(),
        store=os.path.relpath(store, folder)
        if store.is_relative_to(folder)
        else str(store.resolve()),
    )


def _data_card(manifest: Manifest, data: str) -> DataCardRecord | None:
    known = known_card(manifest, data)
    if known is None:
        return None
    return DataCardRecord(**dataclasses.asdict(known.card), is_own=known.is_own)


def place(data: str) -> str:
    """Name a data set as it was named: an embedded one by its name, any other by its place."""
    return data if data == POCKET else str(place_of(data).resolve())


def _asked(detector: DetectorRequest) -> str:
    """A detector as it was named, with all that was said beside it."""
    absolute = detector.absolute()
    parts = [absolute.name, absolute.weights, absolute.fake_logit]
    foreign = [f"{flag} {value}" for flag, value in absolute.foreign.items()]
    return " ".join([*(str(part) for part in parts if part is not None), *foreign])


def report_with(
    folder: RunDir, record: RunRecord, manifest: Manifest, progress: Progress | None = None
) -> Report:
    """Record the failures, build the report, and list every image that was left out.

    The report is made from what this run has recorded, not from what the folder says by now.

    Raises:
        ShardDamagedError: Scores are damaged; they have been set aside.
    """
    folder.failed(record.failures)
    finished = recorded_report(record, progress)
    lost = manifest.lost_from(record.spec.split).to_pylist()
    indexed = [(row["path"], row["reason"]) for row in lost]
    folder.left_out(sorted({*indexed, *finished.bad}))
    return finished
