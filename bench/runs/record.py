"""A prepared run as run.json has it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

from bench.protocol.attack_facts import attack_facts
from bench.protocol.condition import Condition
from bench.protocol.severity import curves
from bench.runs.prepare import Prepared
from bench.store.provenance import git_state, versions
from bench.store.rundir import ConditionRecord, DetectorRecord, RunSpec


def _spec(prepared: Prepared) -> RunSpec:
    request, manifest = prepared.request, prepared.manifest
    environment = prepared.environment
    store, folder = prepared.store.root, request.folder
    along = curves(list(prepared.conditions.values()))
    return RunSpec(
        suite=request.suite,
        dataset=manifest.name,
        layout=manifest.layout,
        pairing={name: tuple(sources) for name, sources in manifest.pairing.items()},
        manifest_digest=manifest.digest,
        split=request.suite.split if request.split is None else request.split,
        limit=request.limit,
        n_images=len(prepared.rows),
        n_available=prepared.n_available,
        detectors=tuple(
            DetectorRecord(
                label=wanted.label,
                requested=wanted.name,
                identity=prepared.identities[wanted.label],
                batch_size=prepared.batch_size[wanted.label],
                card=prepared.detectors[wanted.label].card.model_dump(mode="json"),
            )
            for wanted in request.detectors
        ),
        thresholds=dict(prepared.thresholds),
        conditions=tuple(_condition_record(c, along) for c in prepared.conditions.values()),
        seed=request.seed,
        precision=request.precision,
        device=prepared.device.type,
        environment=environment,
        decode=dataclasses.asdict(prepared.policy),
        versions=versions(),
        git=git_state(),
        store=os.path.relpath(store, folder)
        if store.is_relative_to(folder)
        else str(store.resolve()),
    )


def _condition_record(
    condition: Condition, along: Mapping[str, tuple[str, int]]
) -> ConditionRecord:
    corruptions = [*condition.before, *condition.after]
    family, strength = along.get(str(condition), ("", 0))
    told = [done for step in corruptions if (done := getattr(step.plugin, "as_done", ""))]
    return ConditionRecord(
        spelled=str(condition),
        resolved=": ".join([condition.resolved, *(["; then ".join(told)] if told else [])]),
        family=family,
        strength=strength,
        attack=condition.attack is not None,
        facts=attack_facts(condition),
        must_change=any(not getattr(step.plugin, "may_be_identity", False) for step in corruptions),
    )
