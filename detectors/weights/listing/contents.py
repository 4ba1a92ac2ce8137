"""What a weights file holds, listed without running anything in it and without reading its numbers."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from detectors.errors import WeightsError
from detectors.weights.leaf import Leaf, Tree
from detectors.weights.listing.file_kind import FileKind, file_kind, not_weights, regular_size
from detectors.weights.listing.pickle_outline import Made, Outline, read_outline
from detectors.weights.listing.stored_tensors import Storages, archive_storages, legacy_storages
from detectors.weights.safetensors_file import read_metadata, read_safetensors

# Mappings below mappings that are looked into; no training script nests deeper.
_DEEPEST = 8
_LONGEST_TEXT = 80
_MOST_VALUES = 300_000
# What a checkpoint's pickle may look up without anything but tensors and containers coming of it.
_PLAIN = ("torch.", "collections.OrderedDict", "collections.defaultdict", "_codecs.encode")
# What trainers leave beside weights: records of a run, harmless but nothing that is read here.
_RECORDS = (
    "argparse.Namespace", "collections.", "datetime.", "enum.", "numpy.core.", "numpy._core.",
    "numpy.dtype", "numpy.ndarray", "omegaconf.", "pathlib.",
    "types.SimpleNamespace", "uuid.UUID", "easydict.", "yacs.config.", "addict.", "mmengine.",
)  # fmt: skip
# Modules whose functions act on the machine; no checkpoint names them for a good reason.
_ACTING = (
    "os.", "posix.", "nt.", "subprocess.", "sys.", "socket.", "shutil.", "importlib.", "runpy.", "pty.",
    "ctypes.", "webbrowser.", "urllib.", "requests.", "http.", "asyncio.", "code.", "pickle.", "torch.hub.",
    "torch.load", "torch.jit.", "operator.", "functools.",
)  # fmt: skip
_BUILTINS = ("builtins.", "__builtin__.", "__builtins__.")
_HARMLESS_BUILTINS = frozenset({
    "set", "frozenset", "dict", "list", "tuple", "int", "float", "bool", "str", "bytes", "bytearray",
    "complex", "slice", "range", "object", "NoneType",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds.

    Attributes:
        path: File that was looked into.
        kind: What kind of file it is.
        size: Bytes.
        tree: Its tensors under the mappings above them.
        remainder: What is no tensor, in words, by the name it stands under.
        foreign: Names of code that would be looked up, beyond torch's own and containers.
    """

    path: Path
    kind: FileKind
    size: int
    tree: Tree
    remainder: Mapping[str, str]
    foreign: tuple[str, ...]

    @property
    def acting(self) -> tuple[str, ...]:
        """Names of code that acts on the machine that would load the file in another program."""
        return tuple(name for name in self.foreign if _acts(name))

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of code that is neither a record of a training nor known to act."""
        return tuple(
            name for name in self.foreign if not _acts(name) and not name.startswith(_RECORDS)
        )


def read_contents(path: Path) -> Contents:
    """List what a file holds.

    Raises:
        WeightsError: If it is no regular file or no form of weights, or is damaged.
    """
    kind, size = file_kind(path), regular_size(path)
    if kind.form == "other":
        raise not_weights(path, kind)
    if kind.form == "safetensors":
        return Contents(path, kind, size, read_safetensors(path, size), read_metadata(path), ())
    outline, storages = _outlined(path, size, kind)
    foreign = tuple(sorted(name for name in outline.names if not _is_plain(name)))
    value = outline.value if isinstance(outline.value, Mapping) else {"(top)": outline.value}
    remainder: dict[str, str] = {}
    try:
        tree = _Sorting(storages, remainder).tree(value, "", _DEEPEST)
    except WeightsError as error:
        raise WeightsError(f"{path} cannot be read as plain weights: {error}") from error
    return Contents(path, kind, size, tree, remainder, foreign)


def _outlined(path: Path, size: int, kind: FileKind) -> tuple[Outline, Storages]:
    try:
        if kind.form == "torch archive":
            with zipfile.ZipFile(path) as archive:
                name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
                with archive.open(name) as stream:
                    outline = read_outline(cast("BinaryIO", stream))
            return outline, archive_storages(path, name.removesuffix("data.pkl"))
        with path.open("rb") as file:
            for _ in range(3):  # magic number, protocol version, byte order and sizes
                read_outline(file)
            outline = read_outline(file)
            keys = read_outline(file).value
            return outline, legacy_storages(path, size, outline, keys, file.tell())
    except WeightsError:
        raise
    except Exception as error:  # a damaged archive or pickle fails wherever it happens to
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        shown = "".join(c if c.isprintable() else " " for c in reason)
        raise WeightsError(
            f"{path} cannot be read as plain weights ({shown}): fetch it again"
        ) from error


class _Sorting:
    """Parts a checkpoint into tensors and the rest, each container once."""

    def __init__(self, storages: Storages, remainder: dict[str, str]) -> None:
        self._storages = storages
        self._remainder = remainder
        self._within: set[int] = set()
        self._count = 0

    def tree(self, value: Mapping[Any, Any], where: str, depth: int) -> Tree:
        """Take the tensors of a mapping; what is none goes to the remainder."""
        tree: dict[str, Leaf | Tree] = {}
        self._within.add(id(value))
        for key, item in value.items():
            self._count += 1
            if self._count > _MOST_VALUES:  # containers that hold one another many times over
                raise WeightsError(
                    f"more than {_MOST_VALUES} values stand in it: it is no checkpoint"
                )
            name = f"{where}.{key}" if where else str(key)
            leaf = self._storages.leaf(item)
            if leaf is not None:
                tree[str(key)] = leaf
                continue
            members = dict(enumerate(item)) if isinstance(item, list | tuple) else item
            if isinstance(members, dict) and members and depth > 1 and id(item) not in self._within:
                before = len(self._remainder)
                inner = self.tree(members, name, depth - 1)
                if inner:
                    tree[str(key)] = inner
                    continue
                for new in list(self._remainder)[before:]:
                    del self._remainder[new]
            self._remainder[name] = _worded(item)
        self._within.discard(id(value))
        return tree


def _worded(item: Any) -> str:
    """Say what a value is: numbers and short texts themselves, containers by their size."""
    if isinstance(item, Made):
        return item.name
    if isinstance(item, dict):
        return f"mapping of {len(item)}"
    if isinstance(item, list | tuple):
        return f"list of {len(item)}"
    if item is None or isinstance(item, bool | int | float):
        return str(item)[:_LONGEST_TEXT]
    if isinstance(item, str):
        return repr(item if len(item) <= _LONGEST_TEXT else item[:_LONGEST_TEXT] + "...")
    return type(item).__name__


def _is_plain(name: str) -> bool:
    return name.startswith(_PLAIN) and not _acts(name)


def _acts(name: str) -> bool:
    for prefix in _BUILTINS:
        if name.startswith(prefix):
            return name.removeprefix(prefix) not in _HARMLESS_BUILTINS
    return name.startswith(_ACTING)
