from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F


@pytest.fixture(
    scope="session",
    params=[
        "cpu",
        pytest.param(
            "cuda",
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
            ],
        ),
    ],
)
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """Plain float32 and repeatable on the GPU too, so that bits can be compared."""
    cudnn = torch.backends.cudnn
    with cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield torch.device(request.param)


class TwoLogits(nn.Module):
    """The one-logit net as torchattacks wants it: logits [0, z]."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        z = self.net(images)
        return torch.cat([torch.zeros_like(z), z], dim=1)


@dataclass(frozen=True)
class Toy:
    """A detector of one logit with pictures it was not trained on."""

    net: nn.Module
    canvas: Tensor
    labels: Tensor

    def logits(self, images: Tensor) -> Tensor:
        return self.net(images).squeeze(1)

    def two_logits(self) -> nn.Module:
        return TwoLogits(self.net).eval()

    def fooled(self, adversarial: Tensor, threshold: float = 0.0) -> Tensor:
        """Right before, wrong now."""
        with torch.no_grad():
            right = (self.logits(self.canvas) > threshold) == (self.labels == 1)
            wrong = (self.logits(adversarial) > threshold) != (self.labels == 1)
        return right & wrong

    @property
    def seeds(self) -> list[int]:
        return [1000 + 7 * i for i in range(len(self.labels))]


def pictures(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Smooth "photographs"; the "generated" half carries a faint checkerboard."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 6, generator=generator)
    smooth = F.interpolate(coarse, size=(32, 32), mode="bilinear")
    smooth += 0.02 * torch.randn(smooth.shape, generator=generator)
    labels = torch.arange(count) % 2
    row = torch.arange(32)
    board = ((row[:, None] + row[None, :]) % 2 * 2 - 1) * 0.03
    strength = 0.3 + 0.7 * torch.rand(count, 1, 1, 1, generator=generator)
    images = smooth + labels.reshape(-1, 1, 1, 1) * strength * board
    return (images.clamp(0, 1) * 255).round() / 255, labels


def small_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.SiLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.BatchNorm2d(16),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 1),
    )


@pytest.fixture(scope="session")
def trained_net(one_thread: None) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = small_net()
    images, labels = pictures(256, seed=1)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    for step in range(60):
        part = slice(step % 4 * 64, step % 4 * 64 + 64)
        loss = F.binary_cross_entropy_with_logits(
            net(images[part]).squeeze(1), labels[part].float()
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return net.eval()


@pytest.fixture
def toy(trained_net: nn.Module, device: torch.device) -> Toy:
    images, labels = pictures(32, seed=2)
    # torchattacks as the oracle may have left gradients on the weights of the shared net.
    trained_net.zero_grad(set_to_none=True)
    return Toy(trained_net.to(device), images.to(device), labels.to(device))


@pytest.fixture
def make_random_toy(device: torch.device) -> Callable[[int], Toy]:
    def make(count: int) -> Toy:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(count)
            net = small_net().eval()
            images = torch.randint(0, 256, (count, 3, 24, 20)).float() / 255
            labels = torch.randint(0, 2, (count,))
        return Toy(net.to(device), images.to(device), labels.to(device))

    return make
