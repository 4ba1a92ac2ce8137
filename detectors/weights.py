"""Reading checkpoints that may be hostile, damaged or simply the wrong file.

``weights_only`` keeps code from running but still lets through a flipped bit, NaN weights and a
small zip that grows to gigabytes; an HTML page or an LFS pointer named ``.pth`` gives a cryptic
error. So: hash when one is known, size before reading, strict keys, shapes, finite values, and one
sentence about what is wrong.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from detectors.errors import DetectorError

# Where published checkpoints keep the state dict, in the order they are looked for.
CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "netC")
# Wrappers' prefixes; stripped only when every key carries them.
WRAPPERS = ("module.", "_orig_mod.", "model.")


class WeightsError(DetectorError):
    """A weights file that cannot be used; the message says why and what to do."""


def file_sha256(path: Path) -> str:
    """Digest the bytes of a file: their sha256, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_state(path: Path, *, sha256: str = "", max_bytes: int = 8 << 30) -> dict[str, Tensor]:
    """Read a flat state dict from ``.safetensors`` or a torch checkpoint, without running code.

    Args:
        path: Weights file to read.
        sha256: Hash that the file must have; empty to skip the check.
        max_bytes: The most the tensors may take once unpacked.

    Returns:
        Tensors by key, on the CPU, wrappers' prefixes stripped.

    Raises:
        WeightsError: If the file is missing, of another kind, damaged, or too large.
    """
    if not path.is_file():
        raise WeightsError(f"no weights file at {path}: check the path")
    size = path.stat().st_size
    if size == 0:
        raise WeightsError(f"{path} is empty: fetch it again")
    _refuse_text(path)
    if sha256 and (actual := file_sha256(path)) != sha256:
        raise WeightsError(
            f"{path} has sha256 {actual[:12]}, expected {sha256[:12]}: it is damaged or another "
            "file; fetch it again"
        )
    if path.suffix.lower() == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, ValueError, OSError) as error:
            raise WeightsError(f"{path} is not a readable safetensors file ({error})") from error
    return _strip(_container(_read_torch(path, size, max_bytes), path))


def _refuse_text(path: Path) -> None:
    with path.open("rb") as stream:
        head = stream.read(64).lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise WeightsError(f"{path} is a web page, not weights: the download was redirected")
    if head.startswith(b"version https://git-lfs"):
        raise WeightsError(f"{path} is a Git LFS pointer, not weights: run `git lfs pull`")


def _read_torch(path: Path, size: int, max_bytes: int) -> object:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    if size > max_bytes:
        raise WeightsError(
            f"{path} unpacks to {size / 2**20:.0f} MiB, more than the {max_bytes / 2**20:.0f} MiB "
            "this detector can need: it is not this detector's checkpoint"
        )
    try:
        # Explicit: an environment variable disarms torch's default, never the argument.
        return torch.load(path, map_location="cpu", weights_only=True)
    except (
        Exception
    ) as error:  # torch raises half a dozen kinds here, one of them without a message
        reason = str(error).strip().splitlines()
        detail = reason[0][:160] if reason else type(error).__name__
        raise WeightsError(
            f"{path} cannot be read as plain weights ({detail}): save it again with "
            "`torch.save(network.state_dict(), FILE)` or as safetensors"
        ) from error


def _container(loaded: object, path: Path) -> dict[str, Tensor]:
    if isinstance(loaded, Mapping):
        if _is_state(loaded):
            return dict(loaded)
        for name in CONTAINERS:
            inner = loaded.get(name)
            if isinstance(inner, Mapping) and _is_state(inner):
                return dict(inner)
        keys = ", ".join(repr(key) for key in list(loaded)[:8])
        raise WeightsError(f"{path} holds no state dict (found {keys}; looked under {CONTAINERS})")
    raise WeightsError(f"{path} holds a {type(loaded).__name__}, not a state dict")


def _is_state(value: Mapping[object, object]) -> bool:
    return bool(value) and all(
        isinstance(key, str) and isinstance(item, Tensor) for key, item in value.items()
    )


def _strip(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in WRAPPERS:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def rename(state: Mapping[str, Tensor], key_map: Mapping[str, str]) -> dict[str, Tensor]:
    """Replace key prefixes as the card states; the longest matching prefix wins."""
    prefixes = sorted(key_map, key=len, reverse=True)
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        prefix = next((p for p in prefixes if key.startswith(p)), None)
        new = key if prefix is None else key_map[prefix] + key[len(prefix) :]
        if new in renamed:
            raise WeightsError(f"the key map sends two keys to {new!r}: mend the card's key_map")
        renamed[new] = value
    return renamed


def load_strict(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Copy ``state`` into ``network``; every key, every shape, every value must fit.

    Args:
        network: Receives the weights, in its own dtype (float32; half-precision files are widened).
        state: Tensors by key.
        source: Name of the weights in messages.

    Raises:
        WeightsError: On missing, unexpected or misshapen keys, or values that are not finite.
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
            raise WeightsError(
                f"{source}: {key} has shape {tuple(value.shape)}, the network needs "
                f"{tuple(expected[key].shape)}"
            )
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise WeightsError(f"{source}: {key} holds values that are not finite; it is damaged")
    network.load_state_dict(dict(state), strict=True)
