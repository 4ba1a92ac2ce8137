"""Augmentations are the corruptions by their own names, with ranges and a probability.

``jpeg(quality=30..100)@0.5`` is half the time the very ``jpeg`` a suite measures, at a quality drawn evenly
from 30 to 100 (whole numbers where both ends are whole and the parameter is one); ``jpeg(30..100)`` names
the first parameter. What is drawn depends on (seed, epoch, image) and on nothing else.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench import registry
from bench.errors import BenchError, nearest
from bench.protocol.call import CallSyntaxError, parse_call
from bench.protocol.condition import Condition, parse

if TYPE_CHECKING:
    from corruptions.base import Corruption

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*\.\.\s*({_NUMBER})\s*")


@dataclass(frozen=True, slots=True)
class Augmentation:
    """One corruption with some parameters drawn from ranges.

    Attributes:
        name: The corruption's.
        fixed: Parameters that stay, as text, in the order given.
        ranges: Parameters that are drawn evenly between two ends.
        whole: Which of those are whole numbers.
        chance: Probability with which an image gets it.
    """

    name: str
    fixed: tuple[tuple[str, str], ...]
    ranges: tuple[tuple[str, float, float], ...]
    whole: frozenset[str]
    chance: float

    def __str__(self) -> str:
        """The canonical spelling."""
        inside = [f"{key}={value}" for key, value in self.fixed]
        inside += [f"{key}={low:g}..{high:g}" for key, low, high in self.ranges]
        head = f"{self.name}({','.join(inside)})" if inside else self.name
        return head if self.chance == 1 else f"{head}@{self.chance:g}"

    @property
    def mirrors(self) -> bool:
        """Whether this is a plain flip, which needs no pixel to be computed."""
        return self.name == "flip" and not self.ranges

    @property
    def axis(self) -> int:
        """Of a flip, the axis of an (N, 3, h, w) array that is turned round."""
        return 2 if dict(self.fixed).get("axis") == "vertical" else 3

    def at(self, draws: NDArray[np.float64]) -> Corruption:
        """The corruption with its ranges filled in from numbers in [0, 1), one a range."""
        drawn = []
        for (key, low, high), share in zip(self.ranges, draws, strict=False):
            if key in self.whole:
                value: float = int(low + np.floor(share * (high - low + 1)))
            else:
                value = low + float(share) * (high - low)
            drawn.append((key, value))
        inside = ",".join([*(f"{k}={v}" for k, v in self.fixed), *(f"{k}={v}" for k, v in drawn)])
        return _one(parse(f"{self.name}({inside})"))


def parse_augmentation(text: str) -> Augmentation:
    """Read ``name(key=value,key=low..high)@probability``.

    Raises:
        BenchError: If it cannot be read, is no corruption, or one of its ends is out of range.
    """
    call_text, at, chance = text.partition("@")
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
    hints = typing.get_type_hints(table[name])
    known = [field.name for field in dataclasses.fields(typing.cast(Any, table[name]))]
    fixed: list[tuple[str, str]] = []
    ranges: list[tuple[str, float, float]] = []
    whole: set[str] = set()
    for argument in call.arguments:
        key, value = argument.key or _first_number(known, hints, name), argument.value
        span = _RANGE.fullmatch(value)
        if span is None:
            fixed.append((key, value))
            continue
        low, high = float(span[1]), float(span[2])
        if low > high:
            raise BenchError(f"augmentation {text!r}: {value} runs backwards")
        ranges.append((key, low, high))
        if _is_whole(hints.get(key)) and low.is_integer() and high.is_integer():
            whole.add(key)
    made = Augmentation(
        name, tuple(fixed), tuple(ranges), frozenset(whole), _chance(chance if at else None, text)
    )
    for ends in (np.zeros(len(ranges)), np.full(len(ranges), np.nextafter(1, 0))):
        made.at(
            ends
        )  # both ends must be legal, or the mistake would show in the middle of an epoch
    return made


def _first_number(known: Sequence[str], hints: dict[str, Any], name: str) -> str:
    for key in known:
        kinds = set(typing.get_args(hints[key])) | {hints[key]}
        if kinds & {int, float}:
            return key
    raise BenchError(f"{name} has no number to draw: write {name} alone, or key=value")


def _is_whole(hint: Any) -> bool:
    kinds = set(typing.get_args(hint)) | {hint}
    return int in kinds and float not in kinds


def _chance(text: str | None, where: str) -> float:
    if text is None:
        return 1.0
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise BenchError(
            f"augmentation {where!r}: the probability after @ is above 0 and at most 1"
        )
    return value


def _one(condition: Condition) -> Corruption:
    plugin: Corruption = condition.steps[0].plugin  # type: ignore[assignment]
    return plugin


class Draws:
    """What every image of an epoch gets: a matrix of random numbers by (image, augmentation).

    Args:
        augmentations: In the order in which they act.
        seed: The training's.
        epoch: From 0.
        count: Images of the training set.
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
        """Which of the images get augmentation number ``which``."""
        picked: NDArray[np.bool_] = self._numbers[rows, which, 0] < self.augmentations[which].chance
        return picked

    def apply(self, image: NDArray[np.uint8], row: int) -> NDArray[np.uint8]:
        """One (H, W, 3) uint8 image through all that it gets this time."""
        for which, augmentation in enumerate(self.augmentations):
            numbers = self._numbers[row, which]
            if numbers[0] < augmentation.chance:
                rng = np.random.default_rng([self.seed, self.epoch, row, which])
                image = augmentation.at(numbers[1:])(image, rng)
        return image
