"""A suite says which data, which slices, which conditions and which threshold; it holds no code."""

from __future__ import annotations

import difflib
import math
from typing import Annotated, Final, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from bench import registry
from bench.errors import BenchError, nearest
from bench.protocol.call import coerce
from bench.protocol.condition import Condition, parse
from bench.protocol.equaliser import equalised, parse_equaliser
from bench.protocol.threshold import Policy, parse_policy
from bench.support.toml import read_toml
from leaderboards.tables.further.parts import PartFacts

Pairing = Literal["layout", "own", "shared", "matched"]
# Other slices are columns that the data set has beside ours, such as "category".
SLICINGS: Final = ("generator", "domain", "generator*domain", "pooled")


def _cut(text: str) -> str:
    """Refuse what is a slip of one of our own words, or no name of a column."""
    near = difflib.get_close_matches(text, SLICINGS, n=1, cutoff=0.8)
    if text not in SLICINGS and (near or "*" in text or not text.strip()):
        raise ValueError(f"{text!r} is no way to cut: {nearest(text, SLICINGS)}")
    return text


Cut = Annotated[str, AfterValidator(_cut)]


def _change(value: object) -> object:
    """Read a size such as ``2/255``, as conditions spell it; anything else is left to the schema."""
    if not isinstance(value, str):
        return value
    try:
        return coerce(value, float, "eps")
    except BenchError as error:
        raise ValueError(str(error)) from error


def _norm_within(condition: Condition, eps: float) -> str:
    """Give the norm of an attack whose budget is ``eps``, or that looks for changes as far as that.

    Raises:
        ValueError: The condition is no such attack.
    """
    attack = condition.attack
    if attack is None:
        raise ValueError(f"{condition} has no budget: eps is for attacks alone")
    if attack.finds_distance and attack.eps < eps * (1 - 1e-9):
        raise ValueError(f"{condition} looks no further than {attack.eps:g}, and eps is {eps:g}")
    if not attack.finds_distance and not math.isclose(attack.eps, eps, rel_tol=1e-9):
        raise ValueError(f"{condition} has another budget than the part's eps, {eps:g}")
    return attack.norm


class Part(BaseModel):
    """One part of a protocol: the worst, image by image, of a list of conditions.

    Attributes:
        name: What the board calls it.
        conditions: Conditions in any spelling, made canonical; the suite runs them all.
        headline: Title of the headline number that it is; "" for none.
        eps: The budget of its attacks, as ``2/255``: the largest change that counts of those that look for
            the smallest one.
        radius: L2 radius that its certificates must reach.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1)]
    conditions: Annotated[list[str], Field(min_length=1)]
    headline: str = ""
    eps: Annotated[float | None, Field(gt=0), BeforeValidator(_change)] = None
    radius: Annotated[float | None, Field(gt=0)] = None

    @field_validator("conditions")
    @classmethod
    def _canonical(cls, value: list[str]) -> list[str]:
        return [str(parse(text)) for text in value]

    @model_validator(mode="after")
    def _of_one_kind(self) -> Part:
        """Refuse a limit that a condition of the part does not keep: the number would claim it."""
        norms = set[str]()
        for condition in map(parse, self.conditions):
            if not condition.steps:
                continue
            if self.radius is not None and condition.certificate is None:
                raise ValueError(
                    f"{condition} certifies nothing: a radius is for certificates alone"
                )
            if self.eps is not None:
                norms.add(_norm_within(condition, self.eps))
        if len(norms) > 1:
            raise ValueError(
                f"eps would be of two norms, {' and '.join(sorted(norms))}: make two parts"
            )
        return self

    def facts(self) -> PartFacts:
        """Describe the part as boards need it."""
        return PartFacts(
            name=self.name,
            conditions=tuple(self.conditions),
            headline=self.headline,
            eps=self.eps,
            radius=self.radius,
        )


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
        equalise: Corruptions that every image of both classes goes through before any condition, such as
            ``resize(size=256)+jpeg(quality=90)``, made canonical; "" leaves images as they lie.
        pairing: Which reals each generator is compared with: those its ``layout`` pairs it with, only its
            ``own``, every source (``shared``), or those of the layout that share their group, a source
            photograph or a prompt, with one of its fakes (``matched``).
        ensemble: "fakes" or "reals": adds the worst case over all conditions that change this class alone,
            image by image; "" adds none.
        parts: Parts of the protocol, each one number on the board; their conditions are run after those of
            ``conditions``.
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
    slices: Annotated[list[Cut], Field(min_length=1)]
    conditions: Annotated[list[str], Field(min_length=1)]
    threshold: str = "0"
    equalise: str = ""
    pairing: Pairing = "layout"
    ensemble: Literal["", "fakes", "reals"] = ""
    parts: list[Part] = []
    requires_audit: bool = False

    @model_validator(mode="after")
    def _with_parts(self) -> Suite:
        known = dict.fromkeys(self.conditions)
        wanted = [text for part in self.parts for text in part.conditions]
        names = [part.name for part in self.parts]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two parts are called {repeated[0]!r}: name one otherwise")
        self.conditions.extend(text for text in dict.fromkeys(wanted) if text not in known)
        return self

    @field_validator("slices")
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
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

    @field_validator("equalise")
    @classmethod
    def _chain(cls, value: str) -> str:
        return _canonical_chain(value)

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
        """Give the same suite behind a chain of corruptions; "" takes the suite's away.

        Raises:
            BenchError: If the text is no chain of corruptions.
        """
        return self.model_copy(update={"equalise": _canonical_chain(text)})

    def asked(
        self,
        *,
        threshold: str | None = None,
        equalise: str | None = None,
        pairing: str | None = None,
    ) -> Suite:
        """Give the same suite with what a command asks for instead; None leaves it as it is.

        Raises:
            BenchError: If one of them cannot be read.
        """
        suite = self if threshold is None else self.with_threshold(threshold)
        suite = suite if equalise is None else suite.with_equaliser(equalise)
        return suite if pairing is None else suite.with_pairing(pairing)

    def with_pairing(self, rule: str) -> Suite:
        """Give the same suite with another pairing of reals.

        Raises:
            BenchError: If there is no such rule.
        """
        if rule not in get_args(Pairing):
            raise BenchError(f"--pairing {rule}: choose {', '.join(get_args(Pairing))}")
        return self.model_copy(update={"pairing": rule})

    @property
    def remarks(self) -> list[str]:
        """Source, what is exact and what is assumed, as lines for the board."""
        lines = [f"Protocol after: {self.source}"] if self.source else []
        lines += [f"Exact: {line}" for line in self.exact]
        return lines + [f"Assumed: {line}" for line in self.assumed]

    @property
    def parsed(self) -> list[Condition]:
        """The conditions as objects, ``clean`` first: every drop is measured against it.

        Where the suite equalises, they all are behind its chain, and ``raw`` follows ``clean``.
        """
        spelled = ["clean", *(text for text in self.conditions if text != "clean")]
        return equalised([parse(text) for text in spelled], self.equalise)

    @property
    def changes_reals_alone(self) -> bool:
        """Whether it asks of reals alone, so that data without fakes can answer it."""
        changed = [condition for condition in self.parsed if condition.steps]
        return bool(changed) and all(condition.only == "reals" for condition in changed)


def _canonical_chain(text: str) -> str:
    return str(parse_equaliser(text)) if text.strip() else ""


def load_suite(name_or_path: str) -> Suite:
    """Find a suite by name or read one from a TOML file.

    Raises:
        BenchError: If there is none, or the file is not a suite; names the file and the key.
    """
    path = registry.find_file(registry.suites(), name_or_path, "suite")
    return read_toml(path, Suite, f"no suite file at {path}: check the path")
