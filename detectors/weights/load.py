"""Reading checkpoints that may be hostile, damaged or simply the wrong file.

``weights_only`` keeps code from running but still lets through a flipped bit, NaN weights and a
small zip that grows to gigabytes; an HTML page or an LFS pointer named ``.pth`` gives a cryptic
error. So: hash when one is known, size before reading, strict keys, shapes, dtypes, finite values, and
one sentence about what is wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from detectors.errors import WeightsError
from detectors.weights.leaf import Leaf, Tree
from detectors.weights.listing.file_kind import file_kind, not_weights, regular_size
from detectors.weights.parts import Part, choose, only
from detectors.weights.safetensors_file import read_safetensors
from detectors.weights.torch_file import read_single, read_torch

# What weights may be stored as; a network computes in float32.
_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_state(
    path: Path, *, sha256: str = "", max_bytes: int = 8 << 30, part: str = ""
) -> dict[str, Tensor]:
    """Read the weights of a ``.safetensors`` file or torch checkpoint, without running code.

    Args:
        path: A ``.safetensors`` file or torch checkpoint.
        sha256: What the file must hash to; empty to skip the check.
        max_bytes: The most a file may take in memory that cannot be read in place.
        part: Which of several sets of weights; empty where there is one.

    Returns:
        Tensors by key, on the CPU, wrappers' prefixes stripped.

    Raises:
        WeightsError: If the file is missing, of another kind, damaged, too large, or holds several sets.
    """
    return _read(only(_open(path, sha256, max_bytes), part=part, path=path))


def read_named(path: Path, *, max_bytes: int = 8 << 30) -> dict[str, Tensor]:
    """Read the tensors of a file under the very names they have in it, without running code.

    Args:
        path: A ``.safetensors`` file or torch checkpoint.
        max_bytes: The most a file may take in memory that cannot be read in place.

    Returns:
        Tensors by name, on the CPU; what stands in a container (``state_dict``) only where nothing stands
        outside of it.

    Raises:
        WeightsError: As :func:`read_state`.
    """
    tree = _open(path, "", max_bytes)
    leaves = {name: leaf for name, leaf in tree.items() if isinstance(leaf, Leaf)}
    if not leaves:
        return read_state(path, max_bytes=max_bytes)
    return {name: leaf.read() for name, leaf in leaves.items()}


def read_state_for(
    network: nn.Module,
    path: Path,
    *,
    sha256: str = "",
    part: str = "",
    key_map: Mapping[str, str] | None = None,
) -> dict[str, Tensor]:
    """Read the weights that fit a network, whatever wrappers, optimizers or losses stand around them.

    Args:
        network: Says which keys are looked for.
        path: ``.safetensors`` or a torch checkpoint.
        sha256: What the file must hash to; empty to skip the check.
        part: Which of several sets of weights; empty where there is one.
        key_map: Prefixes of the file's keys and what replaces them.

    Returns:
        Tensors by the network's keys, on the CPU. Where no set has exactly these, the set that would be
        taken without the network, for :func:`load_strict` to say what is missing.

    Raises:
        WeightsError: As :func:`read_state`.
    """
    values = sum(value.numel() for value in network.state_dict().values())
    # Weights, their average, gradients and two moments, all in float64, are 40 bytes a value.
    tree = _open(path, sha256, 64 * values + (64 << 20))
    return state_for(network, tree, path, part=part, key_map=key_map)


def state_for(
    network: nn.Module,
    tree: Tree,
    path: Path,
    *,
    part: str = "",
    key_map: Mapping[str, str] | None = None,
) -> dict[str, Tensor]:
    """Read the weights that fit a network from tensors that are listed already.

    Args:
        network: Says which keys are looked for.
        tree: The tensors of a file.
        path: The file, for messages.
        part: Which of several sets of weights; empty where there is one.
        key_map: Prefixes of the file's keys and what replaces them.

    Returns:
        As :func:`read_state_for`.

    Raises:
        WeightsError: As :func:`read_state`.
    """
    target = network.state_dict()
    renaming = key_map or {}
    values = sum(value.numel() for value in target.values())

    def fits(candidate: Part) -> bool:
        if len(candidate.leaves) != len(target):
            return False
        return {renamed(key, renaming) for key in candidate.leaves} == target.keys()

    chosen = choose(tree, fits, size=values, part=part, path=path)
    chosen = only(tree, part=part, path=path) if chosen is None else chosen
    for key, leaf in chosen.leaves.items():
        expected = target.get(renamed(key, renaming))
        if expected is not None and expected.shape != leaf.shape:
            raise _misshapen(path.name, key, leaf.shape, expected.shape)
    return rename(_read(chosen), renaming)


def read_tensor(path: Path, max_bytes: int) -> Tensor:
    """Read the one tensor of a file that holds nothing else, without running code.

    Args:
        path: A file that ``torch.save`` wrote.
        max_bytes: The most it may take in memory where it cannot be read in place.

    Raises:
        WeightsError: If the file is missing, of another kind, damaged or too large.
    """
    return read_single(path, regular_size(path), max_bytes)


def _open(path: Path, sha256: str, max_bytes: int) -> Tree:
    size, kind = regular_size(path), file_kind(path)
    _refuse_text(path)
    if sha256 and (actual := file_sha256(path)) != sha256:
        raise WeightsError(
            f"{path} has sha256 {actual[:12]}, expected {sha256[:12]}: it is damaged or another "
            "file; fetch it again"
        )
    if kind.form == "safetensors" or path.suffix.lower() == ".safetensors":
        return read_safetensors(path, size)
    if kind.form == "other" and kind.is_certain:
        raise not_weights(path, kind)
    return read_torch(path, size, max_bytes)


def _read(part: Part) -> dict[str, Tensor]:
    return {key: leaf.read() for key, leaf in part.leaves.items()}


def _refuse_text(path: Path) -> None:
    with path.open("rb") as stream:
        head = stream.read(64).lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise WeightsError(f"{path} is a web page, not weights: the download was redirected")
    if head.startswith(b"version https://git-lfs"):
        raise WeightsError(f"{path} is a Git LFS pointer, not weights: run `git lfs pull`")


def rename(state: Mapping[str, Tensor], key_map: Mapping[str, str]) -> dict[str, Tensor]:
    """Replace key prefixes as the card states; the longest matching prefix wins."""
    result: dict[str, Tensor] = {}
    for key, value in state.items():
        new = renamed(key, key_map)
        if new in result:
            raise WeightsError(f"the key map sends two keys to {new!r}: mend the card's key_map")
        result[new] = value
    return result


def renamed(key: str, key_map: Mapping[str, str]) -> str:
    """Replace the longest prefix of a key that a key map knows.

    Example:
        >>> renamed("vit.head.bias", {"vit.": "", "vit.head.": "fc."})
        'fc.bias'
    """
    prefix = max((p for p in key_map if key.startswith(p)), key=len, default=None)
    return key if prefix is None else key_map[prefix] + key[len(prefix) :]


def _misshapen(
    source: str, key: str, shape: tuple[int, ...], needed: tuple[int, ...]
) -> WeightsError:
    says = f"{source}: {key} has shape {tuple(shape)}, the network needs {tuple(needed)}"
    if len(shape) == len(needed) and shape[1:] == needed[1:]:
        # A head of another number of outputs: the label direction says how many the network has.
        if (shape[0], needed[0]) == (2, 1):
            says += ": this head has two outputs, write --fake-logit z1-z0 (or z0-z1) in place of z"
        elif (shape[0], needed[0]) == (1, 2):
            says += ": this head has one output, write --fake-logit z (or -z)"
    return WeightsError(says)


def why_unusable(value: Tensor, expected: Tensor) -> str:
    """Say why a tensor cannot stand for one of a network, shapes aside.

    Args:
        value: From a file.
        expected: The network's, which says whether real numbers, integers or truth values are meant.

    Returns:
        The reason, to follow the tensor's name; empty where it can.
    """
    dtype = str(value.dtype).removeprefix("torch.")
    if value.is_meta:
        return "has no values (a tensor on the meta device): save the network itself"
    if value.is_quantized:
        return f"is quantised ({dtype}): save the network before it is quantised"
    if value.layout is not torch.strided:
        return "is sparse: save it dense, as `tensor.to_dense()`"
    if value.dtype in _FLOATS:
        return _why_not_finite(value, expected)
    meant = (
        "real numbers"
        if expected.is_floating_point()
        else str(expected.dtype).removeprefix("torch.")
    )
    both_integers = value.dtype in _INTEGERS and expected.dtype in _INTEGERS
    if value.dtype == expected.dtype or both_integers:
        return ""
    return f"holds {dtype} where the network has {meant}: save it as float32, float16 or bfloat16"


def _why_not_finite(value: Tensor, expected: Tensor) -> str:
    if not bool(torch.isfinite(value).all()):
        return "holds values that are not finite; it is damaged"
    # Scripts that change every tensor's precision change counters too.
    if not expected.is_floating_point() and not bool((value == value.round()).all()):
        return f"holds fractions where the network counts ({expected.dtype})".replace("torch.", "")
    return ""


def load_strict(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Copy ``state`` into ``network``; every key, every shape, every value must fit.

    Args:
        network: Receives the weights, in its own dtype (float32; half-precision files are widened).
        state: Tensors by key.
        source: What the user called the weights, for messages.

    Raises:
        WeightsError: On missing, unexpected or misshapen keys, or values that are not finite or not the
            kind of number that the network has.
    """
    expected = network.state_dict()
    missing, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or extra:
        parts = [
            f"{len(names)} {word} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
            for names, word in ((missing, "missing"), (extra, "unexpected"))
            if names
        ]
        raise WeightsError(
            f"{source} is not a checkpoint of this network: keys {' and '.join(parts)}; choose the "
            "matching detector, or state the renaming in the card's weights.key_map"
        )
    for key, value in state.items():
        if value.shape != expected[key].shape:
            raise _misshapen(source, key, value.shape, expected[key].shape)
        if reason := why_unusable(value, expected[key]):
            raise WeightsError(f"{source}: {key} {reason}")
    network.load_state_dict(dict(state), strict=True)
