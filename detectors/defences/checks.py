"""Checks of a defence's parameters: one sentence each, with the value."""

from __future__ import annotations


def whole(where: str, value: object, low: int, high: int) -> None:
    """Refuse what is no whole number in ``[low, high]``.

    Raises:
        ValueError: Says what it is, and the range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{where} must be a whole number from {low} to {high}, got {value!r}")


def number(where: str, value: object, low: float, high: float) -> None:
    """Refuse what is no number in ``[low, high]``.

    Raises:
        ValueError: Says what it is, and the range.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{where} must be a number from {low:g} to {high:g}, got {value!r}")
