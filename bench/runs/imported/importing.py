"""Scores from a file to a run's folder, stamped as what they are."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from bench.errors import BenchError
from bench.results.board import Report
from bench.runs import calibration
from bench.runs.imported.joined import Joined, read_joined
from bench.runs.imported.record import STORE, import_spec
from bench.runs.imported.request import ImportRequest
from bench.runs.imported.shards import Shards
from bench.runs.record import report_with
from bench.store.lock import Holder, locked
from bench.store.provenance import fingerprint
from bench.store.run_spec import (
    Failure,
    RunSpec,
    ThresholdRecord,
)
from bench.store.rundir import COMMAND_NAME, SPEC_NAME, RunDir
from bench.store.shards import Store
from bench.support.files import ensure_writable, writable, write_text
from bench.support.progress import Progress
from bench.support.toml import first_fault


@dataclass(frozen=True, slots=True)
class ImportResult:
    """A run made of imported scores.

    Attributes:
        folder: Folder that holds the files of the run.
        report: Board, images left out, number of incomplete cells.
    """

    folder: Path
    report: Report


def import_scores(request: ImportRequest, progress: Progress) -> ImportResult:
    """Make a run of scores that were made elsewhere, and write its board.

    Raises:
        BenchError: The file does not fit the images, or leaves open what it holds; nothing is written then.
    """
    joined = read_joined(request, progress)
    folder = request.folder
    ensure_writable(folder)
    with locked(folder) as lock:
        spec = import_spec(joined, {})
        _refuse_other(RunDir(folder), spec, force=request.force)
        names = ", ".join(joined.cards)
        lock.sign(Holder.here(fingerprint(spec.request), f"{names}, imported from {request.file}"))
        report = _write(joined, RunDir(folder))
        with writable(folder):
            report.board.write(folder)
        if request.command:
            write_text(folder / COMMAND_NAME, shlex.join(request.command) + "\n")
    return ImportResult(folder, report)


def _refuse_other(run: RunDir, spec: RunSpec, *, force: bool) -> None:
    """Make sure that a folder is free, holds an earlier import of this file, or may be replaced.

    Raises:
        BenchError: It holds something else.
    """
    if not (run.root / SPEC_NAME).exists():
        return
    try:
        there = run.spec()
        same = there.imported is not None and not there.differences(spec)
    except BenchError:
        same = False
    if same:
        return
    if not force:
        raise BenchError(
            f"{run.root} holds another run: give another --out, or --force to replace its board"
        )
    run.clear()


def _write(joined: Joined, folder: RunDir) -> Report:
    """Keep the scores, choose thresholds, record the run, and report it."""
    store = Store(folder.root / STORE)
    conditions = joined.cells.conditions
    shards = Shards.of(joined.cells, joined.manifest, joined.chunks, conditions)
    shards.write(store)
    thresholds, failures = _thresholds(joined, store)
    record = folder.begin(
        import_spec(joined, thresholds), joined.manifest, joined.rows, shards.plan
    )
    failures += [
        failure
        for detector in joined.cards
        for spelled in conditions
        if (failure := _failure(joined, detector, spelled)) is not None
    ]
    first = {(failure.detector, failure.condition): failure for failure in reversed(failures)}
    return report_with(folder, replace(record, failures=tuple(first.values())), joined.manifest)


def _failure(joined: Joined, detector: str, condition: str) -> Failure | None:
    """Why a detector has no score under a condition; None where it has."""
    cell = joined.cells.cells.get((detector, condition))
    if cell is None:
        reason = f"{joined.file.name} holds no score of it"
        return Failure(detector=detector, condition=condition, status="failed", reason=reason)
    if cell.failure is None:
        return None
    status, reason = cell.failure
    return Failure(
        detector=detector,
        condition=condition,
        status="not attackable" if status == "not attackable" else "failed",
        reason=reason or f"so says {joined.file.name}",
    )


def _thresholds(joined: Joined, store: Store) -> tuple[dict[str, ThresholdRecord], list[Failure]]:
    """Take the thresholds that the file states for this policy, and choose the others by it."""
    policy = joined.request.suite.policy
    if policy.kind == "zero":
        return {}, []
    if policy.kind == "fixed":
        return calibration.given(policy, joined.cards), []
    stated: dict[str, ThresholdRecord] = {}
    for detector in joined.cards:
        facts = joined.file.facts.get(detector, {})
        if facts.get("policy") == str(policy) and "threshold" in facts:
            try:
                stated[detector] = ThresholdRecord.model_validate(facts["threshold"])
            except ValidationError as error:
                key, says = first_fault(error)
                raise BenchError(
                    f"{joined.file.name}: the threshold of {detector}: {key}: {says}"
                ) from error
    clean = {"clean": joined.cells.conditions["clean"]}
    shards = Shards.of(joined.cells, joined.manifest, joined.calibration, clean)
    shards.write(store)
    others = {label: card for label, card in joined.cards.items() if label not in stated}
    choice = calibration.choose(joined.manifest, policy, shards.plan, store, others)
    refused = {
        label: f"{joined.file.name} has no clean scores of split {policy.split!r}"
        if reason.startswith("the calibration images")
        else reason
        for label, reason in choice.refused.items()
    }
    failures = calibration.failures(refused, list(joined.cells.conditions))
    return {**stated, **choice.thresholds}, failures
