"""What the gate asks for: ``gate.toml``, overridden by the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bench.errors import BenchError, nearest
from bench.support.toml import first_fault, parse_toml
from leaderboards.gate import Rules
from leaderboards.statistics.catalogue import every_metric, paired_metrics
from leaderboards.statistics.paired_cells import CellName


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


def _is_among(cell: CellName, primary: Sequence[Primary]) -> bool:
    return not primary or any(rule.matches(cell) for rule in primary)


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
        new: Whether cells that the baseline's data do not hold are noted or block (INCONCLUSIVE).
        gone: Whether cells that the candidate's data no longer hold block (INCOMPLETE) or are noted.
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
    new: Literal["note", "block"] = "note"
    gone: Literal["note", "block"] = "block"

    @field_validator("metric")
    @classmethod
    def _check_metric(cls, value: str) -> str:
        tested = paired_metrics()
        if value not in tested:
            raise ValueError(f"no test for {value!r}: {nearest(value, tested)}")
        return value

    @field_validator("floors")
    @classmethod
    def _check_floors(cls, value: dict[str, float]) -> dict[str, float]:
        # Metrics whose lower bound is known cell by cell.
        bounded = [metric.name for metric in every_metric() if metric.interval]
        for key, minimum in value.items():
            metric = key.partition("@")[0]
            if metric not in bounded:
                raise ValueError(f"no lower bound for {metric!r}: {nearest(metric, bounded)}")
            if not 0 <= minimum <= 1:
                raise ValueError(f"a floor lies in [0, 1], got {minimum!r} for {key}")
        return value

    def gates(self, cell: CellName) -> bool:
        """Say whether the cell of that name is gated."""
        return _is_among(cell, self.primary)

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
        key, reason = first_fault(error, GateRules)
        raise BenchError(f"{path or 'gate rules'}: {key}: {reason}") from error
