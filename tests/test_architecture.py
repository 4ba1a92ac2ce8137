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


@pytest.mark.parametrize("package", ["detectors", "attacks", "corruptions", "leaderboards"])
def test_a_leaf_imports_without_the_others(package):
    others = [name for name in PACKAGES if name != package]
    code = (
        f"import sys, pkgutil, importlib, {package}\n"
        f"for m in pkgutil.iter_modules({package}.__path__): importlib.import_module('{package}.' + m.name)\n"
        f"sys.exit(bool({set(others)!r} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_is_tied_to_one_kind_of_device():
    for path in FILES:
        assert ".cuda()" not in path.read_text(), path


def test_the_leaves_that_check_parameters_check_them_alike():
    """No leaf imports another, so each has the file; it is one file all the same."""
    assert (ROOT / "attacks/checks.py").read_text() == (ROOT / "corruptions/checks.py").read_text()
