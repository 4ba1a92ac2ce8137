"""What a Python module declares in a literal, read from its source without running it."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of a literal ``NAMES = {"name": ...}``.

    Attributes:
        name: Key of the dictionary, the name that people type.
        summary: What the value says of itself in one line: its ``summary``, or the first line of its
            docstring; ``None`` where only running the module would tell.
    """

    name: str
    summary: str | None


def declares(path: Path, literal: str) -> bool:
    """Tell whether a module assigns the literal at its top level."""
    return _assigned(_tree(path, literal), literal) is not None


def entries(path: Path, literal: str) -> list[Entry] | None:
    """Read the items of a literal.

    Args:
        path: A Python file.
        literal: Name of the literal, such as ``DETECTORS``.

    Returns:
        Its items in order; none where there is no such literal; ``None`` where it is computed, so that
        only running the module would tell.
    """
    tree = _tree(path, literal)
    value = _assigned(tree, literal)
    if value is None:
        return []
    if not isinstance(value, ast.Dict):
        return None
    names = [key.value for key in value.keys if isinstance(key, ast.Constant)]
    if len(names) != len(value.keys) or not all(isinstance(name, str) for name in names):
        return None
    return [
        Entry(str(name), _summary(item, tree))
        for name, item in zip(names, value.values, strict=True)
    ]


@functools.lru_cache(maxsize=256)
def _tree(path: Path, literal: str) -> ast.Module:
    """Parse a module that may declare the literal; most do not even mention it."""
    source = path.read_bytes()
    if literal.encode() not in source:
        return ast.Module([], [])
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        # Whoever imports the file is told what is wrong with it.
        return ast.Module([], [])


def _assigned(tree: ast.Module, literal: str) -> ast.expr | None:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets: list[ast.expr] = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        else:
            continue
        if any(isinstance(target, ast.Name) and target.id == literal for target in targets):
            return node.value
    return None


def _summary(item: ast.expr, tree: ast.Module) -> str | None:
    """The summary of a call with ``summary=...``, of a name bound to one, or of a class."""
    if isinstance(item, ast.Call):
        for keyword in item.keywords:
            if keyword.arg == "summary":
                return _text(keyword.value)
        return None
    if not isinstance(item, ast.Name):
        return None
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == item.id:
            return next(_of_class(node), None)
    bound = _assigned(tree, item.id)
    return None if bound is None or isinstance(bound, ast.Name) else _summary(bound, tree)


def _of_class(node: ast.ClassDef) -> Iterator[str | None]:
    for statement in node.body:
        if not isinstance(statement, ast.AnnAssign) or statement.value is None:
            continue
        if isinstance(statement.target, ast.Name) and statement.target.id == "summary":
            yield _text(statement.value)
    docstring = ast.get_docstring(node)
    if docstring:
        yield docstring.split("\n")[0]


def _text(value: ast.expr) -> str | None:
    try:
        text = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return None
    return text if isinstance(text, str) else None
