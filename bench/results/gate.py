"""The regression gate: read two sets of scores, judge, and decide the exit code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.errors import (
    EXIT_INCOMPLETE,
    EXIT_INCONCLUSIVE,
    EXIT_OK,
    EXIT_REGRESSION,
    BenchError,
    NothingSelectedError,
    nearest,
)
from bench.results.gating.rules import GateRules, load_rules
from bench.results.pairing import PairedScores, data_notes, load_scores, pair, undefined_notes
from bench.results.scores import ScoreTable
from leaderboards.gate import Decision, Verdict, floor_verdict, judge, outcome
from leaderboards.statistics.metrics import measure
from leaderboards.statistics.paired_cells import CellName, PairedCell
from leaderboards.tables.cells import CLEAN
from leaderboards.tables.notes import Caution
from leaderboards.tables.slicing import POOLED

__all__ = ["Floor", "GateResult", "GateRules", "gate", "gated_cells", "load_rules"]

EXITS: Mapping[Decision, int] = {
    "PASS": EXIT_OK,
    "FAIL": EXIT_REGRESSION,
    "INCONCLUSIVE": EXIT_INCONCLUSIVE,
    "INCOMPLETE": EXIT_INCOMPLETE,
}


class Floor(NamedTuple):
    """The verdict of one cell against an absolute floor of one metric."""

    metric: str
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """The decision of a gate, and what it rests on.

    Attributes:
        candidate: Folder of the candidate's scores.
        baseline: Folder or file of the baseline's scores.
        dataset: The data set's name.
        threshold_policy: How the threshold came about, as the suite spells it.
        rules: The rules that the verdicts follow.
        verdicts: One a cell, then a macro mean a detector, then the cells without scores.
        floors: One a floor and cell.
        notes: What a reader should know.
        decision: The worst verdict that blocks.
        cautions: Why numbers of either side must not be taken at face value.
    """

    candidate: str
    baseline: str
    dataset: str
    threshold_policy: str
    rules: GateRules
    verdicts: tuple[Verdict, ...]
    floors: tuple[Floor, ...]
    notes: tuple[str, ...]
    decision: Decision
    cautions: tuple[Caution, ...] = ()

    @property
    def exit_code(self) -> int:
        """The process's exit code: 0, 10, 11 or 12."""
        return EXITS[self.decision]


def gate(candidate: Path, baseline: Path, rules: GateRules) -> GateResult:
    """Hold a run against a baseline.

    Args:
        candidate: A run's folder.
        baseline: Another run's folder, or a ``baseline.json``.
        rules: Metric, margins, gated cells and floors.

    Raises:
        NoBaselineError: There is no baseline.
        BenchError: The two cannot be compared.
        NothingSelectedError: No cell is gated.
    """
    before = load_scores(baseline, role="baseline")
    after = load_scores(candidate)
    if any("gate decided" in c.reach.states.values() for c in after.columns if c.reach is not None):
        raise BenchError(
            f"{after.name} was scored until a gate was decided, and a test that does not know of that would "
            "cry wolf: give --sequential"
        )
    paired = pair(before, after)
    cells, lacking = gated_cells(paired, rules)
    tested = [cell for cell in cells if cell.allows(rules.metric)]
    verdicts = judge(tested, rules.test, paired.strata, paired.clusters)
    verdicts += [
        Verdict(name=name, decision="INCOMPLETE", reason=reason) for name, reason in lacking.items()
    ]
    verdicts += _of_changed_set(paired, rules)
    floors = _floors(cells, rules.floors)
    limits = [_limit_note(scores) for scores in (before, after) if scores.limit is not None]
    decision = outcome([*verdicts, *(floor.verdict for floor in floors)], rules.mode)
    if limits and decision != "FAIL":
        decision = "INCOMPLETE"
    return GateResult(
        candidate=after.name,
        baseline=before.name,
        dataset=after.dataset,
        threshold_policy=str(after.protocol["threshold"]),
        rules=rules,
        verdicts=tuple(verdicts),
        floors=tuple(floors),
        notes=(
            *paired.notes,
            *_changed_notes(paired, rules),
            *undefined_notes(cells, rules.metric),
            *limits,
            *data_notes(before, after),
        ),
        decision=decision,
        cautions=paired.cautions,
    )


def _of_changed_set(paired: PairedScores, rules: GateRules) -> list[Verdict]:
    """Make the verdicts of cells that only one of the two data sets holds, where the rules let them block."""
    verdicts: list[Verdict] = []
    if rules.gone == "block":
        verdicts += [
            Verdict(name=name, decision="INCOMPLETE", reason=reason)
            for name, reason in paired.gone.items()
            if rules.gates(name)
        ]
    if rules.new == "block":
        verdicts += [
            Verdict(name=name, decision="INCONCLUSIVE", reason=reason, blind=True)
            for name, reason in paired.new.items()
            if rules.gates(name)
        ]
    return verdicts


def _changed_notes(paired: PairedScores, rules: GateRules) -> Iterator[str]:
    """Name the cells without a counterpart that do not block, each slice once."""
    for word, cells, rule in (("new", paired.new, rules.new), ("gone", paired.gone, rules.gone)):
        slices = dict.fromkeys(_slice_name(name) for name in cells)
        if slices and rule == "note":
            yield f"{word} in the data, not gated: {', '.join(slices)}"


def _slice_name(name: CellName) -> str:
    return name.generator if name.domain in ("", POOLED) else f"{name.generator} / {name.domain}"


def _limit_note(scores: ScoreTable) -> str:
    return f"{scores.name} is a limited run ({scores.limit} images): never a pass"


def gated_cells(
    paired: PairedScores, rules: GateRules
) -> tuple[list[PairedCell], dict[CellName, str]]:
    """Select the cells that are gated, all where no primary cell is named.

    Returns:
        Cells scored by both, and the name of each other cell, to the reason.

    Raises:
        NothingSelectedError: A primary cell that does not exist, or no cell at all.
    """
    names = [
        *(CellName(*cell.name) for cell in paired.cells),
        *paired.lacking,
        *paired.gone,
        *paired.new,
    ]
    for rule in rules.primary:
        if not any(rule.matches(name) for name in names):
            conditions = sorted({name.condition for name in names})
            raise NothingSelectedError(
                f"no cell is {rule.model_dump(exclude_none=True)}; conditions: {', '.join(conditions)}"
            )

    cells = [cell for cell in paired.cells if rules.gates(CellName(*cell.name))]
    lacking = {name: why for name, why in paired.lacking.items() if rules.gates(name)}
    if not cells and not lacking:
        raise NothingSelectedError("there is no cell to gate: the suite has none in common")
    return cells, lacking


def _floors(cells: Sequence[PairedCell], minima: Mapping[str, float]) -> list[Floor]:
    """Hold each gated cell against the floors for its condition.

    Args:
        cells: The gated cells.
        minima: ``metric`` or ``metric@condition`` to the least value.

    Raises:
        NothingSelectedError: A floor under a condition that no gated cell has.
    """
    floors: list[Floor] = []
    for key, minimum in minima.items():
        metric, _, condition = key.partition("@")
        condition = condition or CLEAN
        chosen = [
            cell
            for cell in cells
            if condition in ("*", CellName(*cell.name).condition) and cell.allows(metric)
        ]
        if not chosen:
            known = sorted({CellName(*cell.name).condition for cell in cells})
            raise NothingSelectedError(
                f"floor {key}: no gated cell under {condition!r}: {nearest(condition, known)}"
            )
        for cell in chosen:
            _, threshold = cell.thresholds
            values = measure(cell.labels, cell.candidate[cell.rows], threshold)
            value, lower = float(values[metric]), float(values[f"{metric}_lo"])
            verdict = floor_verdict(cell.name, value, lower, minimum, cell.counts)
            floors.append(Floor(metric, verdict))
    return floors
