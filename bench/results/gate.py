"""The regression gate: read two sets of scores, judge, and decide the exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

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
from bench.results.pairing import Paired, load_scores, pair
from bench.support.toml import first_fault, parse_toml
from leaderboards.gate import Decision, Rules, Verdict, floor_verdict, judge, outcome
from leaderboards.statistics.metrics import Metrics, evaluate
from leaderboards.statistics.paired_cells import METRICS, PairedCell
from leaderboards.tables.cells import CLEAN

EXITS: Mapping[Decision, int] = {
    "PASS": EXIT_OK,
    "FAIL": EXIT_REGRESSION,
    "INCONCLUSIVE": EXIT_INCONCLUSIVE,
    "INCOMPLETE": EXIT_INCOMPLETE,
}
# Metrics whose lower bound is known cell by cell.
FLOORED = tuple(
    name for name in Metrics.__dataclass_fields__ if f"{name}_lo" in Metrics.__dataclass_fields__
)


class Primary(BaseModel):
    """Which cells are gated; what is left out matches anything."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    detector: str | None = None
    generator: str | None = None
    domain: str | None = None
    condition: str | None = None

    def holds(self, name: tuple[str, str, str, str]) -> bool:
        """Whether the cell of that name is one of them."""
        wanted = (self.detector, self.generator, self.domain, self.condition)
        return all(want in (None, have) for want, have in zip(wanted, name, strict=True))


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
    def _known(cls, value: str) -> str:
        if value not in METRICS:
            raise ValueError(f"no test for {value!r}: {nearest(value, METRICS)}")
        return value

    @field_validator("floors")
    @classmethod
    def _bounded(cls, value: dict[str, float]) -> dict[str, float]:
        for key, minimum in value.items():
            metric = key.partition("@")[0]
            if metric not in FLOORED:
                raise ValueError(f"no lower bound for {metric!r}: {nearest(metric, FLOORED)}")
            if not 0 <= minimum <= 1:
                raise ValueError(f"a floor lies in [0, 1], got {minimum!r} for {key}")
        return value

    @property
    def test(self) -> Rules:
        """The statistical part."""
        return Rules(
            metric=self.metric,
            margin=self.margin,
            level=self.level,
            mode=self.mode,
            min_images=self.min_images,
            blind=self.blind,
        )


@dataclass(frozen=True, slots=True)
class GateResult:
    """What the gate says.

    Attributes:
        candidate: Where the candidate's scores come from.
        baseline: Where the baseline's do.
        dataset: The data set's name.
        policy: How the threshold came about.
        rules: What was asked.
        verdicts: One a cell, then a macro mean a detector.
        floors: One a floor and cell; their names end in the metric.
        notes: What a reader should know.
        decision: The one word.
    """

    candidate: str
    baseline: str
    dataset: str
    policy: str
    rules: GateRules
    verdicts: tuple[Verdict, ...]
    floors: tuple[tuple[str, Verdict], ...]
    notes: tuple[str, ...]
    decision: Decision

    @property
    def exit_code(self) -> int:
        """0, 10, 11 or 12."""
        return EXITS[self.decision]


def load_rules(path: Path | None, overrides: Mapping[str, Any], floors: Sequence[str]) -> GateRules:
    """``gate.toml`` with the command line on top.

    Args:
        path: The file; ``None`` takes ``gate.toml`` of the working folder where there is one.
        overrides: Keys given on the command line; ``None`` is not given.
        floors: ``METRIC[@CONDITION]=VALUE`` each.

    Raises:
        BenchError: If the file or a value is wrong; names the key.
    """
    if path is None and Path("gate.toml").is_file():
        path = Path("gate.toml")
    given: dict[str, Any] = {}
    if path is not None:
        given = parse_toml(path, f"no rules at {path}: check the path")
    given |= {key: value for key, value in overrides.items() if value is not None}
    for item in floors:
        key, _, value = item.rpartition("=")
        try:
            given.setdefault("floors", {})[key] = float(value)
        except (ValueError, TypeError, AttributeError):
            raise BenchError(f"--min {item}: write METRIC=VALUE, for example auc=0.8") from None
    try:
        return GateRules.model_validate(given)
    except ValidationError as error:
        key, says = first_fault(error)
        raise BenchError(f"{path or 'gate rules'}: {key}: {says}") from error


def gate(candidate: Path, baseline: Path, rules: GateRules) -> GateResult:
    """Hold a run against a baseline.

    Args:
        candidate: A run's folder.
        baseline: Another, or a ``baseline.json``.
        rules: What is asked.

    Raises:
        NoBaselineError: There is no baseline.
        BenchError: The two cannot be compared.
        NothingSelectedError: No cell is gated.
    """
    then = load_scores(baseline, role="baseline")
    now = load_scores(candidate)
    paired = pair(then, now)
    cells, lacking = _primary(paired, rules)
    verdicts = judge(cells, rules.test, paired.strata, paired.clusters)
    verdicts += [
        Verdict(name=name, decision="INCOMPLETE", reason=reason) for name, reason in lacking.items()
    ]
    floors = _floors(cells, rules)
    notes = list(paired.notes)
    for scored in (then, now):
        if scored.limit is not None:
            notes.append(f"{scored.name} is a limited run ({scored.limit} images): never a pass")
    decision = outcome([*verdicts, *(verdict for _, verdict in floors)], rules.mode)
    if decision != "FAIL" and any(scored.limit is not None for scored in (then, now)):
        decision = "INCOMPLETE"
    return GateResult(
        now.name, then.name, now.dataset, str(now.protocol["threshold"]), rules,
        tuple(verdicts), tuple(floors), tuple(notes), decision,
    )  # fmt: skip


def _primary(
    paired: Paired, rules: GateRules
) -> tuple[list[PairedCell], dict[tuple[str, str, str, str], str]]:
    def chosen(name: tuple[str, str, str, str]) -> bool:
        return not rules.primary or any(one.holds(name) for one in rules.primary)

    names = [*(cell.name for cell in paired.cells), *paired.lacking]
    for one in rules.primary:
        if not any(one.holds(name) for name in names):
            told = one.model_dump(exclude_none=True)
            known = sorted({name[3] for name in names})
            raise NothingSelectedError(f"no cell is {told}; conditions: {', '.join(known)}")
    cells = [cell for cell in paired.cells if chosen(cell.name)]
    lacking = {name: reason for name, reason in paired.lacking.items() if chosen(name)}
    if not cells and not lacking:
        raise NothingSelectedError("there is no cell to gate: the suite has none in common")
    return cells, lacking


def _floors(cells: Sequence[PairedCell], rules: GateRules) -> list[tuple[str, Verdict]]:
    found: list[tuple[str, Verdict]] = []
    for key, minimum in rules.floors.items():
        metric, _, condition = key.partition("@")
        wanted = [c for c in cells if (condition or CLEAN) in ("*", c.name[3])]
        if not wanted:
            raise NothingSelectedError(f"floor {key}: no gated cell under {condition or CLEAN!r}")
        for cell in wanted:
            m = evaluate(cell.labels, cell.candidate[cell.rows], cell.thresholds[1]).as_dict()
            value, lo = float(m[metric]), float(m[f"{metric}_lo"])
            found.append((metric, floor_verdict(cell.name, value, lo, minimum, cell.counts)))
    return found
