"""The sequential gate: a candidate's scores in the order they come, until FAIL, PASS or the end."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from bench.errors import BenchError
from bench.results.gate import GateResult, gated_cells
from bench.results.gating.rules import GateRules
from bench.results.pairing import data_notes, load_scores, pair, undefined_notes
from leaderboards.gate import Verdict
from leaderboards.sequential_gate import Ruling, judge_in_looks
from leaderboards.statistics.paired_cells import CellName


class SequentialResult(NamedTuple):
    """A sequential gate, and how it came to its decision."""

    result: GateResult
    ruling: Ruling


def gate_in_looks(candidate: Path, baseline: Path, rules: GateRules) -> SequentialResult:
    """Hold a run against a baseline, look by look, in the order in which it was scored.

    Args:
        candidate: A run's folder; one that scored everything is judged as if it had come in rounds.
        baseline: Another run's folder, or a ``baseline.json``, with scores for every image.
        rules: Metric, margins and gated cells.

    Raises:
        NoBaselineError: There is no baseline.
        BenchError: The two cannot be compared, floors are asked for, or the baseline itself has stopped.
        NothingSelectedError: No cell is gated.
    """
    if rules.floors:
        raise BenchError(
            "floors have no sequential form: leave --min and [floors] out beside --sequential, or gate a "
            "whole run without it"
        )
    before, after = load_scores(baseline, role="baseline"), load_scores(candidate)
    if any(column.reach is not None for column in before.columns):
        raise BenchError(
            f"{before.name} stopped at a target: give a baseline that has scored everything"
        )
    for scores in (before, after):
        if scores.limit is not None:
            raise BenchError(
                f"{scores.name} is a limited run ({scores.limit} images): a sequential gate chooses the "
                "images itself, run without --limit"
            )
    paired = pair(before, after, whole_cells=True)
    assert paired.places is not None
    cells, lacking = gated_cells(paired, rules)
    tested = [cell for cell in cells if cell.allows(rules.metric)]
    absent = [
        Verdict(name=name, decision="INCOMPLETE", reason=reason) for name, reason in lacking.items()
    ]
    if not tested:
        raise BenchError(f"no gated cell of {after.name} has a {rules.metric}: name another metric")
    ruling = judge_in_looks(tested, rules.test, paired.strata, paired.places, paired.clusters)
    decision = ruling.decision
    if absent and decision != "FAIL":
        decision = "INCOMPLETE"
    result = GateResult(
        candidate=after.name,
        baseline=before.name,
        dataset=after.dataset,
        threshold_policy=str(after.protocol["threshold"]),
        rules=rules,
        verdicts=(*ruling.verdicts, *absent),
        floors=(),
        notes=(
            cost_sentence(ruling),
            *paired.notes,
            *undefined_notes(cells, rules.metric),
            *data_notes(before, after),
        ),
        decision=decision,
        cautions=paired.cautions,
    )
    return SequentialResult(result, ruling)


def cost_sentence(ruling: Ruling) -> str:
    """Say in a sentence how many images a sequential gate took, and what that saves."""
    if ruling.next_share is not None:
        return (
            f"look {ruling.look + 1} of {ruling.n_looks} needs {ruling.next_share:.1%} of the images, which "
            "are not all scored: run `bench run ... --until gate=BASELINE` again"
        )
    return (
        f"sequential: decided at look {ruling.look} of {ruling.n_looks}, with {ruling.images} of "
        f"{ruling.available} images, {ruling.scores} of {ruling.available_scores} scores: "
        f"{ruling.saving:.0%} of the forward passes saved"
    )


def next_share(candidate: Path, baseline: Path, rules: GateRules) -> float | None:
    """Say which share of the images a candidate must have scored to go on; None where the gate is decided."""
    return gate_in_looks(candidate, baseline, rules).ruling.next_share


def gated_columns(baseline: Path, rules: GateRules) -> list[tuple[str, str]]:
    """List detector and condition of the columns that are gated, as the baseline names them."""
    scores = load_scores(baseline, role="baseline")
    return [
        (column.detector, column.condition)
        for column in scores.columns
        if any(
            rules.gates(CellName(column.detector, cut.generator, cut.domain, column.condition))
            for cut in scores.slices()
        )
    ]
