"""Cells of a table to logits: numbers read strictly, probabilities as log-odds, verdicts as a sign."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.datasets import FAKE
from bench.datasets.layouts.words import label_of
from bench.store.run_spec import ScoreKind

# The finest step of a float32 probability below 1: nearer to 0 or 1 none can be told from it.
CLAMP: Final = 2.0**-24
_NUMBER: Final = re.compile(
    r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity)|nan", re.I | re.A
)
_EMPTY: Final = ("", "na", "n/a", "none", "null")

NO_SCORE: Final = "no score"
NOT_FINITE: Final = "not finite"
NO_NUMBER: Final = "not a number"
OUTSIDE: Final = "outside [0, 1]"


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """Values of one column as logits.

    Attributes:
        logits: (n,) float32; nan where there is none.
        faults: (n,) why a value is no score; "" where it is one.
        clamped: (n,) bool: a probability that was brought to the largest log-odds.
    """

    logits: NDArray[np.float32]
    faults: list[str]
    clamped: NDArray[np.bool_]


def parse_number(value: Any) -> float | None:
    """Read a number as files spell it; a decimal comma is one, a blank or a word is None.

    Example:
        >>> parse_number(" 1e-3"), parse_number("0,25"), parse_number("1_000"), parse_number(True)
        (0.001, 0.25, None, None)
    """
    if isinstance(value, bool):
        return None
    try:
        if isinstance(value, int | float | np.number):
            return float(value)
        text = str(value).strip()
        if text.count(",") == 1 and "." not in text:
            text = text.replace(",", ".")
        return float(text) if _NUMBER.fullmatch(text) else None
    except OverflowError:  # an integer of hundreds of digits
        return math.inf


def is_blank(value: Any) -> bool:
    """Tell whether a cell holds nothing."""
    return value is None or (isinstance(value, str) and value.strip().lower() in _EMPTY)


def is_verdict(value: Any) -> bool:
    """Tell whether a cell holds a word for real or AI-generated, and no number."""
    return isinstance(value, str) and label_of(value) is not None


def convert(values: Sequence[Any], kind: ScoreKind) -> Converted:
    """Bring a column of one kind to logits.

    A probability p of the class AI-generated becomes log(p / (1 - p)), p clamped to
    [2^-24, 1 - 2^-24]; a verdict becomes 1 (AI-generated) or -1 (real).

    Example:
        >>> convert(["0.5", "1.0", "nan", "x", ""], "probability").faults
        ['', '', 'not finite', 'not a number', 'no score']
    """
    faults = [NO_SCORE if is_blank(value) else "" for value in values]
    read = [_verdict(value) if kind == "verdict" else parse_number(value) for value in values]
    for row, number in enumerate(read):
        if not faults[row] and number is None:
            faults[row] = NO_NUMBER
    numbers = np.array([math.nan if n is None else n for n in read], dtype=np.float64)
    clamped = np.zeros(len(numbers), dtype=np.bool_)
    if kind == "probability":
        outside = (numbers < 0) | (numbers > 1)
        clamped = ~outside & ((numbers < CLAMP) | (numbers > 1 - CLAMP))
        inside = np.clip(numbers, CLAMP, 1 - CLAMP)
        numbers = np.where(outside, numbers, np.log(inside) - np.log1p(-inside))
    else:
        outside = clamped
    with np.errstate(over="ignore"):
        logits = numbers.astype(np.float32)
    for bad in np.flatnonzero(outside | ~np.isfinite(logits)).tolist():
        if not faults[bad]:
            faults[bad] = OUTSIDE if outside[bad] and np.isfinite(numbers[bad]) else NOT_FINITE
    logits[[bool(fault) for fault in faults]] = np.nan
    return Converted(logits, faults, clamped)


def _verdict(value: Any) -> float | None:
    number = parse_number(int(value) if isinstance(value, bool) else value)
    if number in (0.0, 1.0):
        return 1.0 if number else -1.0
    label = label_of(str(value))
    return None if label is None else (1.0 if label == FAKE else -1.0)
