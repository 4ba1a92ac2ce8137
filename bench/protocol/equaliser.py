"""The equaliser: a chain of corruptions that stands before every condition, so that files look alike.

It takes a confound away that the files hold: both classes are brought to one size and through one encoder
before anything else is done to them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

from bench.errors import BenchError
from bench.protocol.call import CallSyntaxError, parse_call, split_chain
from bench.protocol.condition import RAW, Condition, Step, parse


def parse_equaliser(text: str) -> Condition:
    """Read an equaliser: a chain of corruptions in which a resize does not return to the old size.

    Raises:
        BenchError: The text is no chain of corruptions, or says that images return to their old size.

    Example:
        >>> str(parse_equaliser("resize(size=256)+jpeg(quality=90)"))
        'resize(size=256,back=false)+jpeg(quality=90)'
    """
    condition = parse(text)
    if not condition.steps:
        raise BenchError(
            "--equalise clean changes nothing: name a chain, such as 'resize(size=256)+jpeg(quality=90)'"
        )
    if not all(step.is_corruption for step in condition.steps):
        raise BenchError(
            f"--equalise {text!r}: an equaliser is made of corruptions, not of attacks or certificates"
        )
    if condition.only:
        raise BenchError(
            f"--equalise {text!r}: an equaliser changes both classes alike: leave only(...) out"
        )
    parts = split_chain(text)
    return Condition(
        tuple(_staying(step, part) for step, part in zip(condition.steps, parts, strict=True))
    )


def _staying(step: Step, text: str) -> Step:
    """Make a step that would return to the old size stay at the new one."""
    plugin = cast(Any, step.plugin)
    if not getattr(plugin, "back", False):
        return step
    try:
        keys = {argument.key for argument in parse_call(text).arguments}
    except CallSyntaxError:  # parsed once before
        keys = set()
    if "back" in keys:
        raise BenchError(
            f"--equalise {text}: back=true brings back the very sizes that are to be equal: leave it out"
        )
    return Step(step.name, dataclasses.replace(plugin, back=False))


def equalised(conditions: Sequence[Condition], equaliser: str) -> list[Condition]:
    """Set an equaliser before every condition, and put the images as they lie beside them.

    Args:
        conditions: Conditions in board order, "clean" first.
        equaliser: The chain as text; "" leaves the conditions as they are.

    Examples:
        >>> [str(c) for c in equalised([parse("clean"), parse("blur(sigma=1)")], "jpeg(quality=90)")]
        ['clean', 'raw', 'blur(sigma=1)']
        >>> equalised([parse("clean")], "jpeg(quality=90)")[0].source_chain
        'jpeg(quality=90,subsampling=4:2:0)'
    """
    if not equaliser:
        return list(conditions)
    chain = parse_equaliser(equaliser).steps
    behind = [dataclasses.replace(condition, equaliser=chain) for condition in conditions]
    return [*behind[:1], Condition(is_raw=True), *behind[1:]]


def parse_behind(text: str, equaliser: str) -> Condition:
    """Read a condition of a protocol that equalises: "raw" is the images as they lie.

    Args:
        text: The condition as such a protocol's boards spell it.
        equaliser: The chain as text; "" where the protocol does not equalise.

    Raises:
        BenchError: As :func:`bench.protocol.condition.parse`.
    """
    if equaliser and text.strip() == RAW:
        return Condition(is_raw=True)
    condition = parse(text)
    if not equaliser:
        return condition
    return dataclasses.replace(condition, equaliser=parse_equaliser(equaliser).steps)
