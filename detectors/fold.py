"""A faster form of a network that gives the same logits within a stated tolerance.

Batch normalisation in inference is a scale and a shift per channel; folded into the convolution before it,
it costs nothing. Channels-last is the memory layout that convolutions are quickest in.
"""

from __future__ import annotations

import copy
import itertools
import logging
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from detectors.inputs.spec import sides

# Largest change of an output, relative to the largest output (and at least 1), on a probe batch.
TOLERANCE = 1e-4
_PROBES = 4

_log = logging.getLogger(__name__)


def folded(
    network: nn.Module, size: int | tuple[int, int], device: torch.device
) -> nn.Module | None:
    """Fold the batch normalisation of ``network`` and lay it out channels last; ``None`` where that fails.

    Args:
        network: In inference mode, on ``device``; left as it is.
        size: Side in pixels, or height and width, of what the network sees, for the probe.
        device: Where the network runs.

    Returns:
        A network whose outputs on a fixed probe batch differ by at most ``TOLERANCE``; ``None`` for a
        network that cannot be traced (its code branches on data) or whose outputs move further.
    """
    probe = torch.rand(_PROBES, 3, *sides(size), generator=torch.Generator().manual_seed(0)) * 2 - 1
    probe = probe.to(device)
    try:
        quick = _fused(network).to(memory_format=torch.channels_last)
        quick.eval().requires_grad_(requires_grad=False)
        with torch.inference_mode():
            plain, new = network(probe), quick(channels_last(probe))
    except Exception as error:  # tracing raises whatever the network's own code does
        _log.info("not folded: %s", error)
        return None
    change = float((plain - new).abs().max()) / max(1.0, float(plain.abs().max()))
    return quick if change <= TOLERANCE else None


def _fused(network: nn.Module) -> nn.Module:
    """Fuse the layers of a twin: the copy that ``fuse`` makes would hold all weights twice."""
    shared = {id(tensor) for tensor in _tensors(network)}
    quick: nn.Module = fuse(twin(network), inplace=True)
    for module in quick.modules():
        for name, value in module.named_parameters(recurse=False):
            # Whoever changes the layout changes the tensor, and the plain network keeps its own.
            if value.ndim == 4 and id(value) in shared:
                setattr(module, name, nn.Parameter(value.detach().clone(), requires_grad=False))
    return quick


def twin(network: nn.Module) -> nn.Module:
    """Copy the modules around the same tensors; fails where a module cannot be copied."""
    return copy.deepcopy(network, {id(tensor): tensor for tensor in _tensors(network)})


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    return itertools.chain(network.parameters(), network.buffers())


def channels_last(batch: Tensor) -> Tensor:
    """Lay the batch out in memory as a folded network is quickest."""
    return batch.contiguous(memory_format=torch.channels_last)
