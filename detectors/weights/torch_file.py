"""A torch checkpoint as named tensors: no code of it runs, and no more is read than is used."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from detectors.errors import WeightsError
from detectors.weights.leaf import Leaf, Tree
from detectors.weights.listing.contents import read_contents
from detectors.weights.listing.file_kind import is_archive

# Mappings below mappings that are looked into; no training script nests deeper.
_DEEPEST = 8
_SAVE_AGAIN = "save it again with `torch.save(network.state_dict(), FILE)` or as safetensors"


@dataclass(frozen=True, slots=True)
class _Listed:
    """A checkpoint that was listed, not loaded: its tensors are read where they are used."""

    tree: Tree


def read_torch(path: Path, size: int, max_bytes: int) -> Tree:
    """List the tensors of a checkpoint.

    Args:
        path: A file that ``torch.save`` wrote, or that claims so.
        size: Its size in bytes.
        max_bytes: The most a file may take in memory that cannot be read in place.

    Raises:
        WeightsError: If it is damaged, too large, of another kind, or only code could restore it.
    """
    loaded = _loaded(path, size, max_bytes)
    if isinstance(loaded, _Listed):
        return loaded.tree
    if not isinstance(loaded, Mapping):
        raise WeightsError(
            f"{path} holds a {type(loaded).__name__}, not a state dict: {_SAVE_AGAIN}"
        )
    return _tree(loaded, _DEEPEST)


def read_single(path: Path, size: int, max_bytes: int) -> Tensor:
    """Read the one tensor of a file that holds nothing else.

    Args:
        path: A file that ``torch.save`` wrote, or that claims so.
        size: Its size in bytes.
        max_bytes: The most a file may take in memory that cannot be read in place.

    Raises:
        WeightsError: As :func:`read_torch`, or if it holds anything but a tensor.
    """
    loaded = _loaded(path, size, max_bytes)
    if not isinstance(loaded, Tensor):
        kind = "state dict" if isinstance(loaded, _Listed) else type(loaded).__name__
        raise WeightsError(f"{path} holds a {kind}, not a tensor: fetch it again")
    return loaded


def _loaded(path: Path, size: int, max_bytes: int) -> object:
    in_place = _checked_zip(path, max_bytes)
    if not in_place and size > max_bytes:
        raise _too_large(path, size, max_bytes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's advice to those who write checkpoints
            # Explicit: an environment variable disarms torch's default, never the argument.
            loaded: object = torch.load(path, map_location="cpu", weights_only=True, mmap=in_place)
    except Exception as error:  # torch raises half a dozen kinds, one of them without a message
        tree = _listed(path)
        if tree is not None:
            return _Listed(tree)
        raise WeightsError(
            f"{path} cannot be read as plain weights ({_reason(path, error)}): {_SAVE_AGAIN}"
        ) from error
    return loaded


def _listed(path: Path) -> Tree | None:
    """List the tensors of plain weights that torch's own reader does not know, such as later pickles."""
    try:
        contents = read_contents(path)
    except WeightsError:
        return None
    return None if contents.foreign else contents.tree


def _checked_zip(path: Path, max_bytes: int) -> bool:
    """Check the sums of a zip archive; says whether its tensors can be read in place.

    A checkpoint as torch writes it is an archive that is not compressed, so that what is not asked for,
    such as an optimizer's moments, is never read. A compressed one is unpacked whole.
    """
    if not is_archive(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            unpacked = sum(entry.file_size for entry in entries)
            compressed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            if compressed and unpacked > max_bytes:
                raise _too_large(path, unpacked, max_bytes)
            damaged = archive.testzip()
    except WeightsError:
        raise
    except Exception as error:  # zipfile raises what its parser happens to meet
        reason = f"a damaged archive: {_one_line(error)}"
        raise WeightsError(
            f"{path} cannot be read as plain weights ({reason}): fetch it again"
        ) from error
    if damaged is not None:
        raise WeightsError(
            f"{path} cannot be read as plain weights (its entry {damaged!r} fails its checksum): "
            "fetch it again"
        )
    return not compressed


def _too_large(path: Path, size: int, max_bytes: int) -> WeightsError:
    return WeightsError(
        f"{path} unpacks to {size / 2**20:.0f} MiB, more than the {max_bytes / 2**20:.0f} MiB "
        "this detector can need: it is not this detector's checkpoint"
    )


def _reason(path: Path, error: Exception) -> str:
    """Say in a few words why torch would not read a checkpoint: above all, what in it is no tensor."""
    try:
        names = set(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # not a checkpoint at all
        names = set()
    names |= set(re.findall(r"GLOBAL ([\w.]+)", str(error)))
    if names:
        shown = ", ".join(sorted(names)[:4]) + (", ..." if len(names) > 4 else "")
        return (
            f"it holds {shown}, which only code in the file could restore, and none is run; "
            "`bench weights convert` takes its tensors alone"
        )
    return _one_line(error)


def _one_line(error: Exception) -> str:
    """The first line of a message, without the escape codes of a terminal."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", str(error))
    # Torch's advice to load without its guard is none to pass on; what it stumbled over is.
    text = text.rpartition("WeightsUnpickler error:")[2]
    lines = "".join(c if c.isprintable() or c == "\n" else " " for c in text).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__


def _tree(value: Mapping[object, object], depth: int) -> Tree:
    tree: dict[str, Leaf | Tree] = {}
    for key, item in value.items():
        if isinstance(item, Tensor):
            dtype = str(item.dtype).removeprefix("torch.")
            tree[str(key)] = Leaf(tuple(item.shape), partial(_itself, item), dtype)
            continue
        members = dict(enumerate(item)) if isinstance(item, list | tuple) else item
        if isinstance(members, Mapping) and depth > 1 and (inner := _tree(members, depth - 1)):
            tree[str(key)] = inner
    return tree


def _itself(tensor: Tensor) -> Tensor:
    return tensor
