"""Augmentations are the corruptions by their own names, with ranges and a probability.

``jpeg(quality=30..100)@0.5`` is half the time the very ``jpeg`` a suite measures, at a quality drawn evenly
from 30 to 100 (whole numbers where both ends are whole and the parameter is one); ``jpeg(30..100)`` names
the first parameter. What is drawn depends on (seed, epoch, image) and on nothing else.
"""

from __future__ import annotations

import dataclasses
import math
import re
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from bench import registry
from bench.errors import BenchError, nearest
from bench.protocol.call import Call, CallSyntaxError, parse_call
from bench.protocol.condition import parse

if TYPE_CHECKING:
    from corruptions.base import Corruption

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*\.\.\s*({_NUMBER})\s*")


@dataclass(frozen=True, slots=True)
class Range:
    """A parameter that is drawn evenly between two ends.

    Attributes:
        parameter: Name of the corruption's parameter.
        low: Lower end, included.
        high: Upper end; included where the values are whole.
        whole: Whether only whole numbers are drawn.
    """

    parameter: str
    low: float
    high: float
    whole: bool

    def __str__(self) -> str:
        """Write the range as it is spelled in an augmentation."""
        return f"{self.parameter}={self.low:g}..{self.high:g}"

    def value(self, draw: float) -> float:
        """Turn a random number in [0, 1) into a value of the parameter."""
        if self.whole:
            return int(self.low + np.floor(draw * (self.high - self.low + 1)))
        return self.low + draw * (self.high - self.low)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """One corruption with some parameters drawn from ranges.

    Attributes:
        name: Name of the corruption.
        fixed: Parameters that stay, as text, in the order given.
        ranges: Parameters that are drawn evenly between two ends.
        chance: Probability with which an image gets it.
    """

    name: str
    fixed: tuple[tuple[str, str], ...]
    ranges: tuple[Range, ...]
    chance: float

    def __str__(self) -> str:
        """Write the augmentation in its canonical spelling."""
        inside = [f"{key}={value}" for key, value in self.fixed]
        inside += [str(span) for span in self.ranges]
        head = f"{self.name}({','.join(inside)})" if inside else self.name
        return head if self.chance == 1 else f"{head}@{self.chance:g}"

    @property
    def mirrors(self) -> bool:
        """Whether this is a plain flip, which needs no pixel to be computed."""
        return self.name == "flip" and not self.ranges

    @property
    def axis(self) -> int:
        """The axis of an (N, 3, h, w) array that a flip turns round."""
        return 2 if dict(self.fixed).get("axis") == "vertical" else 3

    def corruption(self, draws: Sequence[float] | NDArray[np.float64]) -> Corruption:
        """Make the corruption, its ranges filled in from random numbers.

        Args:
            draws: Numbers in [0, 1), one a range; further ones are not used.
        """
        inside = [f"{key}={value}" for key, value in self.fixed]
        inside += [
            f"{span.parameter}={span.value(float(draw))}"
            for span, draw in zip(self.ranges, draws, strict=False)
        ]
        (step,) = parse(f"{self.name}({','.join(inside)})").steps
        return cast("Corruption", step.plugin)


def parse_augmentation(text: str) -> Augmentation:
    """Read an augmentation: ``name(key=value,key=low..high)@probability``.

    Raises:
        BenchError: If it cannot be read, is no corruption, or one of its ends is out of range.
    """
    call_text, mark, probability = text.partition("@")
    try:
        call = parse_call(call_text)
    except CallSyntaxError as error:
        raise BenchError(f"augmentation {text!r}: write name(key=low..high)@probability") from error
    name = call.name
    table = registry.corruptions()
    if name not in table:
        raise BenchError(
            f"augmentation {text!r}: no corruption called {name!r}: {nearest(name, table)}"
        )
    fixed, ranges = _parameters(call, table[name], text)
    share = _chance(probability if mark else None, text)
    augmentation = Augmentation(name, tuple(fixed), tuple(ranges), share)
    # Both ends must be legal, or the mistake would show in the middle of an epoch.
    for draw in (0.0, math.nextafter(1.0, 0.0)):
        augmentation.corruption([draw] * len(ranges))
    return augmentation


def _parameters(
    call: Call, kind: type[Corruption], text: str
) -> tuple[list[tuple[str, str]], list[Range]]:
    """Read what stands in the brackets: parameters that stay, and those that are drawn."""
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(cast(Any, kind))]
    fixed: list[tuple[str, str]] = []
    ranges: list[Range] = []
    for argument in call.arguments:
        key, value = argument.key or _first_number(names, hints, call.name), argument.value
        span = _RANGE.fullmatch(value)
        if span is None:
            fixed.append((key, value))
            continue
        low, high = float(span[1]), float(span[2])
        if low > high:
            raise BenchError(f"augmentation {text!r}: {value} runs backwards")
        whole = _is_whole(hints.get(key)) and low.is_integer() and high.is_integer()
        ranges.append(Range(key, low, high, whole))
    return fixed, ranges


def _first_number(names: Sequence[str], hints: dict[str, Any], name: str) -> str:
    for key in names:
        kinds = set(typing.get_args(hints[key])) | {hints[key]}
        if kinds & {int, float}:
            return key
    raise BenchError(f"{name} has no number to draw: write {name} alone, or key=value")


def _is_whole(hint: Any) -> bool:
    kinds = set(typing.get_args(hint)) | {hint}
    return int in kinds and float not in kinds


def _chance(probability: str | None, text: str) -> float:
    if probability is None:
        return 1.0
    try:
        value = float(probability)
    except ValueError:
        value = float("nan")
    if not 0 < value <= 1:  # false for nan too
        raise BenchError(f"augmentation {text!r}: the probability after @ is above 0 and at most 1")
    return value


class Draws:
    """What every image of an epoch gets: a matrix of random numbers by (image, augmentation).

    Args:
        augmentations: Augmentations in the order in which they act.
        seed: Seed of the training.
        epoch: Number of the epoch, from 0.
        count: Number of images in the training set.
    """

    def __init__(
        self, augmentations: Sequence[Augmentation], seed: int, epoch: int, count: int
    ) -> None:
        self.augmentations = augmentations
        self.seed, self.epoch = seed, epoch
        width = 1 + max([len(a.ranges) for a in augmentations], default=0)
        rng = np.random.default_rng([seed, epoch, 1])
        self._numbers = rng.random((count, len(augmentations), width))

    def wanted(self, rows: NDArray[np.int64], which: int) -> NDArray[np.bool_]:
        """Say which of the images get augmentation number ``which``: (N,) bool for (N,) rows."""
        selected: NDArray[np.bool_] = (
            self._numbers[rows, which, 0] < self.augmentations[which].chance
        )
        return selected

    def apply(self, image: NDArray[np.uint8], row: int) -> NDArray[np.uint8]:
        """Put one (H, W, 3) uint8 image through all that it gets in this epoch."""
        for which, augmentation in enumerate(self.augmentations):
            numbers = self._numbers[row, which]
            if numbers[0] < augmentation.chance:
                rng = np.random.default_rng([self.seed, self.epoch, row, which])
                image = augmentation.corruption(numbers[1:])(image, rng)
        return image
