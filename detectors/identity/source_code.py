"""A digest over the code that decides what an object computes: its classes' modules and what they import.

A score may be used again only while the code that made it is the same. Comments, docstrings and imports
for type checkers change no score and are left out. Imports of a plug-in's own code are followed through
packages, sub-packages and neighbouring files; other people's releases count by their version. Imports no
torch, so that plans can be made without it.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import inspect
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import NamedTuple

_INSTALLED = tuple(
    Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib")
)
_NO_CODE = frozenset({"builtins", "abc", "typing", "types", "functools", "collections", "enum"})


class SourceUnknownError(ValueError):
    """Code that cannot be read or followed, so that nobody can tell whether it has changed."""


@dataclass(frozen=True, slots=True)
class _Module:
    """One source file, reduced to what decides its results.

    Attributes:
        code: Normalised source text, or the raw bytes of a compiled extension.
        imports: Absolute names of modules, or of names in them, that it imports.
        dynamic: Line of an import whose name is computed; 0 where there is none.
    """

    code: bytes
    imports: tuple[str, ...]
    dynamic: int


def code_digest(classes: Iterable[type], *, stop_at: Iterable[str] = ()) -> str:
    """Digest the modules of some classes, and all of their own code that these import.

    Args:
        classes: For example the classes an object is an instance of; those of Python itself are
            passed over.
        stop_at: Modules and packages that are not followed, because their release or another digest
            stands for them.

    Returns:
        A sha256, 64 hex digits.

    Raises:
        SourceUnknownError: A class stands in no file, or its code imports by a computed name.
    """
    stops = tuple(stop_at)
    names, queue = set[str](), list[tuple[str, Path]]()
    digest = hashlib.sha256()
    for cls in classes:
        if cls.__module__.partition(".")[0] in _NO_CODE or _stopped(cls.__module__, stops):
            continue
        names.add(f"{cls.__module__}.{cls.__qualname__}")
        queue.append((cls.__module__, _file_of(cls)))
    parts = dict(_followed(queue, stops))
    for name in sorted(names):
        digest.update(f"class {name}\0".encode())
    for key in sorted(parts):
        digest.update(f"{key}\0".encode() + hashlib.sha256(parts[key]).digest())
    return digest.hexdigest()


def own_module_names(classes: Iterable[type], *, stop_at: Iterable[str] = ()) -> list[str]:
    """Name the modules that :func:`code_digest` follows, releases left out.

    Raises:
        SourceUnknownError: As for :func:`code_digest`.
    """
    stops = tuple(stop_at)
    queue = [
        (cls.__module__, _file_of(cls))
        for cls in classes
        if cls.__module__.partition(".")[0] not in _NO_CODE and not _stopped(cls.__module__, stops)
    ]
    return [name for name, _ in _followed(queue, stops) if not name.startswith("release ")]


def file_code(path: Path) -> bytes:
    """Read one source file without its comments and docstrings."""
    return _read(path, path.stem).code


def _followed(queue: list[tuple[str, Path]], stops: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Follow imports from the queue: every module reached, by name, with its code or its release."""
    visited: set[str] = set()
    while queue:
        name, path = queue.pop()
        if name in visited:
            continue
        visited.add(name)
        module = _read(path, name)
        if module.dynamic:
            raise SourceUnknownError(
                f"{path}, line {module.dynamic}, imports a module by a computed name, so nobody can tell "
                "whether its code has changed: import it by name"
            )
        yield name, module.code
        for imported in module.imports:
            if _stopped(imported, stops) or imported in visited:
                continue
            located = _locate(imported, name, path)
            if located is not None:
                queue.append(located)
            elif (release := _release(imported, name)) is not None:
                yield f"release {release.name}", release.version.encode()


def _stopped(name: str, stops: tuple[str, ...]) -> bool:
    # The package of detectors exports lazily; what a class takes from it, its bases say.
    return name == "detectors" or any(name == stop or name.startswith(f"{stop}.") for stop in stops)


def _file_of(cls: type) -> Path:
    try:
        source = inspect.getsourcefile(cls) or inspect.getfile(cls)
    except (TypeError, OSError):
        source = ""
    if not source or not Path(source).is_file():
        raise SourceUnknownError(
            f"{cls.__qualname__} stands in no file, so nobody can tell whether its code has changed: "
            "write it into a file"
        )
    return Path(source).resolve()


def _read(path: Path, name: str) -> _Module:
    stat = path.stat()
    return _parsed(path, name, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=4096)
def _parsed(path: Path, name: str, _changed: int, _size: int) -> _Module:
    data = path.read_bytes()
    if path.suffix != ".py":
        return _Module(data, (), 0)
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise SourceUnknownError(f"{path} cannot be read as Python ({error})") from error
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    reader = _Reader(package)
    tree = reader.visit(tree)
    return _Module(ast.unparse(tree).encode(), tuple(sorted(reader.imports)), reader.dynamic)


class _Reader(ast.NodeTransformer):
    """A visitor that drops docstrings and type checkers' imports, and lists what a module imports."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.imports: set[str] = set()
        self.dynamic = 0

    def visit_Module(self, node: ast.Module) -> ast.AST:
        return self._without_docstring(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._without_docstring(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._without_docstring(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._without_docstring(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            return [self.visit(child) for child in node.orelse]
        return self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> ast.AST:
        self.imports |= {alias.name for alias in node.names}
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        base = node.module or ""
        if node.level:
            parts = self.package.split(".")
            parent = ".".join(parts[: len(parts) - node.level + 1])
            base = f"{parent}.{base}".strip(".")
        # A name may be a module of the package or something in it: both are looked for.
        self.imports.add(base)
        self.imports |= {f"{base}.{alias.name}" for alias in node.names if alias.name != "*"}
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = ast.unparse(node.func)
        if name in ("importlib.import_module", "import_module", "__import__") and node.args:
            target = node.args[0]
            if isinstance(target, ast.Constant) and isinstance(target.value, str):
                self.imports.add(target.value)
            else:
                self.dynamic = self.dynamic or node.lineno
        return self.generic_visit(node)

    def _without_docstring(
        self, node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    ) -> ast.AST:
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)


def _locate(imported: str, importer: str, path: Path) -> tuple[str, Path] | None:
    """Find the file of an imported module of the user; None for anything installed, or no module at all."""
    beside = path.parent / f"{imported.partition('.')[0]}.py"
    if "." not in importer and beside.is_file():
        # A script's neighbour is looked up in its folder, which need not be on Python's path any more.
        return imported.partition(".")[0], beside.resolve()
    origin = _origin(imported)
    if origin is None:
        return None
    same_package = imported.partition(".")[0] == importer.partition(".")[0]
    return (imported, origin) if same_package or not is_installed(origin) else None


def is_installed(path: Path) -> bool:
    """Tell whether a file belongs to Python itself or to an installed distribution."""
    resolved = path.resolve()
    return any(resolved.is_relative_to(folder) for folder in _INSTALLED)


def _origin(name: str) -> Path | None:
    """Find the file of a module without importing anything; None for a name inside a module."""
    top, *rest = name.split(".")
    origin = _top_level(top)
    return None if origin is None else _below(origin, tuple(rest))


@functools.cache
def _top_level(name: str) -> Path | None:
    origin = getattr(sys.modules.get(name), "__file__", None)
    if origin is None:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            return None
        origin = spec.origin if spec is not None and spec.has_location else None
    return None if origin is None else Path(origin).resolve()


@functools.lru_cache(maxsize=4096)
def _below(origin: Path, parts: tuple[str, ...]) -> Path | None:
    for part in parts:
        if origin.name != "__init__.py":
            return None
        places = (origin.parent / part / "__init__.py", origin.parent / f"{part}.py")
        inner = next((place for place in places if place.is_file()), None)
        if inner is None:
            return None
        origin = inner
    return origin


class _Release(NamedTuple):
    """An installed distribution, by the name it is imported under."""

    name: str
    version: str


def _release(imported: str, importer: str) -> _Release | None:
    """Look up the distribution of a module; None for Python's modules, and for names of the importer."""
    name = imported.partition(".")[0]
    if not name or name == importer.partition(".")[0] or name in sys.stdlib_module_names:
        return None
    distributions = _distributions().get(name, ())
    return _Release(name, version(distributions[0])) if distributions else None


@functools.cache
def _distributions() -> Mapping[str, Sequence[str]]:
    return packages_distributions()
