"""The networks of the TAESD family, built to fit a state dict (Ollin Boer Bohan's layers, MIT)."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import safetensors.torch
import torch
from torch import Tensor, nn

WIDTH = 64
STAGES = 3
BLOCKS = 3
POOL_GROUPS = 4

State = Mapping[str, Tensor]


def _convolution(inputs: int, outputs: int, *, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=bias)


class Block(nn.Module):
    """Three convolutions and a skip; with ``pool``, a look at group-normalised features first."""

    def __init__(self, *, pool: bool) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _convolution(WIDTH, WIDTH),
            nn.ReLU(),
            _convolution(WIDTH, WIDTH),
            nn.ReLU(),
            _convolution(WIDTH, WIDTH),
        )
        if pool:
            self.pool = nn.Sequential(
                nn.Conv2d(WIDTH, 4 * WIDTH, 1, bias=False),
                nn.GroupNorm(POOL_GROUPS, 4 * WIDTH),
                nn.ReLU(),
                nn.Conv2d(4 * WIDTH, WIDTH, 1, bias=False),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 64, h, w) to the same shape."""
        if hasattr(self, "pool"):
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


class _SoftClamp(nn.Module):
    """Latents stay within -3 and 3."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, c, h, w) to the same shape."""
        return torch.tanh(x / 3) * 3


class _Fitted(nn.Sequential):
    """A sequence of layers that is made to fit a state dict."""

    @classmethod
    def layers(cls, state: State) -> list[nn.Module]:
        raise NotImplementedError

    @classmethod
    def of(cls, state: State) -> Self:
        """Build the network that a state dict is of, in float32.

        Raises:
            ValueError: It is of another network, or holds a value that is not finite.
        """
        try:
            network = cls(*cls.layers(state))
            network.load_state_dict({key: value.float() for key, value in state.items()})
        except (KeyError, RuntimeError, AttributeError) as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise ValueError(
                f"these weights are of no {cls.__name__.lower()} of the TAESD family ({reason[:160]})"
            ) from error
        if not all(bool(torch.isfinite(value).all()) for value in network.state_dict().values()):
            raise ValueError(f"the {cls.__name__.lower()} holds weights that are not finite")
        return network


class Encoder(_Fitted):
    """(N, 3, 8h, 8w) in [0, 1] to (N, c, h, w)."""

    @classmethod
    def layers(cls, state: State) -> list[nn.Module]:
        """List the layers; where blocks have a pool, the state dict says."""
        layers: list[nn.Module] = [_convolution(3, WIDTH), Block(pool=_pooled(state, 1))]
        for _ in range(STAGES):
            layers.append(_convolution(WIDTH, WIDTH, stride=2, bias=False))
            for _ in range(BLOCKS):
                layers.append(Block(pool=_pooled(state, len(layers))))
        return [*layers, _convolution(WIDTH, state[f"{len(layers)}.weight"].shape[0])]


class Decoder(_Fitted):
    """(N, c, h, w) to (N, 3, 8h, 8w), about in [0, 1]."""

    @classmethod
    def layers(cls, state: State) -> list[nn.Module]:
        """List the layers; where blocks have a pool, the state dict says."""
        latent = state["1.weight"].shape[1]
        layers: list[nn.Module] = [_SoftClamp(), _convolution(latent, WIDTH), nn.ReLU()]
        for _ in range(STAGES):
            for _ in range(BLOCKS):
                layers.append(Block(pool=_pooled(state, len(layers))))
            layers += [nn.Upsample(scale_factor=2), _convolution(WIDTH, WIDTH, bias=False)]
        layers.append(Block(pool=_pooled(state, len(layers))))
        return [*layers, _convolution(WIDTH, 3)]


def _pooled(state: State, position: int) -> bool:
    return f"{position}.pool.0.weight" in state


def read_weights(file: Path) -> dict[str, Tensor]:
    """Read a state dict from ``.safetensors``, or from a PyTorch file that may hold tensors only.

    Raises:
        ValueError: The file cannot be read, or holds something else.
    """
    try:
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"{file} is no file of weights ({type(error).__name__}): a state dict is wanted"
        ) from error
    except safetensors.SafetensorError as error:
        raise ValueError(f"{file} is no file of weights ({error})") from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"{file} holds no state dict of tensors")
    return {str(key): value for key, value in state.items()}
