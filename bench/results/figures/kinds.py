"""The kinds of figure there are: read from the plots' source, so that ``--help`` need not wait for pandas."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bench.support.literals import Entry, entries

if TYPE_CHECKING:
    from leaderboards.plots.evidence import Plot

_PACKAGE = "leaderboards.plots"


def plot_names() -> tuple[str, ...]:
    """Name every kind of figure, in alphabetical order, without importing what draws it.

    Example:
        >>> "roc" in plot_names()
        True
    """
    return tuple(sorted(_declared()))


def plot_summaries() -> dict[str, str]:
    """Say of every kind of figure what it shows, by name."""
    return {name: _declared()[name][1].summary or "" for name in plot_names()}


def plot_kind(name: str) -> Plot:
    """Import one kind of figure, which must be among ``plot_names``."""
    module, _ = _declared()[name]
    return cast("Plot", importlib.import_module(module).PLOTS[name])


@functools.cache
def _declared() -> dict[str, tuple[str, Entry]]:
    return {
        item.name: (f"{_PACKAGE}.{path.stem}", item)
        for path in sorted(_folder().glob("*.py"))
        for item in entries(path, "PLOTS") or ()
    }


def _folder() -> Path:
    spec = importlib.util.find_spec(_PACKAGE.partition(".")[0])
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / _PACKAGE.partition(".")[2]
