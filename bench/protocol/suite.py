"""A suite says which data, which slices, which conditions and which threshold; it holds no code."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bench import registry
from bench.errors import BenchError
from bench.protocol.condition import Condition, parse
from bench.protocol.equaliser import equalised, parse_equaliser
from bench.protocol.threshold import Policy, parse_policy
from bench.support.toml import read_toml

Slicing = Literal["generator", "domain", "generator*domain", "pooled"]


class Suite(BaseModel):
    """A protocol, as written in one TOML file.

    Attributes:
        name: What the board calls it.
        description: One or two sentences: the question it answers.
        source: Where the protocol comes from; empty for our own.
        exact: What is as in the source, a line each; printed under the board.
        assumed: What is not, or is not stated there, a line each; printed under the board.
        dataset: Name of an embedded set, or a path, used when the command names no data.
        split: Split to score; ``all`` or ``""`` for all of it.
        slices: How images become cells: one cell a generator (its fakes and the reals paired with
            it), one a domain, one a pair of both, or everything pooled.
        conditions: Conditions in any spelling; kept in order, made canonical.
        threshold: Policy by which a logit becomes a verdict, made canonical: ``0`` (the trained decision
            point), ``calibrate(split=val, by=balanced-accuracy)``, ``fpr(0.01, split=val)``, ``oracle``.
        equalise: Chain of corruptions that stands before every condition, made canonical; images are
            scored as they are and equalised. "" for none.
        requires_audit: Whether a data set whose files tell real from fake is refused before anything is
            scored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1)]
    description: str = ""
    source: str = ""
    exact: list[str] = []
    assumed: list[str] = []
    dataset: str = "pocket"
    split: str = "test"
    slices: Annotated[list[Slicing], Field(min_length=1)]
    conditions: Annotated[list[str], Field(min_length=1)]
    threshold: str = "0"
    equalise: str = ""
    requires_audit: bool = False

    @field_validator("conditions")
    @classmethod
    def _canonical(cls, value: list[str]) -> list[str]:
        spelled = [str(parse(text)) for text in value]
        repeated = sorted({text for text in spelled if spelled.count(text) > 1})
        if repeated:
            raise ValueError(f"{repeated[0]} stands twice")
        return spelled

    @field_validator("split")
    @classmethod
    def _whole(cls, value: str) -> str:
        # As on the command line.
        return "" if value == "all" else value

    @field_validator("threshold")
    @classmethod
    def _policy(cls, value: str) -> str:
        return str(parse_policy(value))

    @field_validator("equalise")
    @classmethod
    def _equaliser(cls, value: str) -> str:
        return str(parse_equaliser(value)) if value.strip() else ""

    @property
    def policy(self) -> Policy:
        """The threshold policy as an object."""
        return parse_policy(self.threshold)

    def with_threshold(self, text: str) -> Suite:
        """Give the same suite under another threshold policy.

        Raises:
            BenchError: If the text is no threshold policy.
        """
        try:
            return self.model_copy(update={"threshold": str(parse_policy(text))})
        except ValueError as error:
            raise BenchError(f"--threshold: {error}") from None

    def with_equaliser(self, text: str) -> Suite:
        """Give the same suite with a chain of corruptions before every condition.

        Raises:
            BenchError: If the text is no such chain.
        """
        return self.model_copy(update={"equalise": str(parse_equaliser(text))})

    @property
    def remarks(self) -> list[str]:
        """Source, what is exact and what is assumed, as lines for the board."""
        lines = [f"Protocol after: {self.source}"] if self.source else []
        lines += [f"Exact: {line}" for line in self.exact]
        return lines + [f"Assumed: {line}" for line in self.assumed]

    @property
    def parsed(self) -> list[Condition]:
        """The conditions as objects, ``clean`` first: every drop is measured against it.

        With an equaliser ``clean`` is the images as they are, the next the equaliser alone.
        """
        further = [parse(text) for text in self.conditions if text != "clean"]
        if not self.equalise:
            return [Condition(), *further]
        equaliser = parse_equaliser(self.equalise)
        return [Condition(), *(equalised(equaliser, c) for c in (Condition(), *further))]


def load_suite(name_or_path: str) -> Suite:
    """Find a suite by name or read one from a TOML file.

    Raises:
        BenchError: If there is none, or the file is not a suite; names the file and the key.
    """
    path = registry.find_file(registry.suites(), name_or_path, "suite")
    return read_toml(path, Suite, f"no suite file at {path}: check the path")
