"""What docstrings promise: documented attributes are fields, sentences say something, examples run."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("bench", "detectors", "attacks", "corruptions", "leaderboards")
FILES = sorted(
    path
    for name in PACKAGES
    for path in (ROOT / name).rglob("*.py")
    if "pocket/build" not in path.as_posix()
)
SECTION = re.compile(r"^(Attributes|Args|Arguments):\n((?:    .*\n|\n)+)", re.MULTILINE)
ENTRY = re.compile(r"^    \*{0,2}(\w+): +(.*)$", re.MULTILINE)
# "The run's.", "Its key.", "They.": an entry that sends the reader on without having said anything.
POINTER = re.compile(
    r"(The \w+'s( own)?|Its( \w+)?|Their \w+|They|Those|(Of )?(the|this) \w+)\.?", re.IGNORECASE
)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _sections(text: str | None) -> dict[str, dict[str, str]]:
    cleaned = inspect.cleandoc(text or "") + "\n"
    return {
        m[1]: {e[1]: e[2].strip() for e in ENTRY.finditer(m[2])} for m in SECTION.finditer(cleaned)
    }


def _fields(tree: ast.Module, cls: ast.ClassDef) -> set[str]:
    """Annotated names, attributes set in a method, properties; those of bases in the same file too."""
    names = {
        node.target.id
        for node in cls.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    for node in ast.walk(cls):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            names.add(node.name)
    bases = {base.id for base in cls.bases if isinstance(base, ast.Name)}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name in bases:
            names |= _fields(tree, node)
    return names


def _own_public(cls: ast.ClassDef) -> set[str]:
    """Public fields of a class that no string right below them explains."""
    found = set()
    for node, following in zip(cls.body, [*cls.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            explained = isinstance(following, ast.Expr) and isinstance(
                following.value, ast.Constant
            )
            constant = "ClassVar" in ast.unparse(node.annotation)
            if not node.target.id.startswith("_") and not explained and not constant:
                found.add(node.target.id)
    return found


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_documented_attributes_are_the_fields(path):
    tree = ast.parse(path.read_text())
    for cls in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        attributes = _sections(ast.get_docstring(cls)).get("Attributes")
        if attributes is None:
            continue
        assert attributes.keys() <= _fields(tree, cls), f"{cls.name} documents what it has not"
        assert _own_public(cls) <= attributes.keys(), f"{cls.name} has fields it does not document"


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_public_docstrings_are_whole_phrases(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef) or node.name.startswith("_"):
            continue
        text = ast.get_docstring(node)
        if not text:
            continue
        first = text.split("\n\n")[0]
        assert len(first.split()) > 3, f"{node.name}: {first!r} says too little"
        for entries in _sections(text).values():
            for name, says in entries.items():
                assert not POINTER.fullmatch(says), f"{node.name}, {name}: {says!r} only points"


EXAMPLES = [path for path in FILES if ">>> " in path.read_text()]


@pytest.mark.parametrize("path", EXAMPLES, ids=_name)
def test_examples_in_docstrings_run(path):
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    results = doctest.testmod(module, optionflags=flags)
    assert results.attempted
    assert not results.failed
