"""Checks of parameters: one sentence each, with the value and the nearest valid one."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real


def whole(where: str, value: object, low: int, high: int) -> int:
    """Read the value as an ``int`` in ``[low, high]``.

    Args:
        where: What the value is, such as ``"jpeg quality"``; opens the message.
        value: What the caller gave; a ``bool`` is not a number here.
        low: Smallest valid value.
        high: Largest valid value.

    Raises:
        ValueError: Not a whole number, or outside the range.
    """
    rule = f"{where} must be a whole number from {low} to {high}, got {value!r}"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(rule)
    number = int(value)
    if not low <= number <= high:
        raise ValueError(f"{rule}; the nearest valid one is {min(max(number, low), high)}")
    return number


def real(where: str, value: object, low: float, high: float) -> float:
    """Read the value as a ``float`` in ``[low, high]``, so that ``1`` and ``1.0`` are one parameter.

    Raises:
        ValueError: Not a finite number, or outside the range.
    """
    bounds = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of at least {low:g}"
    rule = f"{where} must be a number {bounds}, got {value!r}"
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(rule)
    number = float(value)
    if not low <= number <= high:
        raise ValueError(f"{rule}; the nearest valid one is {min(max(number, low), high):g}")
    return number


def choice(where: str, value: object, options: Iterable[str]) -> str:
    """Return the value, where it is one of the options.

    Raises:
        ValueError: It is not; the message lists them and names the nearest.
    """
    names = list(options)
    if isinstance(value, str) and value in names:
        return value
    near = difflib.get_close_matches(str(value).lower(), names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{where} must be one of {', '.join(names)}, got {value!r}{hint}")


def flag(where: str, value: object) -> bool:
    """Return the value, where it is ``True`` or ``False``.

    Raises:
        ValueError: It is anything else, ``0`` and ``1`` included.
    """
    if isinstance(value, bool):
        return value
    raise ValueError(f"{where} must be true or false, got {value!r}")
