"""From stored scores to a board; never touches an image or a detector."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from bench.confounds import format_lines
from bench.datasets import REAL
from bench.errors import NothingSelectedError
from bench.rundir import ConditionRecord, DetectorRecord, RunDir, RunSpec
from bench.store import ShardDamagedError, Store
from detectors.card import DetectorCard
from leaderboards import (
    Axis,
    Board,
    BoardNotes,
    ScoreColumn,
    SeenBy,
    Slice,
    Status,
    cell_rows,
    extras,
    slices,
)

_AXES: dict[str, tuple[Axis, ...]] = {
    "generator": ("generator",),
    "domain": ("domain",),
    "generator*domain": ("generator", "domain"),
    "pooled": (),
}


@dataclass(slots=True)
class _Gathered:
    """The shards of one detector under one condition, in manifest order."""

    logit: NDArray[np.float32]
    linf: NDArray[np.float32]
    l2: NDArray[np.float32]
    changed: bool = False
    missing: int = 0
    bad: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """A board and what it could not show.

    Attributes:
        board: The leaderboard.
        bad: (path, reason) of every image left out, for all detectors alike.
        incomplete: Cells without a result.
    """

    board: Board
    bad: tuple[tuple[str, str], ...]
    incomplete: int


def report(folder: Path) -> Report:
    """Build the board of a run from its stored scores.

    Raises:
        BenchError: If the folder is no run.
        NothingSelectedError: If its slices are empty.
    """
    run = RunDir(folder)
    spec, samples = run.spec(), run.manifest().to_pandas()
    store, units = Store(run.store(spec)), run.units().to_pandas()
    failures = {(f.detector, f.condition): f for f in run.failures()}
    columns: list[tuple[str, ConditionRecord, _Gathered, Status, str]] = []
    bad: dict[str, str] = {}
    for (detector, condition), part in units.groupby(["detector", "condition"], sort=False):
        gathered = _gather(store, part, len(samples))
        bad |= gathered.bad
        record = next(c for c in spec.conditions if c.spelled == condition)
        status, reason = _status(record, gathered)
        if failure := failures.get((detector, condition)):
            status, reason = failure.status, failure.reason
        columns.append((detector, record, gathered, status, reason))
    keep = ~samples["sample_id"].isin(bad).to_numpy()
    samples = samples[keep].reset_index(drop=True)
    cuts = _slices(samples, spec)
    scores = [_column(*column, keep=keep) for column in columns]
    seen = {d.label: _seen(d) for d in spec.detectors}
    rows = cell_rows(
        samples, cuts, scores, seen, spec.dataset, threshold=float(spec.suite.threshold)
    )
    notes = _notes(spec, samples, len(bad))
    board = Board(rows, notes, extras(samples, cuts, scores, rows, seen))
    return Report(board, tuple(sorted(bad.items())), int((rows["status"] != "ok").sum()))


def _gather(store: Store, part: pd.DataFrame, n: int) -> _Gathered:
    blank = np.full(n, np.nan, dtype=np.float32)
    found = _Gathered(blank, blank.copy(), blank.copy())
    for unit in part.itertuples(index=False):
        try:
            shard = store.read(str(unit.fingerprint))
        except (FileNotFoundError, ShardDamagedError):
            found.missing += 1
            continue
        rows = slice(unit.start, unit.stop)
        for name in ("logit", "linf", "l2"):
            getattr(found, name)[rows] = shard[name].to_numpy()
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
        linf=found.linf[keep] if record.attack else None,
        l2=found.l2[keep] if record.attack else None,
    )


def _slices(samples: pd.DataFrame, spec: RunSpec) -> list[Slice]:
    """Every cut the suite names; a cut by domain is left out where the data set names no domains."""
    named = bool((samples["domain"] != "").any())
    wanted = [cut for cut in spec.suite.slices if named or "domain" not in cut]
    if not wanted:
        raise NothingSelectedError(
            f"suite {spec.suite.name!r} cuts by domain, and {spec.dataset} names no domains: use "
            "--layout domains, or a manifest with a domain column"
        )
    if samples.empty or (samples["label"] == REAL).all():
        raise NothingSelectedError(
            f"{spec.dataset} has no fake image left to score in split {spec.split!r}"
        )
    return [cut for name in wanted for cut in slices(samples, spec.pairing, _AXES[name])]


def _seen(record: DetectorRecord) -> SeenBy:
    data = DetectorCard.model_validate(record.card).training_data
    if data is None:
        return SeenBy(known=False)
    return SeenBy(frozenset(data.generators), frozenset(data.domains))


def _notes(spec: RunSpec, samples: pd.DataFrame, n_bad: int) -> BoardNotes:
    cards = {d.label: DetectorCard.model_validate(d.card) for d in spec.detectors}
    wanted = ("bench", "python", "torch", "timm", "numpy", "pillow")
    fits = [
        f"{label}: input {card.input.describe()}, fake logit {card.fake_logit}"
        for label, card in cards.items()
    ]
    return BoardNotes(
        suite=spec.suite.name,
        dataset=spec.dataset,
        layout=spec.layout,
        threshold_policy="logit 0, the decision point the detector was trained with; fitted on nothing",
        pairing=spec.pairing,
        limit=spec.limit,
        n_images=len(samples),
        n_available=spec.n_available if spec.limit is not None else None,
        bad_images=n_bad,
        seed=spec.seed,
        precision=spec.precision,
        device=spec.device,
        tool_version=spec.versions["bench"],
        versions={name: spec.versions[name] for name in wanted if name != "bench"},
        weights={
            label: card.weights.sha256 if card.weights else "" for label, card in cards.items()
        },
        training={label: _training(card) for label, card in cards.items()},
        conditions={c.spelled: c.resolved for c in spec.conditions},
        extra=(f"Split: {spec.split or 'all'}.", *_sentences(fits), *format_lines(samples)),
    )


def _training(card: DetectorCard) -> str:
    data = card.training_data
    if data is None:
        return ""
    domains = f"; domains {', '.join(data.domains)}" if data.domains else ""
    return f"{data.dataset or 'unnamed set'}: generators {', '.join(data.generators) or 'none'}{domains}"


def _sentences(parts: Iterable[str]) -> Iterable[str]:
    return (part + "." for part in parts)
