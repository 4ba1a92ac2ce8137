"""The formats a board can be written in, as the modules of ``leaderboards.render`` declare them.

A module declares a literal whose keys are the formats' names: ``FORMATS`` (a whole board as one text),
``METRIC_FORMATS`` (a table of one metric) or ``MODEL_CARD_FORMATS`` (files of a model's repository).
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bench.support.literals import entries

Kind = Literal["FORMATS", "METRIC_FORMATS", "MODEL_CARD_FORMATS"]
_PACKAGE = "leaderboards.render"
DEFAULT = "md"


class _Declaration(NamedTuple):
    module: str
    names: tuple[str, ...]


def format_names(*kinds: Kind) -> tuple[str, ...]:
    """Name the formats of some kinds, the default first, without importing what renders them.

    Example:
        >>> format_names("FORMATS")
        ('md', 'csv', 'json')
    """
    names = [name for kind in kinds for entry in _declared(kind) for name in entry.names]
    return tuple(sorted(names, key=lambda name: name != DEFAULT))


def renderers(kind: Kind) -> Mapping[str, Any]:
    """Import the functions behind one kind of format, by name."""
    functions: dict[str, Any] = {}
    for entry in _declared(kind):
        functions |= getattr(importlib.import_module(entry.module), kind)
    return functions


def choices(names: Sequence[str]) -> str:
    """Write names as a choice.

    Example:
        >>> choices(["md", "csv", "json"])
        'md, csv or json'
    """
    return " or ".join([*([", ".join(names[:-1])] if names[1:] else []), names[-1]])


@functools.cache
def _declared(kind: Kind) -> tuple[_Declaration, ...]:
    # Read as text: importing a board takes pandas, and `bench --help` must not wait for it.
    return tuple(
        _Declaration(f"{_PACKAGE}.{path.stem}", tuple(item.name for item in items))
        for path in sorted(_folder().glob("*.py"))
        if kind in path.read_text(encoding="utf-8") and (items := entries(path, kind))
    )


def _folder() -> Path:
    spec = importlib.util.find_spec(_PACKAGE.partition(".")[0])
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / _PACKAGE.partition(".")[2]
