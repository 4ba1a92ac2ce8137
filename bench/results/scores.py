"""The scores of a run in one place: samples, one column a detector and condition, thresholds.

Read from a run's shards here, or from a committed baseline in :mod:`bench.results.baseline`; boards, gates
and comparisons all start from this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bench.protocol.cuts import cut_samples
from bench.results.checks import (
    black_box_hint,
    detector_cautions,
    failed_checks,
    score_cautions,
    seen_by,
)
from bench.results.confounds import count_run, run_cautions
from bench.results.stored.conditions import ConditionScores, attack_checks, marked, stored_status
from bench.results.stored.replay import Replay
from bench.store.run_shards import RunShards
from bench.store.run_spec import ConditionRecord, Failure, RunSpec
from bench.store.rundir import CONFIG_NAME, RunDir, RunRecord
from bench.store.shards import ShardDamagedError
from bench.support.user_file import border
from leaderboards import ScoreColumn, SeenBy, Slice, Status
from leaderboards.tables.attack_checks import Check
from leaderboards.tables.further.classes import ensembles
from leaderboards.tables.measures.repeats import Repeats, repeats_of
from leaderboards.tables.notes import Caution, LeftOut


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreTable:
    """The scores of a run or of a baseline, and what one must know to compare them with others.

    Attributes:
        name: Where the scores come from, for messages.
        protocol: What must agree for two tables to be comparable, key to value.
        context: What may explain a difference without forbidding the comparison.
        dataset: The data set's name.
        limit: Number of images asked for, where the run was limited; else None.
        cuts: The suite's slices, ``generator``, ``domain``, ...
        pairing: Generator to its real sources.
        samples: One row an image: sample_id, label, generator, domain, group, sha256.
        columns: One a detector and condition, aligned with the samples.
        thresholds: Detector to the logit above which an image is called fake.
        bad: Path of each image left out, to the reason.
        checks: The honesty checks of every attack.
        training: Detector to its training data; a detector that is not named is "unknown".
        left_out: How many images cannot be used, by kind: those in ``bad``, and those that were found
            when the data were indexed.
        cautions: Why numbers made of these scores must not be taken at face value.
        is_matched: Whether a slice keeps only the reals that share their group with one of its fakes.
        counted_repeats: Files of equal bytes, where samples have no row an image.
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
    training: Mapping[str, SeenBy] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    cautions: tuple[Caution, ...] = ()
    is_matched: bool = False
    counted_repeats: Repeats | None = None

    @property
    def repeats(self) -> Repeats:
        """Files of equal bytes among the samples."""
        counted = self.counted_repeats
        return repeats_of(self.samples) if counted is None else counted

    def slices(self) -> list[Slice]:
        """Cut the samples as the suite asks; a cut by domain is left out where no domain is named.

        Raises:
            NothingSelectedError: If no cut or no fake image is left.
        """
        return cut_samples(
            self.samples, self.cuts, self.pairing,
            dataset=self.dataset, split=self.protocol["split"], matched=self.is_matched,
        )  # fmt: skip

    @property
    def detectors(self) -> list[str]:
        """Names of the detectors, in board order."""
        return list(dict.fromkeys(column.detector for column in self.columns))


class ScoredRun(NamedTuple):
    """A run read back from its folder: the request as it was resolved, and the scores there are."""

    spec: RunSpec
    scores: ScoreTable


def load_run(folder: Path) -> ScoredRun:
    """Read a run's request and all the scores it has; nothing in its folder or store is changed.

    Raises:
        BenchError: The folder is no run, or what it records is damaged.
        ShardDamagedError: Scores are damaged; says how they are scored anew.
    """
    record = RunDir(folder).read()
    with with_remedy(folder), as_written(folder):
        return read_scores(record, set_aside=False)


@contextmanager
def with_remedy(folder: Path) -> Iterator[None]:
    """Say of damaged shards, met while a run's folder is read, by which command they are scored anew.

    Raises:
        ShardDamagedError: In place of one that says less.
    """
    try:
        yield
    except ShardDamagedError as error:
        raise ShardDamagedError(
            f"{error}, or `bench run --config {folder / CONFIG_NAME}`"
            if (folder / CONFIG_NAME).is_file()
            else str(error),
            error.fingerprints,
        ) from error


def as_written(folder: Path) -> AbstractContextManager[None]:
    """Guard the reading of a run's folder: the tables of an edited one may hold anything.

    Raises:
        BenchError: In place of any other error.
    """
    return border(f"{folder} is not what a run wrote", "run the command that made it again")


def read_scores(record: RunRecord, *, set_aside: bool) -> ScoredRun:
    """Read all the scores that a run has, each held against the images that it is about.

    Args:
        record: The run's folder, images, units and failures.
        set_aside: Rename damaged shards, so that their units count as not scored.

    Raises:
        ShardDamagedError: Scores are damaged; names all the units.
    """
    spec, samples = record.spec, record.manifest.to_pandas()
    thresholds = chosen_thresholds(spec)
    shards = RunShards(record, set_aside=set_aside)
    replay = Replay.of(spec, samples)
    conditions = _read_conditions(record, thresholds, shards, replay)
    shards.check()
    bad = {path: reason for scores in conditions for path, reason in scores.stored.bad.items()}
    keep = ~samples["sample_id"].isin(bad).to_numpy()
    # Of an imported attack without sizes nobody says which images it changed.
    ours = spec.imported is None
    checkable = [c for c in conditions if ours or not c.record.attack or c.stored.has_sizes]
    checks = attack_checks(checkable, samples["label"].to_numpy(), keep, thresholds)
    conditions = marked(conditions, failed_checks(checks))
    columns = tuple(scores.column(keep) for scores in conditions)
    if only := spec.suite.ensemble:
        columns = (*columns, *ensembles(columns, samples["label"].to_numpy()[keep], only))
    left_out = count_run(spec, samples[~keep])
    scores = ScoreTable(
        **table_head(record),
        samples=samples[keep].reset_index(drop=True),
        columns=columns,
        thresholds=thresholds,
        bad=bad,
        checks=tuple(checks),
        training=seen_by(spec.detectors, spec.pairing),
        left_out=left_out,
        cautions=(
            *score_cautions(spec, samples["label"].to_numpy()[keep], columns, thresholds),
            *detector_cautions(spec.detectors),
            *run_cautions(spec, samples[keep], left_out),
        ),
    )  # fmt: skip
    return ScoredRun(spec, scores)


def table_head(record: RunRecord) -> dict[str, Any]:
    """Give what a ``ScoreTable`` says of its run, whatever its scores."""
    spec = record.spec
    return {
        "name": str(record.root),
        "protocol": _protocol(spec),
        "context": {"seed": spec.seed, "precision": _precision(spec), "device": spec.device,
                    "bench": spec.versions["bench"], "torch": spec.versions["torch"]},
        "dataset": spec.dataset,
        "limit": spec.limit,
        "cuts": tuple(spec.suite.slices),
        "pairing": spec.pairing,
        "is_matched": spec.suite.pairing == "matched",
    }  # fmt: skip


def _precision(spec: RunSpec) -> str:
    """Name the arithmetic of a run: where it was chosen, of every detector."""
    chosen = ", ".join(f"{form.detector} {form.chosen}" for form in spec.forms)
    return f"{spec.precision} ({chosen})" if chosen else spec.precision


def chosen_thresholds(spec: RunSpec) -> dict[str, float]:
    """Detector to threshold; nan where the policy has not chosen one yet."""
    policy = spec.suite.policy
    default = policy.value if policy.kind in ("zero", "fixed") else np.nan
    return {
        detector.label: spec.thresholds[detector.label].value
        if detector.label in spec.thresholds
        else default
        for detector in spec.detectors
    }


def _protocol(spec: RunSpec) -> dict[str, Any]:
    matched = {"matched": True} if spec.suite.pairing == "matched" else {}
    return {
        **matched,
        "slices": list(spec.suite.slices),
        "conditions": [record.resolved for record in spec.conditions],
        "threshold": spec.suite.threshold,
        "split": spec.split,
        "pairing": {name: list(sources) for name, sources in spec.pairing.items()},
    }


def _read_conditions(
    record: RunRecord,
    thresholds: Mapping[str, float],
    shards: RunShards,
    replay: Replay | None,
) -> list[ConditionScores]:
    """Read the stored scores of every detector under every condition, in the order of the plan."""
    spec, units = record.spec, record.units.to_pandas()
    records = {condition.spelled: condition for condition in spec.conditions}
    failures = {(failure.detector, failure.condition): failure for failure in record.failures}
    conditions = []
    for (detector, condition), part in units.groupby(["detector", "condition"], sort=False):
        stored, reach = shards.put_together(part), None
        if replay is not None and not np.isnan(thresholds[detector]):
            reach = replay.reach(stored, thresholds[detector])
        failure = failures.get((detector, condition))
        if failure is None and not np.isnan(thresholds[detector]):
            status, reason = stored_status(stored, records[condition], reach)
        else:
            status, reason = failure_status(failure, records[condition], spec)
        verdicts = spec.imported is not None and spec.imported.scores[detector].kind == "verdict"
        conditions.append(
            ConditionScores(detector, records[condition], stored, status, reason, verdicts, reach)
        )
    return conditions


def failure_status(
    failure: Failure | None, record: ConditionRecord, spec: RunSpec
) -> tuple[Status, str]:
    """Say why a cell has no scores: it failed, or, without a failure, its detector has no threshold."""
    if failure is None:
        return "failed", "its threshold is not chosen yet: run the same command again"
    if failure.status != "not attackable":
        return failure.status, failure.reason
    attacks = {c.spelled: c.facts for c in spec.conditions if c.facts is not None}
    return failure.status, failure.reason + black_box_hint(record.facts, attacks)
