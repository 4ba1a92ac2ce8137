"""A suite says which data, which slices, which conditions and which threshold; it holds no code."""

from __future__ import annotations

import difflib
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bench import registry
from bench.errors import BenchError, nearest
from bench.protocol.condition import Condition, parse
from bench.protocol.threshold import Policy, parse_policy
from bench.support.toml import read_toml

# Other slices are columns that the data set has beside ours, such as "category".
SLICINGS: Final = ("generator", "domain", "generator*domain", "pooled")


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
            it), one a domain, one a pair of both, everything pooled, or one a value of another column of
            the data's table, such as ``category``.
        conditions: Conditions in any spelling; kept in order, made canonical.
        threshold: Policy by which a logit becomes a verdict, made canonical: ``0`` (the trained decision
            point), ``calibrate(split=val, by=balanced-accuracy)``, ``fpr(0.01, split=val)``, ``oracle``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1)]
    description: str = ""
    source: str = ""
    exact: list[str] = []
    assumed: list[str] = []
    dataset: str = "pocket"
    split: str = "test"
    slices: Annotated[list[str], Field(min_length=1)]
    conditions: Annotated[list[str], Field(min_length=1)]
    threshold: str = "0"

    @field_validator("slices")
    @classmethod
    def _cuts(cls, value: list[str]) -> list[str]:
        for cut in value:
            near = difflib.get_close_matches(cut, SLICINGS, n=1, cutoff=0.8)
            if cut not in SLICINGS and (near or "*" in cut or not cut.strip()):
                raise ValueError(f"{cut!r} is no way to cut: {nearest(cut, SLICINGS)}")
        if repeated := sorted({cut for cut in value if value.count(cut) > 1}):
            raise ValueError(f"{repeated[0]} stands twice")
        return value

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

    @property
    def remarks(self) -> list[str]:
        """Source, what is exact and what is assumed, as lines for the board."""
        lines = [f"Protocol after: {self.source}"] if self.source else []
        lines += [f"Exact: {line}" for line in self.exact]
        return lines + [f"Assumed: {line}" for line in self.assumed]

    @property
    def parsed(self) -> list[Condition]:
        """The conditions as objects, ``clean`` first: every drop is measured against it."""
        spelled = ["clean", *(text for text in self.conditions if text != "clean")]
        return [parse(text) for text in spelled]


def load_suite(name_or_path: str) -> Suite:
    """Find a suite by name or read one from a TOML file.

    Raises:
        BenchError: If there is none, or the file is not a suite; names the file and the key.
    """
    path = registry.find_file(registry.suites(), name_or_path, "suite")
    return read_toml(path, Suite, f"no suite file at {path}: check the path")
