"""One grammar for all that suites and recipes call by name: ``name(value, key=value)``.

Conditions, threshold policies and augmentations are all written so; what a name and its arguments mean is
left to each of them.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.errors import BenchError, nearest

_CALL = re.compile(
    r"\s*(?P<name>[A-Za-z0-9][\w./-]*)\s*(?:\((?P<arguments>[^()]*)\))?\s*", re.ASCII
)


_FRACTION = re.compile(r"([0-9.]+)\s*/\s*([0-9.]+)")


class CallSyntaxError(ValueError):
    """A text that is no call; the message says which part cannot be read."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call.

    Attributes:
        key: Name of the parameter; ``""`` where only a value is written.
        value: The value as text, without the blanks around it.
    """

    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}" if self.key else self.value


@dataclass(frozen=True, slots=True)
class Call:
    """A name with its arguments, as text.

    Attributes:
        name: The name before the parenthesis.
        arguments: Arguments in the order written.
    """

    name: str
    arguments: tuple[Argument, ...] = ()

    @property
    def positional(self) -> tuple[str, ...]:
        """Values that are written without a key."""
        return tuple(argument.value for argument in self.arguments if not argument.key)

    @property
    def keywords(self) -> dict[str, str]:
        """Values that are written with a key, by that key."""
        return {argument.key: argument.value for argument in self.arguments if argument.key}


def parse_call(text: str) -> Call:
    """Read one call from text.

    Args:
        text: For example ``jpeg(quality=75)``, ``fpr(0.01, split=val)`` or ``oracle``.

    Raises:
        CallSyntaxError: If it is none, or gives one key twice.

    Examples:
        >>> parse_call("fpr(0.01, split=val)")
        Call(name='fpr', arguments=(Argument(key='', value='0.01'), Argument(key='split', value='val')))
        >>> parse_call("jpeg(quality=75").name
        Traceback (most recent call last):
        bench.protocol.call.CallSyntaxError: cannot read 'jpeg(quality=75'; write name(key=value,...)
    """
    match = _CALL.fullmatch(text)
    if match is None:
        raise CallSyntaxError(f"cannot read {text.strip()!r}; write name(key=value,...)")
    name = match["name"]
    parts = [part.strip() for part in (match["arguments"] or "").split(",")]
    arguments = tuple(_argument(part) for part in parts if part)
    keys = [argument.key for argument in arguments if argument.key]
    for key in keys:
        if keys.count(key) > 1:
            raise CallSyntaxError(f"{name} is given {key!r} twice; write it once")
    return Call(name, arguments)


def _argument(text: str) -> Argument:
    key, equals, value = (part.strip() for part in text.partition("="))
    return Argument(key, value) if equals else Argument("", text)


def split_chain(text: str, sign: str = "+") -> Sequence[str]:
    """Cut a chain of calls at its plus signs, or at another sign, those inside parentheses left alone.

    Examples:
        >>> split_chain("pgd(eps=8/255)+noise(sigma=1e+0)")
        ['pgd(eps=8/255)', 'noise(sigma=1e+0)']
    """
    parts, depth, start = [], 0, 0
    for position, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == sign and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def parameters_of(call: Call, plugin: type[Any]) -> dict[str, Any]:
    """Convert a call's arguments to the types that a plug-in declares.

    Raises:
        BenchError: A parameter is unknown (suggesting the nearest), or a value is of another type.
    """
    hints = typing.get_type_hints(plugin)
    types_by_name = {field.name: hints[field.name] for field in _fields(plugin)}
    severities = getattr(plugin, "severities", ())
    parameters: dict[str, Any] = {}
    for argument in call.arguments:
        key, where = argument.key, f"{call.name}({argument})"
        if not key:
            first = next(iter(types_by_name), "key")
            example = f"{call.name}({first}={argument.value})"
            raise BenchError(f"{where}: write it as key=value, as in {example}")
        if key == "severity" and severities and "severity" not in types_by_name:
            # What is written out beside a severity overrides what the severity stands for.
            parameters = {**_severity(argument.value, severities, call.name), **parameters}
        elif key not in types_by_name:
            raise BenchError(f"{call.name} has no parameter {key!r}: {nearest(key, types_by_name)}")
        else:
            try:
                parameters[key] = coerce(argument.value, types_by_name[key], where)
            except BenchError as error:
                raise _said_by(plugin, key, argument.value, where) or error from None
    return parameters


def _said_by(plugin: type[Any], key: str, text: str, where: str) -> BenchError | None:
    """Let a plug-in itself refuse a fraction where it wants a whole number: it knows the range."""
    try:
        plugin(**{key: float(text)})
    except ValueError as error:
        return BenchError(f"{where}: {error}") if key in str(error) else None
    except Exception:
        return None
    return None


def _severity(value: str, severities: tuple[dict[str, Any], ...], name: str) -> dict[str, Any]:
    if not value.isdigit() or not 1 <= int(value) <= len(severities):
        raise BenchError(f"{name}(severity={value}): choose 1 to {len(severities)}")
    return dict(severities[int(value) - 1])


def coerce(text: str, hint: Any, where: str) -> Any:
    """Convert the text of a value to what a parameter's type says; ``2/255`` is a number.

    Args:
        text: The value as written.
        hint: The parameter's type: a class, a union with None, or a literal.
        where: Names the place in messages.

    Raises:
        BenchError: The text is no such value.
    """
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
    expected = "a whole number" if kinds & {int} and float not in kinds else "a number"
    raise BenchError(f"{where}: {text!r} is not {expected}")


def _fields(plugin: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(plugin)
