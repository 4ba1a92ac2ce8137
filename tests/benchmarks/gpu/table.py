"""The answers as one table, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def as_text(record: Mapping[str, Any]) -> str:
    """The machine, then a block a question, then a line a question: what one looks for stands last."""
    device = record["device"] or {"name": "no device"}
    head = ", ".join(f"{key} {value}" for key, value in device.items())
    lines = [f"{head}; torch {record['releases']['torch']}; {record['date']}", ""]
    for name, answer in record["questions"].items():
        lines += [f"{name}: {answer['asks']}?"]
        lines += [f"  {path}: {value}" for path, value in leaves(answer["figures"])]
        lines += [""]
    width = max((len(name) for name in record["questions"]), default=8)
    lines += [f"{'question':<{width}}  {'status':<13}  seconds  reason"]
    for name, answer in record["questions"].items():
        lines += [
            f"{name:<{width}}  {answer['status']:<13}  {answer['seconds']:>7}  {answer['reason']}"
        ]
    return "\n".join(line.rstrip() for line in lines)


def leaves(figures: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every figure under its path."""
    for name, value in figures.items():
        where = f"{path} / {name}" if path else name
        if isinstance(value, Mapping) and value:
            yield from leaves(value, where)
        else:
            yield where, value
