"""The scores of a run in one place: samples, one column a detector and condition, thresholds.

Read from a run's shards here, or from a committed baseline in :mod:`bench.results.baseline`; boards, gates
and comparisons all start from this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from bench.datasets import REAL
from bench.errors import NothingSelectedError
from bench.results.attack_checks import black_box_hint, check_columns
from bench.store.rundir import ConditionRecord, RunDir, RunSpec
from bench.store.shards import ATTACK_COLUMNS, ShardDamagedError, Store
from leaderboards import CLEAN, Axis, ScoreColumn, Slice, Status, slices
from leaderboards.tables.attacks import AttackScores, Check

_AXES: dict[str, tuple[Axis, ...]] = {
    "generator": ("generator",),
    "domain": ("domain",),
    "generator*domain": ("generator", "domain"),
    "pooled": (),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """Scores and what one must know to compare them.

    Attributes:
        name: Where they come from, for messages.
        protocol: What must agree for two sets of scores to be comparable, key to value.
        context: What may explain a difference without forbidding the comparison.
        dataset: The data set's name.
        limit: Images asked for, where the run was limited.
        cuts: The suite's slices, ``generator``, ``domain``, ...
        pairing: Generator to its real sources.
        samples: One row an image: sample_id, label, generator, domain, group, sha256.
        columns: One a detector and condition, aligned with the samples.
        thresholds: Detector to logit.
        bad: Images left out, with the reason.
        checks: The honesty checks of every attack.
    """

    name: str
    protocol: Mapping[str, Any]
    context: Mapping[str, Any]
    dataset: str
    limit: int | None
    cuts: tuple[str, ...]
    pairing: Mapping[str, tuple[str, ...]]
    samples: pd.DataFrame
    columns: tuple[ScoreColumn, ...]
    thresholds: Mapping[str, float]
    bad: Mapping[str, str]
    checks: tuple[Check, ...] = ()

    def slices(self) -> list[Slice]:
        """Every cut the suite names; a cut by domain is left out where no domains are named.

        Raises:
            NothingSelectedError: If nothing is left.
        """
        return _slices(self.samples, self)

    @property
    def detectors(self) -> list[str]:
        """In board order."""
        return list(dict.fromkeys(column.detector for column in self.columns))


@dataclass(slots=True)
class _Gathered:
    """The shards of one detector under one condition, in manifest order."""

    logit: NDArray[np.float32]
    attack: dict[str, NDArray[np.float32]]
    changed: bool = False
    missing: int = 0
    bad: dict[str, str] = field(default_factory=dict)


_Found = tuple[str, ConditionRecord, _Gathered, Status, str]


def load_run(folder: Path) -> tuple[RunSpec, Scored]:
    """Read a run's request and all the scores it has.

    Raises:
        BenchError: If the folder is no run.
    """
    run = RunDir(folder)
    spec, samples = run.spec(), run.manifest().to_pandas()
    store, units = Store(run.store(spec)), run.units().to_pandas()
    failures = {(f.detector, f.condition): f for f in run.failures()}
    chosen = spec.thresholds
    unknown = 0.0 if spec.suite.policy.kind == "zero" else np.nan
    thresholds = {
        d.label: chosen[d.label].value if d.label in chosen else unknown for d in spec.detectors
    }
    columns: list[_Found] = []
    facts = {c.spelled: c.facts for c in spec.conditions if c.facts is not None}
    bad: dict[str, str] = {}
    for (detector, condition), part in units.groupby(["detector", "condition"], sort=False):
        gathered = _gather(store, part, len(samples))
        bad |= gathered.bad
        record = next(c for c in spec.conditions if c.spelled == condition)
        status, reason = _status(record, gathered)
        if failure := failures.get((detector, condition)):
            status, reason = failure.status, failure.reason
            if status == "not attackable":
                reason += black_box_hint(record.facts, facts)
        elif np.isnan(thresholds[detector]):
            status, reason = "failed", "its threshold is not chosen yet: run the same command again"
        columns.append((detector, record, gathered, status, reason))
    keep = ~samples["sample_id"].isin(bad).to_numpy()
    columns, checks = _checked(columns, samples, keep, thresholds)
    scored = Scored(
        name=str(folder),
        protocol={
            "slices": list(spec.suite.slices),
            "conditions": [record.resolved for record in spec.conditions],
            "threshold": spec.suite.threshold,
            "split": spec.split,
            "pairing": {name: list(sources) for name, sources in spec.pairing.items()},
        },
        context={"seed": spec.seed, "precision": spec.precision, "device": spec.device,
                 "bench": spec.versions["bench"], "torch": spec.versions["torch"]},
        dataset=spec.dataset,
        limit=spec.limit,
        cuts=tuple(spec.suite.slices),
        pairing=spec.pairing,
        samples=samples[keep].reset_index(drop=True),
        columns=tuple(_column(*column, keep=keep) for column in columns),
        thresholds=thresholds,
        bad=bad,
        checks=tuple(checks),
    )  # fmt: skip
    return spec, scored


def _gather(store: Store, part: pd.DataFrame, n: int) -> _Gathered:
    blank = np.full(n, np.nan, dtype=np.float32)
    found = _Gathered(blank, {name: blank.copy() for name in ATTACK_COLUMNS})
    for unit in part.itertuples(index=False):
        try:
            shard = store.read(str(unit.fingerprint))
        except (FileNotFoundError, ShardDamagedError):
            found.missing += 1
            continue
        rows = slice(unit.start, unit.stop)
        found.logit[rows] = shard["logit"].to_numpy()
        for name, values in found.attack.items():
            values[rows] = shard[name].to_numpy()
        found.changed |= bool(pc.any(shard["changed"]).as_py())
        reasons = zip(shard["sample_id"].to_pylist(), shard["bad"].to_pylist(), strict=True)
        found.bad |= {sample: reason for sample, reason in reasons if reason is not None}
    return found


def _status(record: ConditionRecord, found: _Gathered) -> tuple[Status, str]:
    if found.missing:
        return "incomplete", f"{found.missing} units are not scored yet: run the same command again"
    if record.must_change and not found.changed:
        return "failed", "the corruption left every pixel of every image as it was"
    return "ok", ""


def _column(
    detector: str,
    record: ConditionRecord,
    found: _Gathered,
    status: Status,
    reason: str,
    *,
    keep: NDArray[np.bool_],
) -> ScoreColumn:
    return ScoreColumn(
        detector=detector,
        condition=record.spelled,
        logits=found.logit[keep],
        status=status,
        reason=reason,
        **{
            name: found.attack[name][keep] if record.attack else None
            for name in ("linf", "l2", "steps")
        },
        ranked=record.facts is None or not record.facts.stops_early,
    )


def _checked(
    columns: list[_Found],
    samples: pd.DataFrame,
    keep: NDArray[np.bool_],
    threshold: Mapping[str, float],
) -> tuple[list[_Found], list[Check]]:
    """The columns, those marked whose attack fails a check; and every check."""
    clean = {c[0]: c[2].logit[keep] for c in columns if c[1].spelled == CLEAN and c[3] == "ok"}
    scores = [
        AttackScores(
            detector=detector,
            condition=record.spelled,
            facts=record.facts,
            clean=clean[detector],
            logits=found.logit[keep],
            attacked=~np.isnan(found.attack["linf"][keep]),
            grad_zero=found.attack["grad_zero"][keep],
            unbounded=found.attack["unbounded"][keep],
            unrounded=found.attack["unrounded"][keep],
        )
        for detector, record, found, status, _ in columns
        if record.facts is not None and status == "ok" and detector in clean
    ]
    checks, reasons = check_columns(samples["label"].to_numpy()[keep], scores, threshold)
    marked: list[_Found] = [
        (d, record, found, "attack unreliable", reasons[d, record.spelled])
        if (d, record.spelled) in reasons
        else (d, record, found, status, reason)
        for d, record, found, status, reason in columns
    ]
    return marked, checks


def _slices(samples: pd.DataFrame, scored: Scored) -> list[Slice]:
    named = bool((samples["domain"] != "").any())
    wanted = [cut for cut in scored.cuts if named or "domain" not in cut]
    if not wanted:
        raise NothingSelectedError(
            f"the suite cuts by domain, and {scored.dataset} names no domains: use "
            "--layout domains, or a manifest with a domain column"
        )
    if samples.empty or (samples["label"] == REAL).all():
        raise NothingSelectedError(
            f"{scored.dataset} has no fake image left to score in split {scored.protocol['split']!r}"
        )
    return [cut for name in wanted for cut in slices(samples, scored.pairing, _AXES[name])]
