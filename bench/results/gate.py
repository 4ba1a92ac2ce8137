"""The regression gate: read two sets of scores, judge, and decide the exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bench.errors import (
    EXIT_INCOMPLETE,
    EXIT_INCONCLUSIVE,
    EXIT_OK,
    EXIT_REGRESSION,
    BenchError,
    NothingSelectedError,
    nearest,
)
from bench.results.pairing import PairedScores, data_notes, load_scores, pair, undefined_notes
from bench.results.scores import ScoreTable
from bench.support.toml import first_fault, parse_toml
from leaderboards.gate import Decision, Rules, Verdict, floor_verdict, judge, outcome
from leaderboards.statistics.catalogue import CATALOGUE
from leaderboards.statistics.metrics import measure
from leaderboards.statistics.paired_cells import METRICS, CellName, PairedCell
from leaderboards.tables.cells import CLEAN
from leaderboards.tables.notes import Caution

EXITS: Mapping[Decision, int] = {
    "PASS": EXIT_OK,
    "FAIL": EXIT_REGRESSION,
    "INCONCLUSIVE": EXIT_INCONCLUSIVE,
    "INCOMPLETE": EXIT_INCOMPLETE,
}
# Metrics whose lower bound is known cell by cell.
FLOORED = tuple(metric.name for metric in CATALOGUE if metric.interval)


class Primary(BaseModel):
    """Cells that are gated; a key that is left out matches anything.

    Attributes:
        detector: The candidate's name of the detector.
        generator: The slice's generator.
        domain: The slice's domain.
        condition: The condition's canonical spelling.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    detector: str | None = None
    generator: str | None = None
    domain: str | None = None
    condition: str | None = None

    def matches(self, cell: CellName) -> bool:
        """Whether the cell of that name is gated."""
        return (
            self.detector in (None, cell.detector)
            and self.generator in (None, cell.generator)
            and self.domain in (None, cell.domain)
            and self.condition in (None, cell.condition)
        )


class GateRules(BaseModel):
    """``gate.toml``: what the gate asks for; every key may be left out.

    Attributes:
        metric: Metric that is tested.
        margin: A drop up to this is no regression.
        level: Chance of any false alarm, and of a wrong PASS in each cell.
        mode: ``regression`` blocks on FAIL, ``non-inferior`` wants every cell to PASS.
        min_images: Fewer of either class decide nothing.
        blind: A drop of this size must not be missed more than one time in five.
        primary: Cells that are gated; all by default.
        floors: ``metric`` or ``metric@condition`` (``*``: every condition) to the least value that
            the lower end of the 95% interval must reach; clean by default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str = "auc"
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.01
    level: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    mode: Literal["regression", "non-inferior"] = "regression"
    min_images: Annotated[int, Field(ge=2)] = 20
    blind: Annotated[float, Field(gt=0, le=1)] = 0.1
    primary: tuple[Primary, ...] = ()
    floors: dict[str, float] = Field(default_factory=dict)

    @field_validator("metric")
    @classmethod
    def _check_metric(cls, value: str) -> str:
        if value not in METRICS:
            raise ValueError(f"no test for {value!r}: {nearest(value, METRICS)}")
        return value

    @field_validator("floors")
    @classmethod
    def _check_floors(cls, value: dict[str, float]) -> dict[str, float]:
        for key, minimum in value.items():
            metric = key.partition("@")[0]
            if metric not in FLOORED:
                raise ValueError(f"no lower bound for {metric!r}: {nearest(metric, FLOORED)}")
            if not 0 <= minimum <= 1:
                raise ValueError(f"a floor lies in [0, 1], got {minimum!r} for {key}")
        return value

    @property
    def test(self) -> Rules:
        """The part of the rules that the statistical test goes by."""
        return Rules(
            metric=self.metric,
            margin=self.margin,
            level=self.level,
            mode=self.mode,
            min_images=self.min_images,
            blind=self.blind,
        )


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


def load_rules(path: Path | None, overrides: Mapping[str, Any], floors: Sequence[str]) -> GateRules:
    """Read ``gate.toml``, and let the command line override it.

    Args:
        path: The file; ``None`` takes ``gate.toml`` of the working folder where there is one.
        overrides: Keys given on the command line; ``None`` is not given.
        floors: ``METRIC[@CONDITION]=VALUE`` each.

    Raises:
        BenchError: If the file or a value is wrong; names the key.
    """
    if path is None and Path("gate.toml").is_file():
        path = Path("gate.toml")
    values = {} if path is None else parse_toml(path, f"no rules at {path}: check the path")
    values |= {key: value for key, value in overrides.items() if value is not None}
    for item in floors:
        key, _, value = item.rpartition("=")
        try:
            values.setdefault("floors", {})[key] = float(value)
        except (ValueError, TypeError, AttributeError):
            raise BenchError(f"--min {item}: write METRIC=VALUE, for example auc=0.8") from None
    try:
        return GateRules.model_validate(values)
    except ValidationError as error:
        key, reason = first_fault(error)
        raise BenchError(f"{path or 'gate rules'}: {key}: {reason}") from error


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
    paired = pair(before, after)
    cells, lacking = _gated(paired, rules.primary)
    tested = [cell for cell in cells if cell.allows(rules.metric)]
    verdicts = judge(tested, rules.test, paired.strata, paired.clusters)
    verdicts += [
        Verdict(name=name, decision="INCOMPLETE", reason=reason) for name, reason in lacking.items()
    ]
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
            *undefined_notes(cells, rules.metric),
            *limits,
            *data_notes(before, after),
        ),
        decision=decision,
        cautions=paired.cautions,
    )


def _limit_note(scores: ScoreTable) -> str:
    return f"{scores.name} is a limited run ({scores.limit} images): never a pass"


def _gated(
    paired: PairedScores, primary: Sequence[Primary]
) -> tuple[list[PairedCell], dict[CellName, str]]:
    """Select the cells that are gated, all where no primary cell is named.

    Returns:
        Cells scored by both, and the name of each other cell, to the reason.

    Raises:
        NothingSelectedError: A primary cell that does not exist, or no cell at all.
    """
    names = [*(CellName(*cell.name) for cell in paired.cells), *paired.lacking]
    for rule in primary:
        if not any(rule.matches(name) for name in names):
            conditions = sorted({name.condition for name in names})
            raise NothingSelectedError(
                f"no cell is {rule.model_dump(exclude_none=True)}; conditions: {', '.join(conditions)}"
            )

    def is_gated(name: CellName) -> bool:
        return not primary or any(rule.matches(name) for rule in primary)

    cells = [cell for cell in paired.cells if is_gated(CellName(*cell.name))]
    lacking = {name: reason for name, reason in paired.lacking.items() if is_gated(name)}
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
            raise NothingSelectedError(f"floor {key}: no gated cell under {condition!r}")
        for cell in chosen:
            _, threshold = cell.thresholds
            values = measure(cell.labels, cell.candidate[cell.rows], threshold)
            value, lower = float(values[metric]), float(values[f"{metric}_lo"])
            verdict = floor_verdict(cell.name, value, lower, minimum, cell.counts)
            floors.append(Floor(metric, verdict))
    return floors
