"""Whether a detector without a network of its own may get its answer from elsewhere: a service, a program."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from detectors.identity.source_code import SourceUnknownError, own_module_names

# Libraries that compute with what they are given and hold no model of their own.
_COMPUTING = frozenset({
    "PIL", "bench", "cv2", "detectors", "einops", "imageio", "kornia", "numba", "numexpr", "numpy",
    "pandas", "pyarrow", "pydantic", "pywt", "safetensors", "scipy", "skimage", "sklearn", "timm", "torch",
    "torch_dct", "torchvision", "tqdm", "typing_extensions",
})  # fmt: skip
# Modules of Python through which an answer comes from elsewhere.
_REACHING = frozenset({
    "asyncio", "ctypes", "ftplib", "http", "multiprocessing", "shelve", "socket", "sqlite3", "ssl",
    "subprocess", "urllib", "xmlrpc",
})  # fmt: skip
# What is asked of a detector for every image, and what reads a file.
_SCORING = ("logits", "fit")
_READING = frozenset({
    "fromfile", "genfromtxt", "load", "load_file", "loadtxt", "memmap", "open", "read_bytes", "read_csv",
    "read_text", "safe_open",
})  # fmt: skip
_ASKING = frozenset({"os.popen", "os.system", "os.execv", "os.spawnv", "os.posix_spawn"})


def reached_by(classes: Iterable[type]) -> list[str]:
    """Name what the own code of some classes calls beyond arithmetic, as it spells it.

    Args:
        classes: The classes that an object is an instance of.

    Returns:
        Libraries such as ``requests`` and calls such as ``os.popen`` or, while an image is scored,
        ``np.load()``, sorted; empty where the code only computes, or cannot be read.
    """
    try:
        names = own_module_names(classes, stop_at=(*_COMPUTING, "detectors.base"))
    except SourceUnknownError:
        return []
    reached: set[str] = set()
    for path in _files(names):
        tree = ast.parse(path.read_bytes())
        beside = {other.stem for other in path.parent.glob("*.py")}
        reached |= {top for top in _imported(tree) if top not in beside and _reaches(top)}
        reached |= {call for call in _called(tree) if call in _ASKING}
        reached |= {f"{call}()" for call in _reads(tree)}
    own = {name.partition(".")[0] for name in names}
    return sorted(reached - own)


def _reads(tree: ast.AST) -> Iterator[str]:
    """Calls that read a file while an image is scored whose path stands in the code: no value shows it."""
    functions: dict[str, list[ast.AST]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            functions.setdefault(node.name, []).append(node)
    waiting, seen = [name for name in _SCORING if name in functions], set(_SCORING)
    while waiting:
        for function in functions[waiting.pop()]:
            for node in ast.walk(function):
                if isinstance(node, ast.Call):
                    call = ast.unparse(node.func)
                    name = call.rpartition(".")[2]
                    if name in _READING and name not in functions and _names_a_file(node):
                        yield call
                used = getattr(node, "attr", None) or getattr(node, "id", "")
                if used in functions and used not in seen:
                    seen.add(used)
                    waiting.append(used)


def _names_a_file(call: ast.Call) -> bool:
    """Whether a path is spelled out in a call; one that the detector or its module holds is digested."""
    texts = [node.value for node in ast.walk(call) if isinstance(node, ast.Constant)]
    return any(isinstance(text, str) and ("." in text or "/" in text) for text in texts)


def _files(names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and file.endswith(".py"):
            yield Path(file)


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _called(tree: ast.AST) -> Iterator[str]:
    return (ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call))


def _reaches(top: str) -> bool:
    return top in _REACHING or (top not in sys.stdlib_module_names and top not in _COMPUTING)
