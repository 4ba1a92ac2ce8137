"""Threshold policies as a suite spells them: a logit, ``calibrate(...)``, ``fpr(...)``, ``oracle``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray
from scipy.special import expit, logit

from bench.protocol.call import Call, CallSyntaxError, parse_call
from leaderboards.statistics.thresholds import at_false_positive_rate, best_balanced_accuracy

_KNOWN = (
    "a logit such as 0 or 0.385, probability(0.385), calibrate(split=val, by=balanced-accuracy), "
    "fpr(0.01, split=val) or oracle"
)


@dataclass(frozen=True, slots=True)
class Policy:
    """How a logit becomes a verdict.

    Attributes:
        kind: ``zero``: logit 0. ``fixed``: another logit that a person sets.
            ``calibrate``: largest balanced accuracy on a validation split.
            ``fpr``: a false-positive rate on its reals. ``oracle``: largest balanced accuracy on the
            scored images themselves, which no user has.
        split: Split that is calibrated on; ``""`` for the others.
        fpr: False-positive rate of ``fpr``, between 0 and 1; nan for the others.
        value: The logit of ``fixed``; 0 for the others.
    """

    kind: Literal["zero", "fixed", "calibrate", "fpr", "oracle"]
    split: str = ""
    fpr: float = math.nan
    value: float = 0.0

    def __str__(self) -> str:
        """The canonical spelling."""
        return {
            "zero": "0",
            "fixed": repr(self.value),
            "oracle": "oracle",
            "calibrate": f"calibrate(split={self.split},by=balanced-accuracy)",
            "fpr": f"fpr({self.fpr:g},split={self.split})",
        }[self.kind]

    @property
    def description(self) -> str:
        """The policy in words, for the board."""
        return {
            "zero": "logit 0, the decision point the detector was trained with; fitted on nothing",
            "fixed": f"logit {self.value:.6g} (probability {expit(self.value):.4g}), set by hand; fitted on "
            "nothing here",
            "calibrate": f"largest balanced accuracy on clean images of split {self.split!r}, carried "
            "unchanged to every condition",
            "fpr": f"false-positive rate {self.fpr:g} on clean real images of split {self.split!r}, "
            "carried unchanged to every condition",
            "oracle": "ORACLE, fitted on the scored images themselves (largest balanced accuracy, "
            "clean): an upper bound that no user reaches",
        }[self.kind]

    def choose(self, labels: NDArray[Any], logits: NDArray[Any]) -> float:
        """Choose the threshold from clean scores.

        Raises:
            ValueError: The scores do not allow it.
        """
        if self.kind in ("zero", "fixed"):
            return self.value
        if self.kind == "fpr":
            return at_false_positive_rate(labels, logits, self.fpr)
        return best_balanced_accuracy(labels, logits)


def parse_policy(text: str) -> Policy:
    """Read a policy from text; a plain number is a logit, as all thresholds of boards are.

    Raises:
        ValueError: If it is none; lists those there are.

    Examples:
        >>> str(parse_policy("fpr(0.01)"))
        'fpr(0.01,split=val)'
        >>> str(parse_policy("0.385")), str(parse_policy("probability(0.75)"))
        ('0.385', '1.0986122886681098')
    """
    refusal = ValueError(f"{text!r} is no threshold policy: write {_KNOWN}")
    number = _number(text)
    if number is not None:
        return Policy("fixed", value=number) if number else Policy("zero")
    try:
        call = parse_call(text)
    except CallSyntaxError as error:
        raise refusal from error
    keywords = call.keywords
    split = keywords.pop("split", "val")
    if call == Call("oracle"):
        return Policy("oracle")
    if not re.fullmatch(r"[\w.-]+", split):
        raise refusal
    if call.name == "calibrate" and not call.positional:
        if keywords.pop("by", "balanced-accuracy") == "balanced-accuracy" and not keywords:
            return Policy("calibrate", split)
    elif call.name == "fpr" and len(call.positional) == 1 and not keywords:
        rate = _rate(call.positional[0])
        if rate is not None:
            return Policy("fpr", split, rate)
    elif call.name == "probability" and len(call.positional) == 1 and not call.keywords:
        rate = _rate(call.positional[0])
        if rate is not None:
            return Policy("zero") if rate == 0.5 else Policy("fixed", value=float(logit(rate)))
    raise refusal


def _number(text: str) -> float | None:
    """Read a finite number; None for anything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _rate(text: str) -> float | None:
    """Read a number between 0 and 1, both excluded; None for anything else."""
    try:
        rate = float(text)
    except ValueError:
        return None
    return rate if 0 < rate < 1 else None
