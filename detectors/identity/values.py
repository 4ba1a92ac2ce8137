"""What makes a detector the one it is: everything it holds that can decide a logit, walked and hashed.

A detector's own code may keep its weights anywhere: torch modules, arrays, lists of networks, objects of its
own, a module's globals, files that it names. What cannot be walked is named, so that whoever stores scores
can ask for it, or not store them.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import pickle
import re
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from detectors.errors import DetectorError
from detectors.identity.source_code import is_installed

# Values that hold nothing a logit could depend on.
_HARMLESS = (
    logging.Logger,
    re.Pattern,
    type(threading.Lock()),
    type(threading.RLock()),
    threading.Event,
    threading.local,
)
# Packages whose classes hold nothing of a detector's own.
_NOT_OWN = ("abc", "builtins", "detectors", "torch", "typing")
_LITERALS = (type(None), bool, int, float, complex, str, bytes)


class Identity(NamedTuple):
    """A digest over what a detector holds, and what of it could not be looked into.

    Attributes:
        digest: A sha256, 64 hex digits.
        unknown: Where something stands that cannot be hashed, such as ``self.session (InferenceSession)``.
    """

    digest: str
    unknown: tuple[str, ...]


def nested_modules(value: object) -> list[nn.Module]:
    """Find the torch modules in an object's attributes, in lists, mappings and objects inside them too."""
    networks: list[nn.Module] = []
    _gather(held_values(value), networks, set())
    return networks


def held_values(value: object) -> dict[str, object]:
    """Collect what an object and the classes of its own hold, by name; methods and dunders left out."""
    held: dict[str, object] = {}
    for cls in reversed(type(value).__mro__):
        if cls.__module__.partition(".")[0] not in _NOT_OWN:
            held |= {
                name: item
                for name, item in vars(cls).items()
                if not name.startswith("__") and not name.startswith("_abc_") and not _is_code(item)
            }
    return held | vars(value)


def _gather(value: object, networks: list[nn.Module], visited: set[int]) -> None:
    if id(value) in visited:
        return
    visited.add(id(value))
    if isinstance(value, nn.Module):
        networks.append(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            _gather(item, networks, visited)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            _gather(item, networks, visited)
    elif not isinstance(value, _LITERALS) and not _is_code(value) and _is_own_object(value):
        _gather(vars(value), networks, visited)


def held_by(attributes: Mapping[str, object], modules: Iterable[types.ModuleType]) -> Identity:
    """Digest the values that a detector holds, and the globals of the modules its code stands in.

    Args:
        attributes: The detector's own attributes, by name.
        modules: Modules of its own code; their classes, functions and imports are code, not values.
    """
    walk = _Walk()
    for name in sorted(attributes):
        walk.add(f"self.{name}", attributes[name])
    for module in sorted(modules, key=lambda module: module.__name__):
        for name, value in sorted(vars(module).items()):
            if not name.startswith("__") and not _is_code(value):
                walk.add(f"{module.__name__}.{name}", value, optional=True)
    return Identity(walk.digest.hexdigest(), tuple(walk.unknown))


def file_digests(files: Iterable[str | Path], folder: Path) -> str:
    """Digest the content of files that decide a detector's logits.

    Args:
        files: Paths; relative ones are looked for in ``folder``, then in the working folder.
        folder: Folder of the detector's code.

    Raises:
        DetectorError: One of them is not there, or they are no list of paths.
    """
    if isinstance(files, str):
        raise DetectorError(
            f"files is the text {files!r}: make it a list of paths, files = [{files!r}]"
        )
    digest = hashlib.sha256()
    for name in files:
        places = (folder / name, Path(name))
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            raise DetectorError(
                f"files names {str(name)!r}, and there is no such file in {folder} nor in the working "
                "folder: check the path"
            )
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").digest()
        digest.update(str(name).encode() + b"\0" + content)
    return digest.hexdigest()


class _Walk:
    """Feeds values to a digest, each once, and notes what it cannot look into."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.unknown: list[str] = []
        self._numbers: dict[int, int] = {}
        self._kept: list[object] = []

    def add(self, where: str, value: object, *, optional: bool = False) -> None:
        """Digest one value; ``optional`` passes over typing constructs that a module holds as globals."""
        if optional and type(value).__module__ in ("typing", "types", "__future__", "_thread"):
            return
        self._tag(where.rpartition(".")[2])
        self._value(where, value)

    def _tag(self, text: str) -> None:
        self.digest.update(text.encode("utf-8", "surrogatepass") + b"\0")

    def _value(self, where: str, value: object) -> None:
        if isinstance(value, (*_LITERALS, np.generic, torch.dtype)):
            self._tag(f"{type(value).__name__} {value!r}")
        elif isinstance(value, _HARMLESS):
            return
        elif id(value) in self._numbers:
            # The same object again: its number tells which, so that circles end.
            self._tag(f"again {self._numbers[id(value)]}")
        else:
            self._numbers[id(value)] = len(self._numbers)
            self._kept.append(value)  # or another object might get its number
            self._compound(where, value)

    def _compound(self, where: str, value: object) -> None:
        kinds: tuple[tuple[Any, Callable[[str, Any], None]], ...] = (
            (np.ndarray, self._array),
            (Tensor, self._tensor),
            (nn.Module, self._module),
            (Mapping, self._mapping),
            (list | tuple, self._sequence),
            (Set, self._set),
            (Path, self._path),
            (BaseModel, lambda _, model: self._tag(model.model_dump_json(exclude_defaults=True))),
            (Enum | torch.device | slice | range, lambda _, plain: self._tag(repr(plain))),
        )
        for kind, feed in kinds:
            if isinstance(value, kind):
                feed(where, value)
                return
        if _is_code(value):
            self._code(where, value)
        elif _is_own_object(value):
            self._object(where, value)
        else:
            self._pickled(where, value)

    def _mapping(self, where: str, value: Mapping[Any, Any]) -> None:
        self._tag(f"mapping {len(value)}")
        for key in sorted(value, key=repr):
            self._value(where, key if isinstance(key, _LITERALS) else repr(key))
            self._value(f"{where}[{key!r}]", value[key])

    def _sequence(self, where: str, value: Sequence[Any]) -> None:
        self._tag(f"sequence {len(value)}")
        for index, item in enumerate(value):
            self._value(f"{where}[{index}]", item)

    def _set(self, where: str, value: Set[Any]) -> None:
        self._tag(f"set {len(value)}")
        for item in sorted(value, key=repr):
            self._value(where, item)

    def _object(self, where: str, value: object) -> None:
        self._tag(f"object {type(value).__qualname__}")
        for name, item in sorted(vars(value).items()):
            self._tag(name)
            self._value(f"{where}.{name}", item)

    def _array(self, where: str, value: np.ndarray[Any, Any]) -> None:
        self._tag(f"array {value.dtype} {value.shape}")
        if value.dtype.hasobject:
            for index, item in enumerate(value.ravel().tolist()):
                self._value(f"{where}[{index}]", item)
        else:
            self.digest.update(np.ascontiguousarray(value).tobytes())

    def _tensor(self, _: str, value: Tensor) -> None:
        tensor = value.detach().cpu().contiguous()
        self._tag(f"tensor {tensor.dtype} {tuple(tensor.shape)}")
        self.digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())

    def _module(self, where: str, value: nn.Module) -> None:
        self._tag(f"network {type(value).__qualname__}")
        for name, tensor in sorted(value.state_dict(keep_vars=True).items()):
            self._tag(name)
            if isinstance(tensor, Tensor):
                self._tensor(name, tensor)
            else:
                self._value(f"{where}.{name}", tensor)
        for path, inner in value.named_modules():
            # A temperature or a threshold kept as a plain number is no entry of the state.
            for name, item in sorted(vars(inner).items()):
                if name not in _OF_TORCH and isinstance(
                    item, (*_LITERALS, np.ndarray, list, tuple)
                ):
                    self._tag(f"{path}.{name}")
                    self._value(f"{where}.{path}.{name}", item)

    def _path(self, _: str, value: Path) -> None:
        self._tag(f"path {value.name}")
        if value.is_file():
            with value.open("rb") as stream:
                self.digest.update(hashlib.file_digest(stream, "sha256").digest())

    def _code(self, where: str, value: object) -> None:
        """A function or class: its code is digested with its module; what it is bound to is walked."""
        if isinstance(value, functools.partial):
            self._value(where, value.func)
            self._value(where, [*value.args, dict(value.keywords)])
            return
        if isinstance(value, types.MethodType):
            self._tag(value.__func__.__qualname__)
            self._value(f"{where}.__self__", value.__self__)
            return
        self._tag(
            f"code {getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value)}"
        )
        if isinstance(value, types.FunctionType):
            self.digest.update(
                value.__code__.co_code + repr(value.__code__.co_consts).encode()
                if "<lambda>" in value.__qualname__
                else b""
            )
            for cell in value.__closure__ or ():
                try:
                    self._value(f"{where} (closure)", cell.cell_contents)
                except ValueError:  # not filled yet
                    continue
            self._value(where, list(value.__defaults__ or ()))

    def _pickled(self, where: str, value: object) -> None:
        """A library's object: its pickle, where it has one; else nobody can tell what it holds."""
        try:
            data = pickle.dumps(value, protocol=5)
        except Exception:  # an object may refuse in any way
            self.unknown.append(f"{where} ({type(value).__name__})")
            return
        self._tag(f"pickle {type(value).__qualname__}")
        self.digest.update(data)


_OF_TORCH = frozenset(vars(nn.Module())) | {"training"}


def _is_code(value: object) -> bool:
    return isinstance(
        value,
        type | types.ModuleType | types.FunctionType | types.BuiltinFunctionType | types.MethodType
        | functools.partial | staticmethod | classmethod | property,
    )  # fmt: skip


def _is_own_object(value: object) -> bool:
    """Tell whether an object is of a class in somebody's own file, so that its attributes are all of it."""
    cls = type(value)
    if not hasattr(value, "__dict__"):
        return False
    source = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return cls.__module__ == "__main__" if source is None else not is_installed(Path(source))


def own_modules(names: Iterable[str]) -> Iterator[types.ModuleType]:
    """Look up the modules of one's own code that have been imported, by name."""
    for name in names:
        module = sys.modules.get(name)
        if module is not None:
            yield module
