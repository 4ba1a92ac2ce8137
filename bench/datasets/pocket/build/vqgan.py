"""The `vqgan` generator: a quantised autoencoder with a discriminator, trained here on the train split.

VQ-GAN (Esser et al. 2021, arXiv:2012.09841): an encoder, a codebook, a decoder, and a patch discriminator
whose weight in the loss follows the gradients at the decoder's last layer. In place of the perceptual
loss, which needs a network trained elsewhere, the decoder is asked to match the discriminator's features
(pix2pixHD, Wang et al. 2018, arXiv:1711.11585). The codebook is of unit vectors of few numbers (ViT-VQGAN,
Yu et al. 2022, arXiv:2110.04627). A variation is the decoding of the real tile's codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from .crops import random_crops, to_pixels, to_tensor
from .training import Stateful, load_half, run_steps, save_half, write_record

WEIGHTS = Path(__file__).with_name("vqgan.safetensors")
WIDTHS = (32, 64, 128)
CODES, CODE = 1024, 8
GROUPS = 8


@dataclass(frozen=True, slots=True)
class VqganRecipe:
    """How encoder, codebook, decoder and discriminator are trained.

    Attributes:
        steps: Optimiser steps.
        batch: Crops a step.
        side: Side of a crop in px.
        lr: Peak learning rate of AdamW (betas .5 and .9), one cycle; the discriminator's is half of it,
            constant.
        commit: Weight of the commitment to the codebook.
        adversary_from: Step at which the discriminator begins to count.
        adversary: Weight of the adversarial term, times the ratio of gradients.
        features: Weight of the distance between the discriminator's features.
        restart: Steps between two replacements of codes that nothing used; checkpoints fall on them.
        seed: Seed of weights and crops.
    """

    steps: int = 5000
    batch: int = 12
    side: int = 64
    lr: float = 8e-4
    commit: float = 0.25
    adversary_from: int = 1800
    adversary: float = 0.4
    features: float = 1.0
    restart: int = 125
    seed: int = 40


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(GROUPS, width), nn.GroupNorm(GROUPS, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv1(functional.silu(self.norm1(x)))
        out: Tensor = x + self.conv2(functional.silu(self.norm2(hidden)))
        return out


class Codebook(nn.Module):
    """Unit vectors; each latent is replaced by its nearest (largest cosine)."""

    def __init__(self) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(CODES, CODE))

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quantise float32 (N, CODE, h, w).

        Returns:
            Quantised latents of the same shape, whose gradient passes straight through; indices int64
            (N, h, w); codebook and commitment distances, float32 (2,).
        """
        flat = functional.normalize(latents.permute(0, 2, 3, 1), dim=-1)
        codes = functional.normalize(self.vectors, dim=-1)
        indices = (flat.detach() @ codes.detach().T).argmax(dim=-1)
        chosen = codes[indices]
        distances = torch.stack(
            [(chosen - flat.detach()).square().mean(), (chosen.detach() - flat).square().mean()]
        )
        through = flat + (chosen - flat).detach()
        return through.permute(0, 3, 1, 2), indices, distances

    @torch.no_grad()
    def revive(self, used: Tensor, latents: Tensor, rng: np.random.Generator) -> int:
        """Put latents of the last batch in the place of codes never used.

        Args:
            used: How often each code was chosen, (CODES,).
            latents: float32 (N, CODE, h, w).
            rng: Draws the latents.

        Returns:
            How many codes were replaced.
        """
        dead = torch.nonzero(used == 0)[:, 0]
        flat = functional.normalize(latents.permute(0, 2, 3, 1), dim=-1).reshape(-1, CODE)
        picks = torch.from_numpy(rng.integers(len(flat), size=len(dead)))
        self.vectors[dead] = flat[picks]
        return len(dead)


class Vqgan(nn.Module):
    """Encoder (stride 4), codebook, decoder.

    Images are float32 (N, 3, h, w) in [-1, 1], sides divisible by 4.
    """

    def __init__(self) -> None:
        super().__init__()
        low, mid, high = WIDTHS
        self.encoder = nn.Sequential(
            nn.Conv2d(3, low, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(low, mid, 4, stride=2, padding=1),
            _Residual(mid),
            nn.Conv2d(mid, high, 4, stride=2, padding=1),
            _Residual(high),
            _Residual(high),
            nn.GroupNorm(GROUPS, high),
            nn.SiLU(),
            nn.Conv2d(high, CODE, 1),
        )
        self.codebook = Codebook()
        self.decoder = nn.Sequential(
            nn.Conv2d(CODE, high, 3, padding=1),
            _Residual(high),
            _Residual(high),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(high, mid, 3, padding=1),
            _Residual(mid),
            _Residual(mid),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(mid, low, 3, padding=1),
            _Residual(low),
            nn.GroupNorm(GROUPS, low),
            nn.SiLU(),
        )
        self.last = nn.Conv2d(low, 3, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Encode, quantise and decode."""
        quantised, _, _ = self.codebook(self.encoder(images))
        out: Tensor = self.last(self.decoder(quantised))
        return out


class Discriminator(nn.Module):
    """Judges overlapping patches of float32 (N, 3, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        widths, strides = (3, 32, 64, 128), (2, 2, 1)
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, stride=s, padding=1))
            for a, b, s in zip(widths, widths[1:], strides, strict=False)
        )
        self.judge = spectral_norm(nn.Conv2d(widths[-1], 1, 4, padding=1))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features of every layer, then the judgement: one number a patch, above 0 for real."""
        features = []
        x = images
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), 0.2)
            features.append(x)
        return [*features, self.judge(x)]


def _edges(output: Tensor, images: Tensor) -> Tensor:
    across = (output.diff(dim=-1) - images.diff(dim=-1)).abs().mean()
    return across + (output.diff(dim=-2) - images.diff(dim=-2)).abs().mean()


def _gradient(loss: Tensor, weight: Tensor) -> Tensor:
    size: Tensor = torch.autograd.grad(loss, weight, retain_graph=True)[0].norm()
    return size


def adversarial(
    judged_fake: list[Tensor],
    judged_real: list[Tensor],
    fit: Tensor,
    last: Tensor,
    recipe: VqganRecipe,
) -> Tensor:
    """The decoder's adversarial and feature terms.

    Args:
        judged_fake: The discriminator's output on the decoded images.
        judged_real: Its output on the real ones.
        fit: The reconstruction loss; scalar.
        last: Weight of the decoder's last layer: there the two gradients are brought to the same size.
        recipe: Weights of the terms.

    Returns:
        Scalar.
    """
    fool = -judged_fake[-1].float().mean()
    ratio = _gradient(fit, last) / (_gradient(fool, last) + 1e-6)
    pairs = zip(judged_fake[:-1], judged_real[:-1], strict=True)
    features = torch.stack([(f.float() - r.float().detach()).abs().mean() for f, r in pairs]).sum()
    return recipe.adversary * ratio.clamp(0, 1e3).detach() * fool + recipe.features * features


class Trainer:
    """Both optimisers and one step of each."""

    def __init__(self, photos: list[NDArray[np.uint8]], recipe: VqganRecipe) -> None:
        torch.manual_seed(recipe.seed)
        self.photos, self.recipe = photos, recipe
        self.vqgan, self.discriminator = Vqgan(), Discriminator()
        betas = (0.5, 0.9)
        self.ours = torch.optim.AdamW(
            self.vqgan.parameters(), lr=recipe.lr, betas=betas, weight_decay=1e-4
        )
        self.theirs = torch.optim.Adam(
            self.discriminator.parameters(), lr=recipe.lr / 2, betas=betas
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.ours, recipe.lr, recipe.steps, pct_start=0.05, cycle_momentum=False
        )
        self.used = torch.zeros(CODES)

    def step(self, number: int, rng: np.random.Generator) -> str:
        """Train one step of the autoencoder, then one of the discriminator."""
        recipe = self.recipe
        images = random_crops(self.photos, recipe.batch, recipe.side, rng) * 2 - 1
        with torch.autocast("cpu", dtype=torch.bfloat16):
            latents = self.vqgan.encoder(images)
            quantised, indices, distances = self.vqgan.codebook(latents.float())
            output = self.vqgan.last(self.vqgan.decoder(quantised)).float()
        self.used += torch.bincount(indices.flatten(), minlength=CODES)
        fit = (output - images).abs().mean() + 0.5 * _edges(output, images)
        loss = fit + distances[0] + recipe.commit * distances[1]
        line = f"fit {fit.item():.4f}"
        if number >= recipe.adversary_from:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                judged = self.discriminator(output)
                with torch.no_grad():
                    real = self.discriminator(images)
            loss = loss + adversarial(judged, real, fit, self.vqgan.last.weight, recipe)
        self._descend(self.ours, self.vqgan, loss)
        self.schedule.step()
        if number >= recipe.adversary_from:
            line += f" discriminator {self._judge(images, output.detach()):.3f}"
        if (number + 1) % recipe.restart == 0:
            # Late in the training the codes stay as they are, so that the decoder can settle on them.
            if number < recipe.steps // 2:
                self.vqgan.codebook.revive(self.used, latents.float(), rng)
            line += f" codes {int((self.used > 0).sum())}"
            self.used.zero_()
        return line

    def _judge(self, images: Tensor, output: Tensor) -> float:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            real, fake = self.discriminator(images)[-1], self.discriminator(output)[-1]
        loss = (functional.relu(1 - real.float()) + functional.relu(1 + fake.float())).mean()
        self._descend(self.theirs, self.discriminator, loss)
        return loss.item()

    @staticmethod
    def _descend(optimizer: torch.optim.Optimizer, network: nn.Module, loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()


def train(photos: list[NDArray[np.uint8]], recipe: VqganRecipe, work: Path) -> None:
    """Train on random crops and write the weights of encoder, codebook and decoder.

    Args:
        photos: Reduced train photographs, uint8 (height, width, 3) each.
        recipe: How to train.
        work: Folder for the checkpoint.
    """
    trainer = Trainer(photos, recipe)
    parts: dict[str, Stateful] = {
        "vqgan": trainer.vqgan,
        "discriminator": trainer.discriminator,
        "ours": trainer.ours,
        "theirs": trainer.theirs,
        "schedule": trainer.schedule,
    }
    seconds = run_steps(trainer.step, recipe.steps, recipe.seed, parts, work / "vqgan.pt")
    save_half(trainer.vqgan, WEIGHTS)
    write_record(WEIGHTS, trainer.vqgan, [recipe], seconds)


def load() -> Vqgan:
    """Load the committed weights."""
    network = Vqgan()
    load_half(network, WEIGHTS)
    return network


@torch.no_grad()
def vary(network: Vqgan, window: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Decode the codes of a window.

    Args:
        network: The network.
        window: uint8 (height, width, 3), both divisible by 4.

    Returns:
        uint8 of the same shape.
    """
    return to_pixels((network(to_tensor(window) * 2 - 1) + 1) / 2)
