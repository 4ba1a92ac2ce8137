"""From stored scores to a board; never touches an image or a detector."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.inference.numerics import Numerics
from bench.results.confounds import format_lines
from bench.results.scores import load_run
from bench.store.rundir import DetectorRecord, RunSpec
from detectors.card import DetectorCard
from leaderboards import Board, BoardNotes, SeenBy, cell_rows, extras
from leaderboards.tables.attacks import Check


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
    spec, scored = load_run(folder)
    samples, cuts = scored.samples, scored.slices()
    seen = {d.label: _seen(d) for d in spec.detectors}
    rows = cell_rows(
        samples,
        cuts,
        scored.columns,
        seen,
        spec.dataset,
        threshold=scored.thresholds,
        policy=spec.suite.threshold,
    )
    notes = _notes(spec, samples, len(scored.bad), scored.checks)
    board = Board(rows, notes, extras(samples, cuts, scored.columns, rows, seen))
    incomplete = int((rows["status"] != "ok").sum())
    return Report(board, tuple(sorted(scored.bad.items())), incomplete)


def _seen(record: DetectorRecord) -> SeenBy:
    data = DetectorCard.model_validate(record.card).training_data
    if data is None:
        return SeenBy(known=False)
    return SeenBy(frozenset(data.generators), frozenset(data.domains))


def _notes(spec: RunSpec, samples: pd.DataFrame, n_bad: int, checks: Sequence[Check]) -> BoardNotes:
    cards = {d.label: DetectorCard.model_validate(d.card) for d in spec.detectors}
    libraries = ("python", "torch", "timm", "numpy", "pillow")
    fits = [
        f"{label}: input {card.input.describe()}, fake logit {card.fake_logit}"
        for label, card in cards.items()
    ]
    return BoardNotes(
        suite=spec.suite.name,
        dataset=spec.dataset,
        layout=spec.layout,
        threshold_policy=spec.suite.policy.told,
        pairing=spec.pairing,
        limit=spec.limit,
        n_images=len(samples),
        n_available=spec.n_available if spec.limit is not None else None,
        bad_images=n_bad,
        seed=spec.seed,
        precision=spec.precision,
        device=spec.device,
        tool_version=spec.versions["bench"],
        versions={name: spec.versions[name] for name in libraries},
        weights={
            label: card.weights.sha256 if card.weights else "" for label, card in cards.items()
        },
        training={label: _training(card) for label, card in cards.items()},
        conditions={
            c.spelled: c.resolved + (f" ({c.facts.describe()})" if c.facts else "")
            for c in spec.conditions
        },
        attacks={c.spelled: c.facts for c in spec.conditions if c.facts is not None},
        checks=tuple(checks),
        curves={c.spelled: (c.family, c.strength) for c in spec.conditions if c.family},
        extra=(
            f"Split: {spec.split or 'all'}.",
            *_sentences(_chosen(spec)),
            *_sentences(fits),
            *format_lines(samples),
            *Numerics.recorded(spec.environment).sentences(),
            *spec.suite.remarks,
        ),
    )


def _chosen(spec: RunSpec) -> Iterable[str]:
    for label, record in spec.thresholds.items():
        only = (
            f" (only {', '.join(record.generators)}: its training data)"
            if record.generators
            else ""
        )
        yield (
            f"{label}: threshold {record.value:.6g}, chosen on {record.n_real} real and {record.n_fake} "
            f"fake images{only}"
        )


def _training(card: DetectorCard) -> str:
    data = card.training_data
    if data is None:
        return ""
    domains = f"; domains {', '.join(data.domains)}" if data.domains else ""
    return f"{data.dataset or 'unnamed set'}: generators {', '.join(data.generators) or 'none'}{domains}"


def _sentences(parts: Iterable[str]) -> Iterable[str]:
    return (part + "." for part in parts)
