"""From stored scores to a board; never touches an image or a detector."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from bench import registry
from bench.datasets.layouts.base import UNKNOWN
from bench.inference.numerics import Numerics
from bench.protocol.until import parse_until
from bench.results.checks import import_lines
from bench.results.confounds import class_loss, duplicate_lines, format_lines
from bench.results.scores import ScoredRun, ScoreTable, as_written, load_run, read_scores
from bench.results.streamed.run import StreamedRun, stream_folder, stream_record
from bench.store.run_spec import ConditionRecord, DataCardRecord, RunSpec
from bench.store.rundir import RunRecord
from bench.support.contingency import image_count
from bench.support.progress import Progress, Silent
from detectors.card import DetectorCard
from leaderboards import CLEAN, Board, BoardNotes, Extras, Slice, cell_rows, extras, wilson
from leaderboards.statistics.sequential.precision import Precision
from leaderboards.statistics.thresholds import called_fake
from leaderboards.tables.cells import cell_state
from leaderboards.tables.further.certified import CertificateFacts, certified
from leaderboards.tables.further.classes import ensemble_name
from leaderboards.tables.further.parts import parts
from leaderboards.tables.further.periods import over_time
from leaderboards.tables.further.stopping import GATE_RULE, Stopping, precision_rule, stopping
from leaderboards.tables.notes import Caution, count_by_class
from leaderboards.tables.slicing import pool


@dataclass(frozen=True, slots=True)
class Report:
    """The board of a run, and what it could not show.

    Attributes:
        board: The leaderboard, with notes and extra tables.
        bad: (path, reason) of every image left out, for all detectors alike.
        incomplete: Number of cells without a result.
        remarks: What a person must be told beside the board: warnings first.
        lost_class: Whether a class lost so many more images than the other that the run is incomplete.
    """

    board: Board
    bad: tuple[tuple[str, str], ...]
    incomplete: int
    remarks: tuple[str, ...] = ()
    lost_class: bool = False


def report(folder: Path, progress: Progress | None = None) -> Report:
    """Build the board of a run from its stored scores.

    Args:
        folder: The run's folder.
        progress: Listener to what takes long: a board of many scores, made in passes.

    Raises:
        BenchError: If the folder is no run.
        NothingSelectedError: If its slices are empty.
    """
    if streamed := stream_folder(folder, progress or Silent()):
        return _streamed_report(streamed)
    run = load_run(folder)
    with as_written(folder):
        return build_report(run)


def recorded_report(record: RunRecord, progress: Progress | None = None) -> Report:
    """Build the board of what was recorded of a run; damaged shards are renamed, to be scored anew.

    Args:
        record: What was recorded.
        progress: As for ``report``.

    Raises:
        ShardDamagedError: Scores are damaged; names all the units.
        NothingSelectedError: If its slices are empty.
    """
    if streamed := stream_record(record, progress or Silent()):
        return _streamed_report(streamed)
    return build_report(read_scores(record, set_aside=True))


def _streamed_report(run: StreamedRun) -> Report:
    """Build the board of a run whose tables were made in passes over files."""
    board = Board(
        run.tables.rows,
        _notes(run.spec, run.scores, _cards(run.spec), run.tables.false_alarms),
        run.tables.extras,
    )
    return _finished(board, run.spec, run.scores)


def build_report(run: ScoredRun) -> Report:
    """Build the board of a run from its scores.

    Raises:
        NothingSelectedError: If its slices are empty.
    """
    spec, scores = run
    slices = scores.slices()
    registry.metrics()
    with registry.sound_metrics():
        rows = cell_rows(
            scores.samples,
            slices,
            scores.columns,
            scores.training,
            spec.dataset,
            threshold=scores.thresholds,
            policy=spec.suite.threshold,
        )
    false_alarms = {} if math.isnan(spec.suite.policy.fpr) else dict(_false_alarms(scores))
    board = Board(
        rows,
        _notes(spec, scores, _cards(spec), false_alarms),
        _extras(spec, scores, slices, rows),
    )
    return _finished(board, spec, scores)


def _cards(spec: RunSpec) -> dict[str, DetectorCard]:
    return {d.label: DetectorCard.model_validate(d.card) for d in spec.detectors}


def _finished(board: Board, spec: RunSpec, scores: ScoreTable) -> Report:
    """Add to a board what it could not show."""
    incomplete = int((board.rows["status"] != "ok").sum())
    return Report(
        board,
        tuple(sorted(scores.bad.items())),
        incomplete,
        tuple(remarks(board.notes.warnings, scores)),
        lost_class=spec.limit is None and class_loss(scores.samples, scores.left_out).is_incomplete,
    )


def _certificates(spec: RunSpec) -> dict[str, CertificateFacts]:
    return {c.spelled: c.certificate for c in spec.conditions if c.certificate is not None}


def _extras(spec: RunSpec, scores: ScoreTable, cuts: Sequence[Slice], rows: pd.DataFrame) -> Extras:
    """Make the tables beside the cells; those over time where the data set tells of it."""
    made = extras(scores.samples, cuts, scores.columns, rows, scores.training)
    thresholds = {name: value for name, value in scores.thresholds.items() if not math.isnan(value)}
    proofs = _certificates(spec)
    in_parts = parts(
        scores.samples, cuts, scores.columns, scores.thresholds, [p.facts() for p in spec.suite.parts],
        attacks={c.spelled: c.facts for c in spec.conditions if c.facts is not None}, proofs=proofs,
    )  # fmt: skip
    made = replace(
        made, certified=certified(scores.samples, cuts, scores.columns, proofs), parts=in_parts
    )
    periods = over_time(scores.samples, scores.pairing, scores.columns, scores.training, thresholds)
    return made if periods.empty else replace(made, periods=periods)


def remarks(warnings: Sequence[Caution], scores: ScoreTable) -> Iterator[str]:
    """Say what stands between scores and a reader: warnings, images left out, duplicates."""
    yield from (caution.sentence for caution in warnings)
    if scores.left_out:
        n = sum(kind.images for kind in scores.left_out)
        yield f"left out for every detector alike: {n} images: {count_by_class(scores.left_out)}"
    yield from duplicate_lines(scores.repeats)


def _notes(
    spec: RunSpec,
    scores: ScoreTable,
    cards: Mapping[str, DetectorCard],
    false_alarms: Mapping[str, tuple[int, int]],
) -> BoardNotes:
    libraries = ("python", "torch", "timm", "numpy", "pillow")
    return BoardNotes(
        suite=spec.suite.name,
        dataset=spec.dataset,
        layout=spec.layout,
        threshold_policy=spec.suite.policy.description,
        pairing=spec.pairing,
        limit=spec.limit,
        until=_stopping(spec, scores),
        n_images=image_count(scores.samples),
        n_available=spec.n_available if spec.limit is not None else None,
        bad_images=sum(kind.images for kind in scores.left_out),
        left_out=scores.left_out,
        cautions=scores.cautions,
        shortcuts=spec.audit.shortcuts if spec.audit is not None else (),
        seed=spec.seed,
        precision=spec.precision,
        forms=spec.forms,
        device=spec.device,
        tool_version=spec.versions["bench"],
        # Scores that were made elsewhere owe nothing to what is installed here.
        versions={name: spec.versions[name] for name in libraries} if spec.imported is None else {},
        weights={
            label: card.weights.sha256 if card.weights else "" for label, card in cards.items()
        },
        training={label: _training(card) for label, card in cards.items()},
        equaliser=spec.suite.equalise,
        conditions={c.spelled: _resolved(c) for c in spec.conditions} | _ensemble(spec),
        attacks={c.spelled: c.facts for c in spec.conditions if c.facts is not None},
        parts=tuple(part.facts() for part in spec.suite.parts),
        certificates=_certificates(spec),
        checks=scores.checks,
        curves={c.spelled: (c.family, c.strength) for c in spec.conditions if c.family},
        extra=(
            *_remarks(spec),
            f"Split: {spec.split or 'all'}.",
            *_thresholds(spec),
            *_observed_rates(spec, false_alarms),
            *_inputs(cards if spec.imported is None else _stated(cards)),
            *format_lines(scores.samples),
            *duplicate_lines(scores.repeats),
            *import_lines(spec.imported),
            *_arithmetic(spec),
            *spec.suite.remarks,
        ),
        data_card=_data_card(spec.data_card),
    )


def _stopping(spec: RunSpec, scores: ScoreTable) -> Stopping | None:
    """Tell where cells stopped at a target; None where everything was to be scored."""
    if not spec.until:
        return None
    n_scores = sum(int(np.count_nonzero(~np.isnan(column.logits))) for column in scores.columns)
    target = parse_until(spec.until)
    rule = precision_rule(target) if isinstance(target, Precision) else GATE_RULE
    return stopping(str(target), scores.slices(), scores.columns, n_scores, rule)


def _arithmetic(spec: RunSpec) -> Iterator[str]:
    if spec.imported is None:
        yield from Numerics.recorded(spec.environment).sentences()


def _resolved(condition: ConditionRecord) -> str:
    """Spell a condition with every parameter, and an attack with its threat model."""
    threat_model = f" ({condition.facts.describe()})" if condition.facts else ""
    return condition.resolved + threat_model


def _ensemble(spec: RunSpec) -> dict[str, str]:
    """Say what the worst case over the conditions of one class is, where the suite asks for it."""
    only = spec.suite.ensemble
    members = [c.spelled for c in spec.conditions if c.only == only]
    if not only or len(members) < 2:
        return {}
    end, other = ("lowest", "reals") if only == "fakes" else ("highest", "fakes")
    return {
        ensemble_name(
            only
        ): f"for each of the {only} the {end} logit under any of the {len(members)} "
        f"conditions on {only} alone; {other} as under clean"
    }


def _remarks(spec: RunSpec) -> Iterator[str]:
    """What a run found out about its detectors that makes their numbers doubtful."""
    for detector in spec.detectors:
        for remark in detector.remarks:
            yield f"{detector.label}: {remark}."


def _thresholds(spec: RunSpec) -> Iterator[str]:
    for label, record in spec.thresholds.items() if spec.suite.policy.kind != "fixed" else ():
        only = (
            f" (only {', '.join(record.generators)}: its training data)"
            if record.generators
            else ""
        )
        yield (
            f"{label}: threshold {record.value:.6g}, chosen on {record.n_real} real and {record.n_fake} "
            f"fake images{only}."
        )


def _false_alarms(scores: ScoreTable) -> Iterator[tuple[str, tuple[int, int]]]:
    """Count for each detector the reals called fake, and all reals, where they are wholly scored, clean."""
    cut = pool(scores.samples, scores.slices())
    for column in scores.columns:
        reals = column.among(cut.real_rows)
        threshold, logits = scores.thresholds[column.detector], column.logits[reals]
        if column.condition == CLEAN and cell_state(column, reals).status == "ok":
            yield column.detector, (int(called_fake(logits, threshold).sum()), logits.size)


def _observed_rates(spec: RunSpec, false_alarms: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """Hold the false-positive rate that the policy asks for against that on the scored reals."""
    asked = spec.suite.policy.fpr
    for detector, (n_false, n) in false_alarms.items() if not math.isnan(asked) else ():
        lo, hi = wilson(n_false, n)
        verdict = (
            "" if lo <= asked <= hi else ": the threshold does not keep its rate on these images"
        )
        yield (
            f"{detector}: false-positive rate asked {asked:g}, observed {n_false / n:.3f} "
            f"[{lo:.3f}, {hi:.3f}] on the {n} scored real images, clean{verdict}."
        )


def _data_card(card: DataCardRecord | None) -> tuple[str, ...]:
    """Say whose work the data set is, a line each."""
    if card is None:
        return ()
    whose = "Data set" if card.is_own else "Data laid out as in"
    lines = [f"{whose}: {card.reference}.", f"Licence of the data: {card.licence}."]
    return (
        (*lines, f"Cite as: {' '.join(card.citation.split())}") if card.citation else tuple(lines)
    )


def _inputs(cards: Mapping[str, DetectorCard]) -> Iterator[str]:
    for label, card in cards.items():
        yield f"{label}: input rule: {card.input.describe()}; {card.describe_logit()}."


def _stated(cards: Mapping[str, DetectorCard]) -> Mapping[str, DetectorCard]:
    """Keep the cards that came with imported scores: of other detectors nobody knows the input."""
    return {label: card for label, card in cards.items() if card.arch != UNKNOWN}


def _training(card: DetectorCard) -> str:
    data = card.training_data
    if data is None:
        return ""
    domains = f"; domains {', '.join(data.domains)}" if data.domains else ""
    return f"{data.dataset or 'unnamed set'}: generators {', '.join(data.generators) or 'none'}{domains}"
