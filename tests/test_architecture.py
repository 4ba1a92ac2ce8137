"""The shape of the house: one-way imports, no stray prints, files small enough to read."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("bench", "detectors", "attacks", "corruptions", "leaderboards")
FILES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))


def test_imports_flow_one_way():
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_fit_a_reader(path):
    text = path.read_text()
    assert text.count("\n") <= 340, "split it at a real seam"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and path.parent.name != "cli":
            assert node.end_lineno - node.lineno < 70, f"{node.name} no longer fits a screen"


# Folders that hold one file a plug-in, a command or an output format: these grow by design.
ONE_FILE_EACH = {
    "bench/cli",
    "bench/datasets/layouts",
    "attacks",
    "corruptions",
    "leaderboards/render",
    "leaderboards/plots",
    "detectors/architectures",
    "detectors/published",
}


def test_folders_stay_small():
    folders = {path.parent for path in FILES}
    for folder in folders:
        name = str(folder.relative_to(ROOT))
        if name in ONE_FILE_EACH or "pocket" in name:
            continue
        files = len(list(folder.glob("*.py")))
        assert files <= (8 if name == "bench" else 12), f"{name} holds {files} files: find the seam"


def imports(path):
    """Modules of ours that a file imports when it is run, by dotted name."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for inner in ast.walk(node):
                inner._only_types = True
        if getattr(node, "_only_types", False):
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def graph():
    """Every module of ours and the modules of ours it imports."""
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in FILES
        if "pocket/build" not in path.as_posix()
    }
    return {name: (imports(path) & modules.keys()) - {name} for name, path in modules.items()}


def longest_path(edges):
    """Floors of a graph: 1 for what needs nothing; fails on a circle."""
    floors = {}

    def floor(name, trail=()):
        assert name not in trail, f"a circle: {' -> '.join([*trail, name])}"
        if name not in floors:
            below = [floor(other, (*trail, name)) for other in sorted(edges[name])]
            floors[name] = 1 + max(below, default=0)
        return floors[name]

    return {name: floor(name) for name in sorted(edges)}


def rooms(edges, folder):
    """A folder's files and sub-folders as rooms, and which of them needs which."""

    def room(name):
        inside = name.removeprefix(f"{folder}.")
        # The folder's own __init__ gathers what others define: a room like any other.
        return "__init__" if name == folder else inside.partition(".")[0]

    here = {name for name in edges if name == folder or name.startswith(f"{folder}.")}
    needs = {room(name): set() for name in here}
    for name in here:
        needs[room(name)] |= {room(other) for other in edges[name] & here} - {room(name)}
    return needs


def test_no_circle_and_few_floors_in_a_wing():
    edges = graph()
    longest_path({name: others - {name.rpartition(".")[0]} for name, others in edges.items()})
    for folder in {name.rpartition(".")[0] for name in edges} - {"", "bench"}:
        needs = rooms(edges, folder)
        # What stands in a package's __init__ is not needed inside it.
        floors = longest_path({name: others - {"__init__"} for name, others in needs.items()})
        assert max(floors.values()) <= 6, f"{folder}: {floors}"


@pytest.mark.parametrize("package", ["detectors", "attacks", "corruptions", "leaderboards"])
def test_a_leaf_imports_without_the_others(package):
    others = [name for name in PACKAGES if name != package]
    code = (
        f"import sys, pkgutil, importlib, {package}\n"
        f"for m in pkgutil.walk_packages({package}.__path__, '{package}.'): importlib.import_module(m.name)\n"
        f"sys.exit(bool({set(others)!r} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_is_tied_to_one_kind_of_device():
    for path in FILES:
        assert ".cuda()" not in path.read_text(), path


def test_the_leaves_that_check_parameters_check_them_alike():
    """No leaf imports another, so each has the file; it is one file all the same."""
    assert (ROOT / "attacks/checks.py").read_text() == (ROOT / "corruptions/checks.py").read_text()
