"""ImageNet weights to start a training from: from timm or torchvision, or from a file."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import getproxies

from torch import Tensor, nn

from detectors.errors import DetectorError
from detectors.weights import read_state, split_part, why_unusable

_PATIENCE_S = 5


@dataclass(frozen=True, slots=True)
class Pretrained:
    """Where the ImageNet weights of a network are published.

    Attributes:
        library: Which library fetches them.
        name: What that library calls the network.
        head: Prefixes of the classifier's keys, which are left as they are.
        prefix: What the network's own keys have in front of the published ones.
    """

    library: Literal["timm", "torchvision"]
    name: str
    head: tuple[str, ...]
    prefix: str = ""


class PretrainedError(DetectorError):
    """ImageNet weights that cannot be had; the message says the ways out."""


def imagenet_state(source: Pretrained) -> dict[str, Tensor]:
    """Fetch the published ImageNet weights, or take them from the library's own cache.

    Raises:
        PretrainedError: If they cannot be reached.
    """
    try:
        if source.library == "timm":
            import timm  # noqa: PLC0415  (5 s to import)

            with _no_retries_offline():
                network = timm.create_model(source.name, pretrained=True)
        else:
            import torchvision  # noqa: PLC0415

            network = torchvision.models.get_model(source.name, weights="IMAGENET1K_V1")
    except Exception as error:  # networks fail in many ways, and none of them is a bug here
        reason = str(error).strip().splitlines()
        raise PretrainedError(
            f"ImageNet weights of {source.name} cannot be reached through {source.library} "
            f"({type(error).__name__}: {reason[0][:120] if reason else 'no reason given'}): "
            "pass them with --init FILE, or train from random weights with --from-scratch"
        ) from error
    return dict(network.state_dict())


@contextmanager
def _no_retries_offline() -> Iterator[None]:
    """Look in the local cache only where the hub is out of reach: its client would retry for a minute."""
    from huggingface_hub import constants  # noqa: PLC0415  (timm has imported it)

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _reachable(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _reachable(address: str) -> bool:
    """Tell whether a server answers at all; behind a proxy only its client can tell."""
    parts = urlsplit(address)
    if getproxies():
        return True
    try:
        port = parts.port or (80 if parts.scheme == "http" else 443)
        socket.create_connection((parts.hostname or "", port), timeout=_PATIENCE_S).close()
    except OSError:
        return False
    return True


def start_from(network: nn.Module, state: Mapping[str, Tensor], source: Pretrained | None) -> int:
    """Fill all of a network but its classifier.

    Args:
        network: Receives the weights.
        state: Published tensors by key; keys of a classifier are passed over.
        source: How the keys are named; ``None`` takes them as they are, the classifier too.

    Returns:
        How many tensors were filled.

    Raises:
        PretrainedError: If a tensor is missing or has another shape.
    """
    filled = network.state_dict()
    head = source.head if source else ()
    prefix = source.prefix if source else ""
    keys = [
        key
        for key in filled
        if key.startswith(prefix) and not key.removeprefix(prefix).startswith(head or ("\0",))
    ]
    for key in keys:
        value = state.get(key.removeprefix(prefix), state.get(key))
        if value is None:
            raise PretrainedError(
                f"the weights to start from lack {key.removeprefix(prefix)!r}: they are of another network; "
                "give a file of the same one, or train with --from-scratch"
            )
        if value.shape != filled[key].shape:
            raise PretrainedError(
                f"the weights to start from have {key!r} of shape {tuple(value.shape)}, the network needs "
                f"{tuple(filled[key].shape)}: give a file of the same network, or train with --from-scratch"
            )
        if reason := why_unusable(value, filled[key]):
            raise PretrainedError(f"the weights to start from: {key!r} {reason}")
        filled[key] = value
    network.load_state_dict(filled)
    return len(keys)


def read_start(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file to start from, or of ``FILE::PART``, as safely as any weights file."""
    file, part = split_part(path)
    return read_state(file, part=part)
