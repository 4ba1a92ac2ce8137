"""Tensors of a checkpoint that is outlined, not unpickled: where their numbers lie, and how to read these."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detectors.errors import WeightsError
from detectors.weights.leaf import Leaf
from detectors.weights.listing.pickle_outline import Made, Outline, Outside

_DTYPES = {
    "Float": "float32", "Double": "float64", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64",
    "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool",
    "ComplexFloat": "complex64", "ComplexDouble": "complex128", "Untyped": "uint8", "QInt8": "qint8",
    "QUInt8": "quint8", "QInt32": "qint32",
}  # fmt: skip
# Numbers hardly shrink: an entry of a compressed archive that grows by more holds none.
_MOST_GROWTH, _SMALL = 16, 1 << 20
# Wrappers around wrappers of one tensor.
_DEEPEST = 4
_PARAMETERS = (
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
)
_UNUSUAL = {
    "torch._utils._rebuild_sparse_tensor": "sparse",
    "torch._utils._rebuild_qtensor": "quantised",
    "torch._utils._rebuild_meta_tensor_no_storage": "meta",
    "torch._utils._rebuild_nested_tensor": "nested",
    "torch._utils._rebuild_wrapper_subclass": "of a class of its own",
}


@dataclass(frozen=True, slots=True)
class _Place:
    """A storage that a tensor is a view of.

    Attributes:
        key: Its name in the file.
        dtype: Kind of number, as torch calls it.
        count: How many numbers it has.
    """

    key: str
    dtype: str
    count: int


@dataclass(frozen=True, slots=True)
class Storages:
    """The storages of one checkpoint.

    Attributes:
        path: Checkpoint that they lie in.
        read: Gives the bytes of a storage by its name; they must be as many as asked for.
    """

    path: Path
    read: Callable[[str, int], bytes]

    def leaf(self, item: Any) -> Leaf | None:
        """Give the tensor that an outlined value stands for; ``None`` where it is none."""
        made = _unwrapped(item)
        given = () if made is None else made.arguments or ()
        if made is None or not given:
            return None
        if made.name in _UNUSUAL:
            what = _UNUSUAL[made.name]
            return Leaf(_unusual_shape(given), partial(self._refuse, what), what)
        place = _place(given[0])
        if not made.name.startswith("torch._utils._rebuild_tensor") or len(given) < 4 or not place:
            return None
        shape, strides = _sizes(given[2]), _sizes(given[3])
        dtype = place.dtype
        if made.name.endswith("_v3") and len(given) > 6 and isinstance(given[6], Made):
            dtype = given[6].name.removeprefix("torch.")
        read = partial(self._tensor, place, dtype, int(given[1]), shape, strides)
        return Leaf(shape, read, dtype)

    def _refuse(self, what: str) -> Tensor:
        raise WeightsError(f"{self.path} holds a tensor that is {what}: save it dense, in float32")

    def _tensor(
        self,
        place: _Place,
        dtype: str,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
    ) -> Tensor:
        kind = getattr(torch, dtype, None)
        if not isinstance(kind, torch.dtype) or dtype.startswith(("q", "bits")):
            raise WeightsError(f"{self.path} holds a tensor of {dtype}: save it in float32")
        count = place.count * _itemsize(place.dtype) // kind.itemsize
        if math.prod(shape) == 0:
            return torch.empty(shape, dtype=kind)
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        if min((offset, *strides)) < 0 or last >= count or math.prod(shape) > count:
            raise WeightsError(f"{self.path} holds a tensor beyond its numbers: it is damaged")
        data = bytearray(self.read(place.key, count * kind.itemsize))
        return torch.frombuffer(data, dtype=kind).as_strided(shape, strides, offset).clone()


def archive_storages(path: Path, prefix: str) -> Storages:
    """Read storages from the entries of a zip archive below ``prefix``."""

    def read(key: str, size: int) -> bytes:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if f"{prefix}byteorder" in names and archive.read(f"{prefix}byteorder") != b"little":
                raise WeightsError(f"{path} was written on a big-endian machine: save it again")
            entry = archive.getinfo(f"{prefix}data/{key}")
            if entry.file_size != size:
                raise WeightsError(f"{path} is damaged: {entry.filename} has another size")
            if size > _MOST_GROWTH * max(entry.compress_size, _SMALL):
                raise WeightsError(
                    f"{path}: {entry.filename} unpacks to {size >> 20} MiB from "
                    f"{entry.compress_size >> 10} KiB: it is a zip bomb or holds empty numbers"
                )
            return archive.read(entry)

    return Storages(path, partial(_sentence, path, read))


def legacy_storages(
    path: Path, size: int, outline: Outline, keys: Sequence[Any], start: int
) -> Storages:
    """Read storages that lie behind the pickles of a legacy checkpoint, one after the other.

    Args:
        path: Checkpoint that they lie in.
        size: Bytes that it has.
        outline: The checkpoint, which says what numbers each storage has.
        keys: Names of the storages, in order.
        start: Where the first begins: 8 bytes for its length, then its numbers.

    Raises:
        WeightsError: If the file is not as long as they say.
    """
    places = {place.key: place for place in map(_place, outline.outside) if place is not None}
    starts: dict[str, int] = {}
    at = start
    with path.open("rb") as stream:
        for name in map(str, keys):
            stream.seek(at)
            starts[name] = at + 8
            length = int.from_bytes(stream.read(8), "little", signed=True)
            if length < 0 or name not in places:
                raise WeightsError(f"{path} is damaged: its storage {name} is none of its tensors'")
            at += 8 + length * _itemsize(places[name].dtype)
    if at != size:
        raise WeightsError(f"{path} has {size} bytes where its tensors need {at}: fetch it again")

    def read(key: str, count: int) -> bytes:
        with path.open("rb") as stream:
            stream.seek(starts[key])
            data = stream.read(count)
        if len(data) != count:
            raise WeightsError(f"{path} is damaged: its storage {key} is too short")
        return data

    return Storages(path, partial(_sentence, path, read))


def _sentence(path: Path, read: Callable[[str, int], bytes], key: str, size: int) -> bytes:
    try:
        return read(key, size)
    except WeightsError:
        raise
    except Exception as error:  # zipfile and the system raise what they happen to meet
        raise WeightsError(
            f"{path} cannot be read as plain weights ({type(error).__name__}: {error}): fetch it again"
        ) from error


def _unwrapped(item: Any) -> Made | None:
    """The call that makes the tensor inside a parameter or a tensor of a class of its own."""
    for _ in range(_DEEPEST):  # a hostile pickle may lead in a circle
        if not isinstance(item, Made) or not item.arguments:
            return None
        given = item.arguments
        if item.name in _PARAMETERS:
            item = given[0]
        elif item.name == "torch._tensor._rebuild_from_type_v2" and len(given) > 2:
            item = Made(getattr(given[0], "name", ""), tuple(given[2]))
        else:
            return item
    return None


def _place(value: Any) -> _Place | None:
    if not isinstance(value, Outside) or not isinstance(value.key, tuple) or len(value.key) < 5:
        return None
    word, kind, key, _, count = value.key[:5]
    if word != "storage" or not isinstance(kind, Made) or not isinstance(count, int) or count < 0:
        return None
    name = kind.name.rpartition(".")[2].removesuffix("Storage")
    return _Place(str(key), _DTYPES.get(name, name.lower()), count)


def _itemsize(dtype: str) -> int:
    kind = getattr(torch, dtype, None)
    return kind.itemsize if isinstance(kind, torch.dtype) else 1


def _sizes(value: Any) -> tuple[int, ...]:
    if isinstance(value, Made) and value.arguments:
        value = value.arguments[0]
    if not isinstance(value, list | tuple):
        return ()
    return tuple(int(n) for n in value if isinstance(n, int))


def _unusual_shape(given: Sequence[Any]) -> tuple[int, ...]:
    """The shape of a tensor of an unusual layout, where its arguments tell one."""
    for value in given:
        inner = value[-1] if isinstance(value, tuple) and value and not _sizes(value) else value
        if shape := _sizes(inner):
            return shape
    return ()
