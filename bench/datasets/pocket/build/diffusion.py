"""The `diffusion` generator: a small denoising diffusion model, trained here on the train photographs only.

DDPM (Ho et al. 2020, arXiv:2006.11239) with the cosine schedule of Nichol and Dhariwal (2021,
arXiv:2102.09672), on pixels. A variation is made as in SDEdit (Meng et al. 2022, arXiv:2108.01073): the
real tile is noised part of the way and denoised by twenty steps of DDIM (Song et al. 2021,
arXiv:2010.02502, eta 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from .crops import random_crops, to_pixels, to_tensor
from .training import Stateful, load_half, move_average, normal, run_steps, save_half, write_record

WEIGHTS = Path(__file__).with_name("diffusion.safetensors")
WIDTHS = (48, 80, 112)
TIME = 96
GROUPS = 8


@dataclass(frozen=True, slots=True)
class DiffusionRecipe:
    """How the network is trained.

    Attributes:
        steps: Optimiser steps.
        batch: Crops a step.
        side: Side of a crop in px.
        lr: Peak learning rate of AdamW (5% warm-up, then a cosine).
        low: Exponent on the uniform draw of the time: above 1, little noise is practised more often.
        average: Decay of the moving average of the weights that is kept.
        seed: Seed of weights, crops, times and noise.
    """

    steps: int = 9000
    batch: int = 16
    side: int = 64
    lr: float = 1e-3
    low: float = 2.0
    average: float = 0.998
    seed: int = 30


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a variation is drawn.

    Attributes:
        least: Least time to noise a tile to, in [0, 1].
        most: Most.
        steps: Denoising steps.
    """

    least: float = 0.20
    most: float = 0.30
    steps: int = 20


class _Block(nn.Module):
    """Two convolutions with a residual, shifted and scaled by the time."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time = nn.Linear(TIME, 2 * outputs)
        self.norm2 = nn.GroupNorm(GROUPS, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        hidden = self.conv1(functional.silu(self.norm1(x)))
        scale, shift = self.time(time)[:, :, None, None].chunk(2, dim=1)
        hidden = self.norm2(hidden) * (1 + scale) + shift
        out: Tensor = self.skip(x) + self.conv2(functional.silu(hidden))
        return out


class UNet(nn.Module):
    """Predicts the noise in float32 (N, 3, h, w) around [-1, 1], given times (N,) in [0, 1].

    Height and width must be divisible by 8. Works on 2x2 pixels at a time (pixel unshuffle), at three
    resolutions, without attention.
    """

    def __init__(self) -> None:
        super().__init__()
        low, mid, high = WIDTHS
        self.embed = nn.Sequential(
            nn.Linear(TIME, TIME), nn.SiLU(), nn.Linear(TIME, TIME), nn.SiLU()
        )
        self.first = nn.Conv2d(12, low, 3, padding=1)
        self.down = nn.ModuleList([_Block(low, low), _Block(mid, mid)])
        self.shrink = nn.ModuleList(
            [nn.Conv2d(low, mid, 3, 2, padding=1), nn.Conv2d(mid, high, 3, 2, padding=1)]
        )
        self.middle = nn.ModuleList([_Block(high, high), _Block(high, high)])
        self.grow = nn.ModuleList(
            [nn.Conv2d(high, mid, 3, padding=1), nn.Conv2d(mid, low, 3, padding=1)]
        )
        self.up = nn.ModuleList(
            [
                nn.ModuleList([_Block(2 * mid, mid), _Block(mid, mid)]),
                nn.ModuleList([_Block(2 * low, low), _Block(low, low)]),
            ]
        )
        self.norm = nn.GroupNorm(GROUPS, low)
        self.last = nn.Conv2d(low, 12, 3, padding=1)
        nn.init.zeros_(self.last.weight)

    def forward(self, images: Tensor, times: Tensor) -> Tensor:
        """Predict the noise, the images' shape."""
        frequencies = torch.exp(torch.linspace(0, math.log(1000), TIME // 2))
        angles = times[:, None] * frequencies
        time = self.embed(torch.cat([angles.sin(), angles.cos()], dim=1))
        x = self.first(functional.pixel_unshuffle(images, 2))
        kept = []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            x = block(x, time)
            kept.append(x)
            x = shrink(x)
        for block in self.middle:
            x = block(x, time)
        for grow, blocks in zip(self.grow, self.up, strict=True):
            x = torch.cat([grow(functional.interpolate(x, scale_factor=2.0)), kept.pop()], dim=1)
            for block in blocks:  # type: ignore[attr-defined]
                x = block(x, time)
        return functional.pixel_shuffle(self.last(functional.silu(self.norm(x))), 2)


def signal(times: Tensor) -> Tensor:
    """Share of the signal's power left at times in [0, 1]: alpha bar of the cosine schedule."""
    return (
        torch.cos((times + 0.008) / 1.008 * math.pi / 2).square()
        / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    )


def noised(images: Tensor, noise: Tensor, times: Tensor) -> Tensor:
    """Mix images and noise, both (N, 3, h, w), as at times (N,)."""
    power = signal(times)[:, None, None, None]
    return power.sqrt() * images + (1 - power).sqrt() * noise


def train(photos: list[NDArray[np.uint8]], recipe: DiffusionRecipe, work: Path) -> None:
    """Train the network on random crops and write its weights.

    Args:
        photos: Reduced train photographs, uint8 (height, width, 3) each.
        recipe: How to train.
        work: Folder for the checkpoint.
    """
    torch.manual_seed(recipe.seed)
    network, average = UNet(), UNet()
    average.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.lr, recipe.steps, pct_start=0.05, cycle_momentum=False
    )

    def step(number: int, rng: np.random.Generator) -> str:
        images = random_crops(photos, recipe.batch, recipe.side, rng) * 2 - 1
        times = torch.from_numpy(rng.random(recipe.batch, dtype=np.float32) ** recipe.low)
        noise = normal(rng, tuple(images.shape))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            predicted = network(noised(images, noise, times), times)
        loss: Tensor = (predicted.float() - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        move_average(average, network, min(recipe.average, (number + 1) / (number + 10)))
        return f"loss {loss.item():.4f}"

    parts: dict[str, Stateful] = {
        "network": network,
        "average": average,
        "optimizer": optimizer,
        "schedule": schedule,
    }
    seconds = run_steps(step, recipe.steps, recipe.seed, parts, work / "diffusion.pt")
    save_half(average, WEIGHTS)
    write_record(WEIGHTS, average, [recipe], seconds)


def load() -> UNet:
    """Load the committed weights."""
    network = UNet()
    load_half(network, WEIGHTS)
    return network


@torch.no_grad()
def vary(
    network: UNet,
    window: NDArray[np.uint8],
    rng: np.random.Generator,
    sampling: Sampling = Sampling(),
) -> NDArray[np.uint8]:
    """Noise a window part of the way and denoise it.

    Args:
        network: The network.
        window: uint8 (height, width, 3), both divisible by 8.
        rng: Draws how far, and all noise.
        sampling: How far at least and at most, and in how many steps.

    Returns:
        uint8 of the same shape.
    """
    start = sampling.least + (sampling.most - sampling.least) * rng.random()
    image = to_tensor(window) * 2 - 1
    shape = tuple(image.shape)
    x = noised(image, normal(rng, shape), torch.tensor([start]))
    times = torch.linspace(start, 0, sampling.steps + 1)
    for now, then in pairwise(times):
        power, next_power = signal(now), signal(then)
        predicted = network(x, now[None])
        clean = ((x - (1 - power).sqrt() * predicted) / power.sqrt()).clamp(-1, 1)
        predicted = (x - power.sqrt() * clean) / (1 - power).sqrt()
        # DDIM's sigma at eta 1: as much fresh noise as the DDPM's own step would add.
        sigma = ((1 - next_power) / (1 - power) * (1 - power / next_power)).clamp(min=0).sqrt()
        x = next_power.sqrt() * clean + (1 - next_power - sigma**2).clamp(min=0).sqrt() * predicted
        x = x + sigma * normal(rng, shape)
    return to_pixels((x + 1) / 2)
