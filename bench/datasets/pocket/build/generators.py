"""Which generators there are, and which real tiles each one varies.

To add one: write a module that offers `uint8 window -> uint8 window`, and add a `Generator` with an
offset of its own. The choices of the others do not change.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .superres import REALESRGAN, SPAN, upscaler
from .tiles import Tile
from .vae import load_vae, reconstruct

SEED = 2026
VAE_WEIGHTS = Path(__file__).with_name("vae.safetensors")
SHARES = {"train": 1 / 3, "val": 0.36, "test": 0.46}

Window = NDArray[np.uint8]
Variation = Callable[[Window, np.random.Generator], Window]


@dataclass(frozen=True, slots=True)
class Generator:
    """A source of fakes.

    Attributes:
        name: Value of the `generator` column.
        offset: Where in the shuffled tiles of a photograph its share starts, in [0, 1); with thirds, hardly
            a train tile is varied twice.
        make: Loads the network; called once a build.
    """

    name: str
    offset: float
    make: Callable[[], Variation]


def _realesrgan() -> Variation:
    apply = upscaler(REALESRGAN)
    return lambda window, _: apply(window)


def _span() -> Variation:
    apply = upscaler(SPAN)
    return lambda window, _: apply(window)


def _vae() -> Variation:
    vae = load_vae(VAE_WEIGHTS)
    return lambda window, rng: reconstruct(vae, window, rng)


GENERATORS: tuple[Generator, ...] = (
    Generator("realesrgan", 0.0, _realesrgan),
    Generator("span", 1 / 3, _span),
    Generator("vae", 2 / 3, _vae),
)


def rng_for(*words: str) -> np.random.Generator:
    """Make a random generator that depends on the build's seed and these words only, not on any order."""
    digest = hashlib.sha256("/".join(words).encode()).digest()
    return np.random.default_rng([SEED, int.from_bytes(digest[:8], "little")])


def choose(tiles: Sequence[Tile], generator: Generator) -> list[Tile]:
    """Pick the tiles of one photograph that a generator varies.

    Args:
        tiles: All tiles kept from the photograph.
        generator: Which one.

    Returns:
        The share of the photograph's split, rounded up for val and test.
    """
    if not tiles:
        return []
    photo = tiles[0].photo
    order = rng_for("choose", photo.id).permutation(len(tiles))
    share = SHARES[photo.split] * len(tiles)
    count = round(share) if photo.split == "train" else math.ceil(share)
    start = round(generator.offset * len(tiles))
    return [tiles[order[(start + i) % len(tiles)]] for i in range(count)]
