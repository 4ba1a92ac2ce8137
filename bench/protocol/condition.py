"""Conditions as text and as objects: ``jpeg(quality=75)``, ``pgd(eps=8/255)+jpeg(quality=75)``.

A condition is a chain of steps read left to right. Corruptions before the attack act on the source
image, before the detector's own resize; corruptions after it act on the detector's canvas. ``clean``
is the empty chain. One condition has one canonical spelling, so that equal conditions are equal
cells.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import registry
from bench.errors import BenchError, nearest

if TYPE_CHECKING:
    from attacks.base import Attack
    from corruptions.base import Corruption

CLEAN = "clean"
_STEP = re.compile(r"\s*(?P<name>[A-Za-z][\w./-]*)\s*(?:\((?P<params>[^()]*)\))?\s*", re.ASCII)
_FRACTION = re.compile(r"([0-9.]+)\s*/\s*([0-9.]+)")


@dataclass(frozen=True, slots=True)
class Step:
    """One link of the chain: a name and the plug-in built with its parameters."""

    name: str
    plugin: Corruption | Attack

    @property
    def is_attack(self) -> bool:
        """True for an attack, False for a corruption."""
        return hasattr(self.plugin, "threat")

    def spell(self, *, resolved: bool = False) -> str:
        """The step as text; ``resolved`` writes every parameter, defaults too."""
        shown = [
            f"{field.name}={spell_value(value)}"
            for index, field in enumerate(_fields(self.plugin))
            if (value := getattr(self.plugin, field.name)) is not None
            and (resolved or index == 0 or value != field.default)
        ]
        return f"{self.name}({','.join(shown)})" if shown else self.name


@dataclass(frozen=True, slots=True)
class Condition:
    """A chain of steps with at most one attack."""

    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        return "+".join(step.spell() for step in self.steps) or CLEAN

    @property
    def resolved(self) -> str:
        """The chain with every parameter written out; what a fingerprint covers."""
        return "+".join(step.spell(resolved=True) for step in self.steps) or CLEAN

    @property
    def attack(self) -> Attack | None:
        """The chain's attack, if it has one."""
        return next((typing.cast("Attack", s.plugin) for s in self.steps if s.is_attack), None)

    @property
    def before(self) -> tuple[Step, ...]:
        """Corruptions of the source image."""
        return self.steps[: self._split()]

    @property
    def after(self) -> tuple[Step, ...]:
        """Corruptions of the attacked canvas."""
        return self.steps[self._split() + 1 :]

    def _split(self) -> int:
        return next((i for i, s in enumerate(self.steps) if s.is_attack), len(self.steps))


def parse(text: str) -> Condition:
    """Read a condition.

    Raises:
        BenchError: On bad syntax, an unknown name or parameter (suggesting the nearest), a value
        that
            does not fit, or a chain that makes no sense.
    """
    if text.strip() == CLEAN:
        return Condition()
    steps = tuple(_parse_step(part, text) for part in _split_chain(text))
    if sum(step.is_attack for step in steps) > 1:
        raise BenchError(f"condition {text!r} has two attacks: a chain may hold one")
    condition = Condition(steps)
    if getattr(condition.attack, "aware", False) and not condition.after:
        raise BenchError(
            f"condition {text!r}: aware=true, and no corruption follows: add one, as in "
            "pgd(aware=true)+jpeg(quality=75)"
        )
    for step in condition.after:
        if not getattr(step.plugin, "keeps_size", True):
            raise BenchError(
                f"condition {text!r}: {step.name} after an attack changes the canvas's size; "
                "put it before the attack, or bring it back to size"
            )
    return condition


def each_surrogate(conditions: Sequence[Condition], names: Sequence[str]) -> list[Condition]:
    """The conditions, with ``surrogate=each`` written out: one condition a detector of the run."""
    found: list[Condition] = []
    for condition in conditions:
        if getattr(condition.attack, "surrogate", None) != "each":
            found.append(condition)
            continue
        for name in names:
            steps = [
                Step(s.name, dataclasses.replace(typing.cast(Any, s.plugin), surrogate=name))
                if s.is_attack
                else s
                for s in condition.steps
            ]
            found.append(Condition(tuple(steps)))
    return list({str(condition): condition for condition in found}.values())


def _split_chain(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for position, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "+" and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def _parse_step(part: str, text: str) -> Step:
    match = _STEP.fullmatch(part)
    if match is None:
        raise BenchError(
            f"condition {text!r}: cannot read {part.strip()!r}; "
            "write name(key=value,...), steps joined by +"
        )
    name = match["name"]
    if name == CLEAN:
        raise BenchError(f"condition {text!r}: 'clean' is the empty chain and joins nothing")
    plugin: type[Any] | None = registry.corruptions().get(name)
    if plugin is None:
        plugin = registry.attacks().get(name)
    if plugin is None and (reason := registry.refused_attack(name)):
        raise BenchError(f"condition {text!r}: {name} is not offered: {reason}")
    if plugin is None:
        known = [*registry.corruptions(), *registry.attacks()]
        raise BenchError(f"no corruption or attack called {name!r}: {nearest(name, known)}")
    params = _parse_params(match["params"] or "", plugin, name)
    try:
        return Step(name, plugin(**params))
    except (ValueError, TypeError) as error:
        raise BenchError(f"condition {text!r}: {error}") from error


def _parse_params(text: str, plugin: type[Any], name: str) -> dict[str, Any]:
    hints = typing.get_type_hints(plugin)
    known = {field.name: hints[field.name] for field in _fields(plugin)}
    severities = getattr(plugin, "severities", ())
    params: dict[str, Any] = {}
    for item in filter(None, (piece.strip() for piece in text.split(","))):
        key, equals, value = (piece.strip() for piece in item.partition("="))
        if not equals:
            raise BenchError(f"{name}({item}): write it as key=value")
        if key == "severity" and severities and "severity" not in known:
            params = {**_severity(value, severities, name), **params}
        elif key not in known:
            raise BenchError(f"{name} has no parameter {key!r}: {nearest(key, known)}")
        else:
            params[key] = _coerce(value, known[key], f"{name}({item})")
    return params


def _severity(value: str, severities: tuple[dict[str, Any], ...], name: str) -> dict[str, Any]:
    if not value.isdigit() or not 1 <= int(value) <= len(severities):
        raise BenchError(f"{name}(severity={value}): choose 1 to {len(severities)}")
    return dict(severities[int(value) - 1])


def _coerce(text: str, hint: Any, where: str) -> Any:
    kinds = set(typing.get_args(hint)) if isinstance(hint, types.UnionType) else {hint}
    if text.lower() == "none" and type(None) in kinds:
        return None
    if bool in kinds:
        if text.lower() not in ("true", "false"):
            raise BenchError(f"{where}: write true or false")
        return text.lower() == "true"
    try:
        if int in kinds and re.fullmatch(r"[+-]?\d+", text):
            return int(text)
        if float in kinds:
            fraction = _FRACTION.fullmatch(text)
            return float(fraction[1]) / float(fraction[2]) if fraction else float(text)
    except (ValueError, ZeroDivisionError):
        pass
    if str in kinds or any(typing.get_origin(kind) is typing.Literal for kind in kinds):
        return text.strip("\"'")
    wanted = "a whole number" if kinds & {int} and float not in kinds else "a number"
    raise BenchError(f"{where}: {text!r} is not {wanted}")


def spell_value(value: Any) -> str:
    """A parameter's value as it stands in a condition: ``8/255``, ``true``, ``2``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        levels = round(value * 255)
        if levels and value == levels / 255 and not float(value * 100).is_integer():
            return f"{levels}/255"
        return repr(int(value)) if value.is_integer() else repr(value)
    return str(value)


def _fields(plugin: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(plugin)
