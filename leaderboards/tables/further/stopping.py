"""Where the cells of a board stopped at a target: the rule, and n scored of n available."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from leaderboards.statistics.catalogue import metric_of
from leaderboards.statistics.sequential.precision import Precision
from leaderboards.tables.cells import ScoreColumn
from leaderboards.tables.notes import Caution
from leaderboards.tables.rounds.order import STEP
from leaderboards.tables.rounds.stopping import State
from leaderboards.tables.slicing import Slice


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedCell:
    """How far one cell was scored.

    Attributes:
        detector: Name of the detector.
        condition: Condition as spelt.
        generator: The slice's generator.
        domain: The slice's domain.
        n_real: Real images that were scored.
        n_fake: Fake images that were scored.
        available_real: Real images that the slice has.
        available_fake: Fake images that the slice has.
        state: "target met", "all scored" where it was not, "gate decided" where scoring ended with a gate,
            or "open" in a run that was cut short.
    """

    detector: str
    condition: str
    generator: str
    domain: str
    n_real: int
    n_fake: int
    available_real: int
    available_fake: int
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """The rule by which cells stopped, and where each did.

    Attributes:
        target: Metric and half-width, as ``auc=0.01``.
        rule: The rule in a sentence.
        n_scores: Scores that were made.
        n_available: Scores that there would be, had everything been scored.
        cells: Every cell.
    """

    target: str
    rule: str
    n_scores: int
    n_available: int
    cells: tuple[StoppedCell, ...]

    @property
    def caution(self) -> Caution:
        """Say it all in a paragraph, to stand above the numbers."""
        n_met = sum(cell.state in ("target met", "gate decided") for cell in self.cells)
        return Caution(
            code=f"until {self.target}",
            title=f"SCORED UNTIL {self.target}: {n_met} of {len(self.cells)} cells reached it, with "
            f"{self.n_scores} of {self.n_available} scores",
            advice=f"{self.rule} What was not scored is left out, not counted as wrong; n stands beside "
            "every cell.",
        )


def stopping(
    target: str, cuts: Sequence[Slice], columns: Sequence[ScoreColumn], n_scores: int, rule: str
) -> Stopping:
    """Tell where every cell stopped.

    Args:
        target: The target, as it is spelt.
        cuts: Slices of the samples.
        columns: Score columns, with their reach.
        n_scores: Scores that were made.
        rule: The rule in a sentence.
    """
    cells = []
    for column in columns:
        for cut in cuts:
            part, states = column.part(cut), column.reach.states if column.reach else {}
            cells.append(
                StoppedCell(
                    detector=column.detector,
                    condition=column.condition,
                    generator=cut.generator,
                    domain=cut.domain,
                    n_real=len(part.real_rows),
                    n_fake=len(part.fake_rows),
                    available_real=len(cut.real_rows),
                    available_fake=len(cut.fake_rows),
                    state=states.get((cut.generator, cut.domain), "open"),
                )
            )
    n_available = sum(len(column.logits) for column in columns)
    return Stopping(
        target=target,
        rule=rule,
        n_scores=n_scores,
        n_available=n_available,
        cells=tuple(cells),
    )


def precision_rule(target: Precision) -> str:
    """Say in a sentence where cells stop that have a target of precision."""
    metric = metric_of(target.metric)
    assert metric is not None
    return (
        f"A cell stops at the second look in a row at which the 95% interval of {metric.phrase} is within "
        f"{target.half_width:g} of its middle; looks lie at {STEP} images of its smaller class and at every "
        f"{STEP} more, from {10 * STEP} on a tenth apart. Images come in a seeded order, stratified by "
        "class, generator and domain, groups whole."
    )


GATE_RULE: Final = (
    "All cells were scored in rounds, until `bench gate --sequential` came to a verdict. Images come in a "
    "seeded order, stratified by class, generator and domain, groups whole."
)
