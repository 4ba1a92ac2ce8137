"""Severity series of a suite: conditions that are one corruption at several strengths."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

from bench.protocol.condition import ONLY, Condition, Step


def curves(conditions: Sequence[Condition]) -> dict[str, tuple[str, int]]:
    """Map each condition to its (series, strength), for every chain of corruptions without an attack.

    A severity series is what is left of a chain when its numbers are taken out: ``jpeg(quality=90)`` and
    ``jpeg(quality=30)`` are ``jpeg``; ``resize(size=112,back=false)`` and
    ``resize(size=64,back=false)`` are ``resize(size,back=false)``; a chain alone in its series keeps
    its own name. Strength counts from 1, mild to harsh: by the number itself where a series differs
    in one number whose direction the corruption's severities give, else in the suite's order.
    """
    groups: dict[str, list[Condition]] = {}
    for condition in conditions:
        if condition.steps and all(step.is_corruption for step in condition.steps):
            key = "+".join(
                [condition.only, *(_spell(step, set(_numbers(step))) for step in condition.steps)]
            )
            groups.setdefault(key, []).append(condition)
    places: dict[str, tuple[str, int]] = {}
    for members in groups.values():
        name = _name(members)
        for strength, condition in enumerate(_by_strength(members), start=1):
            places[str(condition)] = (name, strength)
    return {str(c): places[str(c)] for c in conditions if str(c) in places}


def _name(members: Sequence[Condition]) -> str:
    """Name a series: its chain with only the numbers that vary, by name; a lone chain as it is."""
    if len(members) == 1:
        return str(members[0])
    varying = _varying(members)
    parts = []
    for position, step in enumerate(members[0].steps):
        named = {number.parameter for number in varying if number.position == position}
        # The parameter a corruption is about goes without saying: ``jpeg``, not ``jpeg(quality)``.
        if named == {_fields(step)[0].name}:
            named = set()
        parts.append(_spell(step, named))
    return "+".join([*([f"{ONLY}({members[0].only})"] if members[0].only else []), *parts])


def _spell(step: Step, named: set[str]) -> str:
    """Write the step without its numbers: the ones in ``named`` by name, words as they are."""
    shown = []
    for index, field in enumerate(_fields(step)):
        value = getattr(step.plugin, field.name)
        if _is_number(value):
            shown += [field.name] if field.name in named else []
        elif value is not None and (index == 0 or value != field.default):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            shown.append(f"{field.name}={text}")
    return f"{step.name}({','.join(shown)})" if shown else step.name


class _Number(NamedTuple):
    """A numeric parameter of a chain: position of its step, and its name there."""

    position: int
    parameter: str


def _varying(members: Sequence[Condition]) -> list[_Number]:
    """List every number that differs between the members."""
    return [
        _Number(position, name)
        for position, step in enumerate(members[0].steps)
        for name in _numbers(step)
        if len({getattr(c.steps[position].plugin, name) for c in members}) > 1
    ]


def _by_strength(members: Sequence[Condition]) -> list[Condition]:
    varying = _varying(members)
    if len(varying) != 1:
        return list(members)
    position, name = varying[0]
    severities = getattr(members[0].steps[position].plugin, "severities", ())
    if not severities or any(name not in severities[end] for end in (0, -1)):
        return list(members)
    harsh_is_small = severities[0][name] > severities[-1][name]
    return sorted(
        members, key=lambda c: getattr(c.steps[position].plugin, name), reverse=harsh_is_small
    )


def _numbers(step: Step) -> list[str]:
    return [f.name for f in _fields(step) if _is_number(getattr(step.plugin, f.name))]


def _fields(step: Step) -> tuple[dataclasses.Field[Any], ...]:
    plugin: Any = step.plugin
    return dataclasses.fields(plugin)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
