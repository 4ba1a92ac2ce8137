"""The scores of a run as the table that `bench scores import` reads: exact, with all that a board needs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bench.results.stored.conditions import stored_status
from bench.runs.imported.cells import UNREADABLE
from bench.runs.imported.columns import FACTS, REASON, STATUS
from bench.store.run_shards import RunShards, StoredScores
from bench.store.run_spec import ConditionRecord, DetectorRecord, RunSpec
from bench.store.rundir import RunDir, RunRecord
from bench.store.shards import ATTACK_COLUMNS
from leaderboards.render.csv import guard

_SAMPLE = ("sample_id", "path", "label", "generator", "domain")
_CELL = ("detector", "condition", "logit")


class ScoresText(NamedTuple):
    """The scores of a run as CSV.

    Attributes:
        text: The table; UTF-8 safe, LF line ends, every number exact.
        n_missing: Units of the run that are not scored; their rows are not there.
    """

    text: str
    n_missing: int


def export_scores(folder: Path) -> ScoresText:
    """Write a run's scores as CSV, a row an image, detector and condition.

    Columns: ``sample_id, path, label, generator, domain, detector, condition, logit``; of runs with attacks
    what each did to the image; ``status`` and ``reason`` of rows without a score, where there are any;
    ``facts`` on the first row of each detector: its card, threshold and remarks as JSON. Logits are spelled
    so that they read back as the same float32.

    Raises:
        BenchError: The folder is no run, or its scores are damaged.
    """
    record = RunDir(folder).read()
    columns = _Columns.of(record)
    samples = record.manifest.to_pandas()
    shards = RunShards(record, set_aside=False)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns.names)
    n_missing = 0
    heads = _heads(samples)
    units = record.units.to_pandas()
    told: set[str] = set()
    for (detector, condition), part in units.groupby(["detector", "condition"], sort=False):
        stored = shards.put_together(part)
        outcome = _outcome(record, detector, condition, stored)
        # Where cells stopped at a target, what they did not need is not missing.
        n_missing += 0 if outcome[0] or record.spec.until else stored.missing
        facts = "" if detector in told else _facts(record.spec, detector)
        told.add(detector)
        for row in _rows(columns, heads, stored, outcome):
            writer.writerow([*row[:5], guard(detector), condition, *row[5:], facts])
            facts = ""
    shards.check()
    return ScoresText(buffer.getvalue(), n_missing)


class _Columns(NamedTuple):
    """Which columns a table has: those of attacks where there is one."""

    names: list[str]
    attack: tuple[str, ...]

    @classmethod
    def of(cls, record: RunRecord) -> _Columns:
        attacks = any(condition.attack for condition in record.spec.conditions)
        attack = ATTACK_COLUMNS if attacks else ()
        return cls([*_SAMPLE, *_CELL, *attack, STATUS, REASON, FACTS], attack)


def _heads(samples: pd.DataFrame) -> list[list[Any]]:
    """The first columns of every image's rows, what a spreadsheet would run as a formula marked."""
    names = ("sample_id", "locator", "label", "generator", "domain")
    rows = samples[list(names)].itertuples(index=False, name=None)
    return [[guard(v) if isinstance(v, str) else v for v in row] for row in rows]


def _outcome(
    record: RunRecord, detector: str, condition: str, stored: StoredScores
) -> tuple[str, str]:
    """Status and reason of a cell without numbers; both empty where it has some."""
    for failure in record.failures:
        if (failure.detector, failure.condition) == (detector, condition):
            return failure.status, failure.reason
    conditions: dict[str, ConditionRecord] = {c.spelled: c for c in record.spec.conditions}
    status, reason = stored_status(stored, conditions[condition])
    return (status, reason) if status == "failed" else ("", "")


def _rows(
    columns: _Columns, heads: list[list[Any]], stored: StoredScores, outcome: tuple[str, str]
) -> Iterator[list[Any]]:
    ids = [head[0] for head in heads]
    bad = {guard(sample): reason for sample, reason in stored.bad.items()}
    attack = [stored.attack[name] for name in columns.attack]
    for i, head in enumerate(heads):
        if ids[i] in bad:
            yield [*head, "", *([""] * len(attack)), UNREADABLE, bad[ids[i]]]
        elif outcome[0]:
            yield [*head, "", *([""] * len(attack)), *outcome]
        elif np.isfinite(stored.logits[i]):
            yield [*head, _number(stored.logits[i]), *(_number(a[i]) for a in attack), "", ""]


def _number(value: np.float32) -> str:
    """Spell a float32 as a double of the same value, which reads back exactly; nan as nothing."""
    return "" if np.isnan(value) else repr(float(value))


def _facts(spec: RunSpec, detector: str) -> str:
    record: DetectorRecord = next(d for d in spec.detectors if d.label == detector)
    facts: dict[str, Any] = {"card": record.card}
    if record.remarks:
        facts["remarks"] = record.remarks
    if detector in spec.thresholds:
        facts["policy"] = spec.suite.threshold
        facts["threshold"] = spec.thresholds[detector].model_dump()
    if spec.imported is not None:
        facts["kind"] = spec.imported.scores[detector].kind
    return json.dumps(facts, ensure_ascii=False)
