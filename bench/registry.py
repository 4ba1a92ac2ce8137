"""Names to plug-ins: our own folders first, then what other distributions offer as entry points.

A module declares a literal (``DETECTORS = {...}``) and nothing more: no decorators, no import side
effects. Entry points ``bench.detectors``, ``bench.attacks``, ``bench.corruptions``,
``bench.suites`` and ``bench.layouts`` name a module with the same literal, the mapping itself, or
one plug-in.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, nearest

if TYPE_CHECKING:
    from attacks.base import Attack
    from corruptions.base import Corruption
    from detectors.base import Detector
    from detectors.network import Architecture


@functools.cache
def corruptions() -> Mapping[str, type[Corruption]]:
    """Every corruption class by name."""
    return _collect("corruptions", "CORRUPTIONS")


@functools.cache
def attacks() -> Mapping[str, type[Attack]]:
    """Every attack class by name (imports torch)."""
    return _collect("attacks", "ATTACKS")


def refused_attack(name: str) -> str | None:
    """Why a known attack is not offered for detectors; None where that is not so."""
    catalogue = importlib.import_module("attacks.catalogue")
    reason: str | None = catalogue.refusal(name)
    return reason


@functools.cache
def detectors() -> Mapping[str, Architecture | type[Detector]]:
    """Every architecture and self-contained detector by name (imports torch)."""
    return _collect("detectors", "DETECTORS")


@functools.cache
def suites() -> Mapping[str, Path]:
    """Every suite file by name: the shipped ones and those of other distributions."""
    return _toml_files("suites")


@functools.cache
def recipes() -> Mapping[str, Path]:
    """Every training recipe by name: the shipped ones and those of other distributions."""
    return _toml_files("recipes")


def _toml_files(folder: str) -> dict[str, Path]:
    found: dict[str, Any] = {
        path.stem: path for path in sorted((Path(__file__).parent / folder).glob("*.toml"))
    }
    sources = dict.fromkeys(found, f"bench.{folder}")
    for point in entry_points(group=f"bench.{folder}"):
        merge(found, sources, offered(point, folder.upper()), point.value)
    return {name: Path(path) for name, path in found.items()}


def lookup(table: Mapping[str, Any], name: str, kind: str) -> Any:
    """The plug-in called ``name``.

    Raises:
        BenchError: If there is none; suggests the nearest names.
    """
    if name not in table:
        raise BenchError(f"no {kind} called {name!r}: {nearest(name, table)}")
    return table[name]


def find_file(table: Mapping[str, Path], name_or_path: str, kind: str) -> Path:
    """The TOML file that is called so, or that is given by its path.

    Raises:
        BenchError: If neither; suggests the nearest names.
    """
    path = Path(name_or_path)
    found: Path = path if path.suffix == ".toml" else lookup(table, name_or_path, kind)
    return found


def _collect(package: str, literal: str) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    sources: dict[str, str] = {}
    root = importlib.import_module(package)
    for info in sorted(pkgutil.iter_modules(root.__path__), key=lambda info: info.name):
        if info.ispkg or info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package}.{info.name}")
        merge(found, sources, getattr(module, literal, {}), module.__name__)
    for point in entry_points(group=f"bench.{package}"):
        merge(found, sources, offered(point, literal), point.value)
    return found


def offered(point: EntryPoint, literal: str) -> Mapping[str, Any]:
    """What an entry point offers, by name.

    Raises:
        BenchError: If it cannot be imported; says which to mend.
    """
    try:
        value = point.load()
    except Exception as error:  # a broken plug-in must name itself, whatever it raises
        raise BenchError(
            f"plug-in {point.name!r} ({point.value}) cannot be imported ({error}): "
            "mend or uninstall it"
        ) from error
    if isinstance(value, ModuleType):
        value = getattr(value, literal)
    return value if isinstance(value, Mapping) else {point.name: value}


def merge(
    found: dict[str, Any], sources: dict[str, str], offered: Mapping[str, Any], source: str
) -> None:
    """Add plug-ins to those known.

    Raises:
        BenchError: If two have one name; says where both come from.
    """
    for name, value in offered.items():
        if name in found and found[name] is not value:
            raise BenchError(
                f"two plug-ins are called {name!r}: {sources[name]} and {source}; "
                "uninstall or rename one"
            )
        found[name], sources[name] = value, source
