"""What the texts after options mean: names, numbers, files by detector."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from bench.errors import BenchError, nearest
from bench.results.formats import choices

if TYPE_CHECKING:
    from detectors.card import FakeLogit

_SHORT = 4  # so short a value is near to anything
FAKE_LOGITS = ("z", "-z", "z1-z0", "z0-z1")


def check_choice(flag: str, value: str, names: Sequence[str]) -> None:
    """Refuse a value that is not among an option's choices.

    Raises:
        BenchError: If it is not; names the flag, the value and the choices.
    """
    if value not in names:
        close = nearest(value, names) if len(value) > _SHORT else ""
        near = f"{close} " if close.startswith("did you mean") else ""
        raise BenchError(f"{flag} {value}: {near}choose {choices(names)}")


def drop_unset(**values: Any) -> dict[str, Any]:
    """Keep the options that were set: those that are not ``None``."""
    return {key: value for key, value in values.items() if value is not None}


def split_names(text: str) -> list[str] | None:
    """Split names at commas; ``None`` where there are none."""
    return [name.strip() for name in text.split(",") if name.strip()] or None


def parse_batch_size(value: str) -> int | None:
    """Read ``auto`` as ``None``, or a whole number.

    Raises:
        BenchError: If it is neither.
    """
    if value == "auto":
        return None
    if not value.isdigit() or int(value) < 1:
        raise BenchError(f"--batch-size {value}: give a whole number from 1, or auto")
    return int(value)


def parse_bytes(flag: str, text: str) -> int:
    """Read a number of bytes: ``500MB``, ``1.5GB``, ``2 TB`` or a plain number; units are powers of 1000.

    Raises:
        BenchError: If it is none; names the flag.

    Examples:
        >>> parse_bytes("--max-size", "1.5GB"), parse_bytes("--max-size", "700")
        (1500000000, 700)
    """
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", text.strip(), re.IGNORECASE)
    if parts is None:
        raise BenchError(f"{flag} {text}: give a size such as 500MB or 20GB")
    return int(float(parts[1]) * 1000 ** " kMGT".lower().index(parts[2].lower() or " "))


def parse_counts(flag: str, text: str) -> list[int]:
    """Read numbers from 1 with commas between them: ``1,10``, ``2.6M``, ``50k``.

    Raises:
        BenchError: If one is none; names the flag.

    Examples:
        >>> parse_counts("--images", "2.6M,100")
        [2600000, 100]
    """
    numbers = []
    for item in text.split(","):
        parts = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG]?)", item.strip())
        value = float(parts[1]) * 1000 ** " kMG".index(parts[2] or " ") if parts else 0.0
        if value < 1 or abs(value - round(value)) > 1e-6 * value:
            raise BenchError(f"{flag} {text}: give whole numbers from 1, as 50000, 2.6M or 1,10")
        numbers.append(round(value))
    return numbers


def parse_figures(flag: str, items: Sequence[str]) -> dict[str, float]:
    """Read ``NAME=N`` as a number by name.

    Raises:
        BenchError: If one has no name or no number, or is given twice; names the flag.
    """
    figures: dict[str, float] = {}
    for item in items:
        name, value = _numbered(item)
        if not name or math.isnan(value):
            raise BenchError(f"{flag} {item}: give a name and a number, as write_ms=12")
        _add_once(figures, flag, name, value, name)
    return figures


def _numbered(item: str) -> tuple[str, float]:
    """Split ``[NAME=]N`` into the name and the number; nan where there is none."""
    name, _, number = item.rpartition("=")
    try:
        return name, float(number)
    except ValueError:
        return name, math.nan


def _add_once(
    numbers: dict[str, float], flag: str, name: str, value: float, spoken_of: str
) -> None:
    if name in numbers:
        raise BenchError(f"{flag} is given twice for {spoken_of}")
    numbers[name] = value


def parse_size(value: str | None) -> int | tuple[int, int] | None:
    """Read the size of a canvas: a side in px, or ``HEIGHTxWIDTH``.

    Raises:
        BenchError: If it is neither.

    Examples:
        >>> parse_size("64"), parse_size("245x255"), parse_size(None)
        (64, (245, 255), None)
    """
    if value is None:
        return None
    sides = value.lower().split("x")
    if len(sides) > 2 or not all(s.isascii() and s.isdigit() and int(s) for s in sides):
        raise BenchError(f"--size {value}: give pixels, as 64 or HEIGHTxWIDTH")
    return int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


def parse_fake_logit(value: str | None) -> FakeLogit | None:
    """Read the label direction of a head.

    Raises:
        BenchError: If it is none of the four.
    """
    if value is not None:
        check_choice("--fake-logit", value, FAKE_LOGITS)
    return cast("FakeLogit | None", value)


def parse_rates(items: Sequence[str]) -> dict[str, float]:
    """Read ``[DETECTOR=]N`` as forward passes a second by detector; ``""`` stands for all others.

    Raises:
        BenchError: If one is no positive number, or given twice.
    """
    rates: dict[str, float] = {}
    for item in items:
        name, value = _numbered(item)
        if not 0 < value < math.inf:
            raise BenchError(f"--rate {item}: give forward passes a second, as 900 or resnet50=900")
        _add_once(rates, "--rate", name, value, name or "all detectors")
    return rates
