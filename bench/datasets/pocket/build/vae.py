"""The `vae` generator: a small convolutional VAE, trained here on the photographs of the train split only.

It is built like the first stage of a latent-diffusion model: stride 4, eight latent channels,
nearest-neighbour upsampling, no normalisation layers. A variation is the decoding of a posterior sample
of the real tile.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from .crops import random_crops, to_pixels, to_tensor
from .training import load_half, normal, save_half, write_record

LOG = logging.getLogger(__name__)
WEIGHTS = Path(__file__).with_name("vae.safetensors")
LATENT = 8
WIDTHS = (32, 64, 96)


@dataclass(frozen=True, slots=True)
class VaeRecipe:
    """One stage of the VAE's training.

    Attributes:
        steps: Optimiser steps.
        cycle: Steps of the one-cycle schedule; longer than `steps` for a stage that stops in mid-cycle.
        batch: Crops a step.
        side: Side of a crop in px.
        lr: Peak learning rate of AdamW (one cycle).
        kl: Weight of the Kullback-Leibler term, per latent number.
        edge: Weight of the L1 distance of gradients.
        texture: Weight of the L1 distance of local gradient energy; keeps grain from being averaged away.
        seed: Seed of weights, crops and posterior noise.
    """

    steps: int = 1500
    cycle: int = 3000
    batch: int = 16
    side: int = 64
    lr: float = 6e-4
    kl: float = 2e-3
    edge: float = 0.5
    texture: float = 1.0
    seed: int = 20


STAGES = (VaeRecipe(), VaeRecipe(steps=1300, cycle=1300, lr=5e-4, kl=5e-4, texture=0.5, seed=21))


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        hidden: Tensor = self.second(functional.silu(self.first(functional.silu(x))))
        return x + hidden


class Vae(nn.Module):
    """Encoder and decoder; images are float32 (N, 3, h, w) in [0, 1] with h and w divisible by 4."""

    def __init__(self) -> None:
        super().__init__()
        low, mid, high = WIDTHS
        self.encoder = nn.Sequential(
            nn.Conv2d(3, low, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(low, mid, 3, padding=1),
            _Residual(mid),
            nn.Conv2d(mid, high, 4, stride=2, padding=1),
            _Residual(high),
            nn.SiLU(),
            nn.Conv2d(high, 2 * LATENT, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(LATENT, high, 3, padding=1),
            _Residual(high),
            _Residual(high),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(high, mid, 3, padding=1),
            _Residual(mid),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(mid, low, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(low, 3, 3, padding=1),
        )

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Give the posterior's mean and log variance, each float32 (N, 8, h/4, w/4)."""
        mean, log_variance = self.encoder(images * 2 - 1).chunk(2, dim=1)
        return mean, log_variance.clamp(-12.0, 4.0)

    def decode(self, latents: Tensor) -> Tensor:
        """Give images, float32 (N, 3, h, w), not clipped, from latents (N, 8, h/4, w/4)."""
        decoded: Tensor = self.decoder(latents)
        return (decoded + 1) / 2


def _gradients(images: Tensor) -> tuple[Tensor, Tensor]:
    return images[..., :, 1:] - images[..., :, :-1], images[..., 1:, :] - images[..., :-1, :]


def _energy(gradient: Tensor) -> Tensor:
    return functional.avg_pool2d(gradient.abs(), 8, stride=4)


def vae_loss(vae: Vae, images: Tensor, noise: Tensor, recipe: VaeRecipe) -> Tensor:
    """Training loss of one batch.

    Args:
        vae: The network.
        images: float32 (N, 3, h, w) in [0, 1].
        noise: Standard normal, float32 (N, 8, h/4, w/4).
        recipe: Weights of the terms.

    Returns:
        Scalar.
    """
    mean, log_variance = vae.encode(images)
    output = vae.decode(mean + noise * torch.exp(log_variance / 2))
    loss = (output - images).abs().mean()
    for ours, theirs in zip(_gradients(output), _gradients(images), strict=True):
        loss = loss + recipe.edge * (ours - theirs).abs().mean()
        loss = loss + recipe.texture * (_energy(ours) - _energy(theirs)).abs().mean()
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
    return loss + recipe.kl * divergence.mean()


def train_stage(photos: list[NDArray[np.uint8]], recipe: VaeRecipe, weights: Path) -> None:
    """Train one stage on random crops and write the weights (fp16 safetensors).

    Args:
        photos: Reduced train photographs, uint8 (height, width, 3) each.
        recipe: How to train.
        weights: File to start from, if it exists, and to write.
    """
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    vae = load_vae(weights).train() if weights.exists() else Vae()
    optimizer = torch.optim.AdamW(vae.parameters(), lr=recipe.lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.lr, recipe.cycle, pct_start=0.1
    )
    latent_shape = (recipe.batch, LATENT, recipe.side // 4, recipe.side // 4)
    started = time.monotonic()
    for step in range(recipe.steps):
        loss = vae_loss(
            vae,
            random_crops(photos, recipe.batch, recipe.side, rng),
            torch.randn(latent_shape),
            recipe,
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == recipe.steps - 1:
            LOG.info(
                "vae step %d loss %.4f (%.0f s)", step, loss.item(), time.monotonic() - started
            )
    save_half(vae, weights)


def train(photos: list[NDArray[np.uint8]]) -> None:
    """Train both stages from the beginning and write the weights."""
    WEIGHTS.unlink(missing_ok=True)
    started = time.monotonic()
    for stage in STAGES:
        train_stage(photos, stage, WEIGHTS)
    write_record(WEIGHTS, load_vae(WEIGHTS), STAGES, time.monotonic() - started)


def load_vae(weights: Path) -> Vae:
    """Load the committed fp16 weights into a float32 network ready to use."""
    vae = Vae()
    load_half(vae, weights)
    return vae


@torch.no_grad()
def reconstruct(vae: Vae, window: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Decode a posterior sample of a window.

    Args:
        vae: The network.
        window: uint8 (height, width, 3), both divisible by 4.
        rng: Draws the posterior sample.

    Returns:
        uint8 of the same shape.
    """
    mean, log_variance = vae.encode(to_tensor(window))
    noise = normal(rng, tuple(mean.shape))
    return to_pixels(vae.decode(mean + noise * torch.exp(log_variance / 2)))
