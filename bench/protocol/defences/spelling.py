"""Defences as text: ``jpeg(quality=75)``, ``resizing(low=0.8,eot=20)``; the grammar of conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import registry
from bench.errors import BenchError, nearest
from bench.protocol.call import CallSyntaxError, parameters_of, parse_call

if TYPE_CHECKING:
    from detectors.defences.base import Defence


def parse_defence(text: str) -> Defence:
    """Read a defence from text.

    Raises:
        BenchError: On bad syntax, an unknown name or parameter (suggesting the nearest), or a value that does
            not fit.

    Example:
        >>> parse_defence("jpeg(quality=60)").quality
        60
    """
    try:
        call = parse_call(text)
    except CallSyntaxError as error:
        raise BenchError(f"defence {text!r}: {error}") from error
    table = registry.defences()
    if call.name not in table:
        raise BenchError(f"no defence called {call.name!r}: {nearest(call.name, table)}")
    kind = table[call.name]
    try:
        return kind(**parameters_of(call, kind))
    except (ValueError, TypeError) as error:
        raise BenchError(f"defence {text!r}: {error}") from error
