"""A ``.safetensors`` file as named tensors; its header is held against its size before anything is read."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from detectors.errors import WeightsError
from detectors.weights.leaf import Leaf, Tree

# What torch calls the format's kinds of numbers.
_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64",
    "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "C64": "complex64",
}  # fmt: skip
_MOST_HEADER = 100 << 20  # the format's own limit


def read_safetensors(path: Path, size: int) -> Tree:
    """List the tensors of a file.

    Args:
        path: A file in the format, or that claims so.
        size: Its size in bytes.

    Raises:
        WeightsError: If it is damaged, or of another kind.
    """
    entries = _entries(path, size)
    return {
        name: Leaf(shape, partial(_tensor, path, name), _DTYPES.get(code, code))
        for name, (shape, code) in entries.items()
    }


def read_metadata(path: Path) -> dict[str, str]:
    """Read the texts that a file of the format carries beside its tensors, by ``__metadata__.NAME``.

    The file is one that :func:`read_safetensors` has read.
    """
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(min(length, _MOST_HEADER)))
    texts = header.get("__metadata__", {})
    return {f"__metadata__.{name}": repr(str(text)[:80]) for name, text in texts.items()}


def _entries(path: Path, size: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype code of every tensor."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(_MOST_HEADER, size - 8):
            raise WeightsError(f"{path} is not a readable safetensors file (a damaged header)")
        header = stream.read(length)
    try:
        entries = json.loads(header)
        entries.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
        shapes = {
            name: (tuple(map(int, entry["shape"])), str(entry["dtype"]))
            for name, entry in entries.items()
        }
    except Exception as error:  # JSON of any shape
        raise WeightsError(
            f"{path} is not a readable safetensors file (a header that is not its own)"
        ) from error
    if end + 8 + length != size:
        raise WeightsError(
            f"{path} is not a readable safetensors file ({size} bytes where its header says "
            f"{end + 8 + length}): fetch it again"
        )
    return shapes


def _tensor(path: Path, name: str) -> Tensor:
    try:
        with safe_open(path, framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
    except Exception as error:  # the library raises its own kinds, torch's and the system's
        raise WeightsError(
            f"{path} is not a readable safetensors file ({name}: {error}): fetch it again"
        ) from error
    return tensor
