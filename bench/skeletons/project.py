"""The ``pyproject.toml`` beside plug-ins of one's own: once installed, bench knows their names."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.support.files import write_text
from bench.support.user_file import read_text

NAME: Final = "pyproject.toml"
_MARK: Final = "# Written by `bench new`, which adds to it until this line is taken out.\n"
_HEAD: Final = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{distribution}"
version = "0.1"
dependencies = ["detector-bench"]
"""


@dataclass(frozen=True, slots=True)
class Offer:
    """How a plug-in's name becomes known.

    Attributes:
        written: The file that says so; None where somebody's own is there, or none is needed.
        lines: What must stand in it.
    """

    written: Path | None
    lines: str


def offered(group: str, name: str, folder: Path) -> Offer:
    """Offer a module of a folder as a plug-in; somebody's own ``pyproject.toml`` is left alone.

    Args:
        group: The entry-point group, such as ``bench.metrics``.
        name: Name of the plug-in and of the module.
        folder: Where the module lies.

    Raises:
        OutputError: If the folder cannot be written.
    """
    path = folder / NAME
    lines = f'[project.entry-points."{group}"]\n{name} = "{name}"'
    groups: dict[str, dict[str, str]] = {}
    if path.exists() or path.is_symlink():
        known = _known(path)
        if known is None:
            return Offer(None, lines)
        groups = {kind: dict(points) for kind, points in known.items()}
    groups.setdefault(group, {})[name] = name
    write_text(path, _project(folder, groups))
    return Offer(path, lines)


def _known(path: Path) -> Mapping[str, Mapping[str, str]] | None:
    """Read the entry points of a file that `bench new` wrote; None for any other."""
    try:
        text = read_text(path)
        if not text.startswith(_MARK):
            return None
        points: Any = tomllib.loads(text)["project"].get("entry-points", {})
    except (OSError, ValueError, KeyError):
        return None
    known: Mapping[str, Mapping[str, str]] = points
    return known


def _project(folder: Path, groups: Mapping[str, Mapping[str, str]]) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    text = _MARK + _HEAD.format(distribution=f"{plain or 'my'}-for-bench")
    for group, points in sorted(groups.items()):
        text += f'\n[project.entry-points."{group}"]\n'
        text += "".join(f'{name} = "{module}"\n' for name, module in sorted(points.items()))
    modules = sorted({module for points in groups.values() for module in points.values()})
    listed = ", ".join(f'"{module}"' for module in modules)
    return f"{text}\n[tool.setuptools]\npy-modules = [{listed}]\n"
