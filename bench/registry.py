"""Names to plug-ins: our own folders first, then what other distributions offer as entry points.

A module declares a literal (``DETECTORS = {...}``) and nothing more: no decorators, no import side
effects; sub-packages are walked. Entry points ``bench.detectors``, ``bench.adapters``, ``bench.attacks``,
``bench.corruptions``, ``bench.suites``, ``bench.recipes``, ``bench.layouts``, ``bench.metrics`` and
``bench.pages`` name a module with the same literal, the mapping itself, or one plug-in. Names can be
listed without running a module that declares them.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.errors import BenchError, nearest
from bench.support import literals
from bench.support.interruption import is_ctrl_c
from detectors.errors import described

if TYPE_CHECKING:
    from attacks.base import Attack
    from attacks.laundering.base import Laundering
    from attacks.smoothing import Smoothing
    from bench.results.html.plugin import ReportPage
    from corruptions.base import Corruption
    from detectors.adapters.base import Adapter
    from detectors.base import Detector
    from detectors.defences.base import Defence
    from detectors.network import Architecture
    from leaderboards.statistics.catalogue import Metric


@functools.cache
def corruptions() -> Mapping[str, type[Corruption]]:
    """Collect every corruption class by name."""
    return _collect("corruptions", "CORRUPTIONS")


@functools.cache
def attacks() -> Mapping[str, type[Attack]]:
    """Collect every attack class by name (imports torch)."""
    return _collect("attacks", "ATTACKS")


@functools.cache
def launderings() -> Mapping[str, type[Laundering]]:
    """Collect every attack that takes no gradient and asks no detector, by name (imports torch)."""
    return _collect("attacks", "LAUNDERINGS", group="bench.launderings")


@functools.cache
def certificates() -> Mapping[str, type[Smoothing]]:
    """Collect every certificate class by name (imports torch)."""
    return _collect("attacks", "CERTIFICATES", group="bench.certificates")


@functools.cache
def defences() -> Mapping[str, type[Defence]]:
    """Collect every defence class by name (imports torch)."""
    return _collect("detectors.defences", "DEFENCES", group="bench.defences")


def refused_attack(name: str) -> str | None:
    """Say why a known attack is not offered for detectors; None where that is not so."""
    catalogue = importlib.import_module("attacks.catalogue")
    reason: str | None = catalogue.refusal(name)
    return reason


@functools.cache
def detectors() -> Mapping[str, Architecture | type[Detector]]:
    """Collect every architecture and self-contained detector by name (imports torch)."""
    return _collect("detectors", "DETECTORS")


@functools.cache
def detector_summaries() -> Mapping[str, str]:
    """List every architecture and self-contained detector with a line about it, in the order of names.

    Reads the literals from source; a module is run, and torch with it, only where its literal is computed.
    """
    return _summaries("detectors", "DETECTORS")


@functools.cache
def adapters() -> Mapping[str, Adapter]:
    """Collect every adapter by the pattern of its spelling."""
    return _collect("detectors.adapters", "ADAPTERS", group="bench.adapters")


def adapter_of(name: str) -> Adapter | None:
    """Find the adapter that recognises what a user typed; None for a plain name."""
    return next((each for each in adapters().values() if each.recognises(name)), None)


def metrics() -> Mapping[str, Metric]:
    """Collect every metric of a board by column: the catalogue's, then those of other distributions.

    Raises:
        BenchError: If one of these cannot be loaded, breaks its protocol, or takes a board's own column.
    """
    catalogue = importlib.import_module("leaderboards.statistics.catalogue")
    taken = importlib.import_module("leaderboards.tables.cells").COLUMNS
    with sound_metrics():
        every = {metric.name: metric for metric in catalogue.every_metric()}
    for metric in list(every.values())[len(catalogue.CATALOGUE) :]:
        if clash := set(metric.columns) & set(taken):
            raise BenchError(
                f"a plug-in's metric has a column {min(clash)!r}, as every board has: rename or uninstall it"
            )
    return every


@contextmanager
def sound_metrics() -> Iterator[None]:
    """Turn what a metric of another distribution does wrong into an error of the user's.

    Raises:
        BenchError: If it cannot be loaded, fails, or leaves its range; says which.
    """
    extensions = importlib.import_module("leaderboards.statistics.plugins.metrics")
    try:
        yield
    except extensions.MetricPluginError as error:
        raise BenchError(str(error)) from error


@functools.cache
def pages() -> Mapping[str, ReportPage]:
    """Collect every page that other distributions add to a report, by name."""
    return dict(sorted(_offers("bench.pages", "PAGES").items()))


@functools.cache
def suites() -> Mapping[str, Path]:
    """Collect every suite file by name: the shipped ones and those of other distributions."""
    return _toml_files("suites")


@functools.cache
def recipes() -> Mapping[str, Path]:
    """Collect every training recipe by name: the shipped ones and those of other distributions."""
    return _toml_files("recipes")


def _toml_files(folder: str) -> dict[str, Path]:
    by_name: dict[str, Any] = {
        path.stem: path for path in sorted((Path(__file__).parent / folder).glob("*.toml"))
    }
    sources = dict.fromkeys(by_name, f"bench.{folder}")
    plugins = _offers(f"bench.{folder}", folder.upper(), by_name, sources)
    return {name: Path(path) for name, path in plugins.items()}


def lookup(table: Mapping[str, Any], name: str, kind: str) -> Any:
    """Look up the plug-in called ``name``.

    Raises:
        BenchError: If there is none; suggests the nearest names.
    """
    if name not in table:
        raise BenchError(f"no {kind} called {name!r}: {nearest(name, table)}")
    return table[name]


def find_file(table: Mapping[str, Path], name_or_path: str, kind: str) -> Path:
    """Find the TOML file that is called so, or that is given by its path.

    Raises:
        BenchError: If neither; suggests the nearest names.
    """
    path = Path(name_or_path)
    return path if path.suffix == ".toml" else Path(lookup(table, name_or_path, kind))


class _Source(NamedTuple):
    """A module of a package, and the file it is in."""

    module: str
    path: Path


def _modules(package: str) -> Iterator[_Source]:
    """Every public module of a package and its sub-packages, by name; none is imported."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    for folder in spec.submodule_search_locations or []:
        yield from _modules_below(package, Path(folder))


def _modules_below(package: str, folder: Path) -> Iterator[_Source]:
    for info in sorted(pkgutil.iter_modules([str(folder)]), key=lambda info: info.name):
        if info.name.startswith("_"):
            continue
        name = f"{package}.{info.name}"
        if info.ispkg:
            yield _Source(name, folder / info.name / "__init__.py")
            yield from _modules_below(name, folder / info.name)
        else:
            yield _Source(name, folder / f"{info.name}.py")


def _collect(package: str, literal: str, *, group: str = "") -> Mapping[str, Any]:
    """Every plug-in of a package and of an entry-point group, by name."""
    by_name: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source in _modules(package):
        if literals.declares(source.path, literal):
            module = importlib.import_module(source.module)
            merge(by_name, sources, getattr(module, literal), module.__name__)
    return _offers(group or f"bench.{package}", literal, by_name, sources)


def _offers(
    group: str,
    literal: str,
    by_name: dict[str, Any] | None = None,
    sources: dict[str, str] | None = None,
) -> dict[str, Any]:
    """What an entry-point group offers, beside plug-ins that are there already."""
    plugins, sources = dict(by_name or {}), dict(sources or {})
    for point in entry_points(group=group):
        merge(plugins, sources, offered(point, literal), point.value)
    return plugins


def listed(package: str, literal: str) -> list[str]:
    """List our own names of one kind, and those of entry points, without running what declares them.

    A module whose literal is computed is left out, and of an entry point the name alone is known: this is
    for those who cannot wait, such as a shell that completes a word.
    """
    root, *below = package.split(".")
    spec = importlib.util.find_spec(root)  # of a sub-package it would import those above
    assert spec is not None
    folders = [Path(each, *below) for each in spec.submodule_search_locations or []]
    sources = [source for folder in folders for source in _modules_below(package, folder)]
    names = [
        entry.name for source in sources for entry in literals.entries(source.path, literal) or ()
    ]
    group = f"bench.{package.rpartition('.')[2]}"
    return sorted({*names, *(point.name for point in entry_points(group=group))})


def _summaries(package: str, literal: str) -> dict[str, str]:
    by_name: dict[str, str] = {}
    for source in _modules(package):
        declared = literals.entries(source.path, literal)
        if declared is None or any(entry.summary is None for entry in declared):
            plugins: Mapping[str, Any] = getattr(importlib.import_module(source.module), literal)
            by_name |= {name: _summary(plugin) for name, plugin in plugins.items()}
        else:
            by_name |= {entry.name: entry.summary or "" for entry in declared}
    for point in entry_points(group=f"bench.{package}"):
        by_name |= {name: _summary(plugin) for name, plugin in offered(point, literal).items()}
    return by_name


def _summary(plugin: Any) -> str:
    """One line about a plug-in: what it says of itself, or the first line of its docstring."""
    return str(getattr(plugin, "summary", None) or (plugin.__doc__ or "").split("\n")[0])


def offered(point: EntryPoint, literal: str) -> Mapping[str, Any]:
    """Load what an entry point offers, by name.

    Raises:
        BenchError: If it cannot be imported, or declares nothing; says which to mend.
    """
    try:
        value = point.load()
        if isinstance(value, ModuleType):
            value = getattr(value, literal)
    except BaseException as error:  # a broken plug-in must name itself, whatever it raises
        if is_ctrl_c(error):
            raise
        raise BenchError(
            f"plug-in {point.name!r} ({point.value}) cannot be imported ({described(error)}): "
            "mend or uninstall it"
        ) from error
    return value if isinstance(value, Mapping) else {point.name: value}


def merge(
    by_name: dict[str, Any], sources: dict[str, str], plugins: Mapping[str, Any], source: str
) -> None:
    """Add plug-ins to those collected so far.

    Args:
        by_name: Plug-ins by name; added to.
        sources: Where each comes from; added to.
        plugins: The plug-ins to add.
        source: Where they come from.

    Raises:
        BenchError: If two have one name; says where both come from.
    """
    for name, plugin in plugins.items():
        if name in by_name and by_name[name] is not plugin:
            raise BenchError(
                f"two plug-ins are called {name!r}: {sources[name]} and {source}; "
                "uninstall or rename one"
            )
        by_name[name], sources[name] = plugin, source
