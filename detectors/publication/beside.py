"""Detectors whose weights are published in several files: a state dict, and single tensors beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from detectors.errors import WeightsError
from detectors.publication.facts import Beside
from detectors.weights import load_strict, read_state_for, read_tensor

# A tensor beside the weights is a statistic, not a network.
_MOST_BYTES = 64 << 20


def fill_beside(
    network: nn.Module, file: Path, part: str, key_map: Mapping[str, str], beside: Beside
) -> None:
    """Fill a network from a weights file and from the tensors that lie in its folder, strictly.

    Args:
        network: Receives the weights.
        file: The weights; one that holds the tensors too, under the network's own keys, is enough.
        part: Which of several sets of weights is meant; empty where there is one.
        key_map: Prefixes of the file's keys and what replaces them.
        beside: Which tensors lie beside it.

    Raises:
        WeightsError: If a file is missing, ambiguous or does not fit.
    """
    state = read_state_for(network, file, part=part, key_map=key_map)
    if any(key.startswith(f"{beside.module}.") for key in state):
        load_strict(network, state, file.name)
        return
    module = network.get_submodule(beside.module)
    # Without them the network's keys are those of the published file.
    network.set_submodule(beside.module, nn.Identity())
    load_strict(network, read_state_for(network, file, part=part, key_map=key_map), file.name)
    network.set_submodule(beside.module, module)
    files = {tensor: _file(file, name, beside) for tensor, name in beside.files.items()}
    tensors = {tensor: read_tensor(path, _MOST_BYTES) for tensor, path in files.items()}
    load_strict(module, tensors, " and ".join(path.name for path in files.values()))


def _file(weights: Path, name: str, beside: Beside) -> Path:
    """Find a tensor's file, whatever its ending."""
    matches = sorted(
        path
        for path in weights.parent.iterdir()
        if path.is_file() and name in (path.name, path.stem)
    )
    if len(matches) == 1:
        return matches[0]
    names = " and ".join(beside.files.values())
    if not matches:
        raise WeightsError(
            f"{weights.name} is published with files of their own for {names}, and {weights.parent} has no "
            f"{name}: put them beside it"
        )
    raise WeightsError(
        f"{weights.parent} has {len(matches)} files called {name} "
        f"({', '.join(path.name for path in matches)}): leave one beside {weights.name}"
    )
