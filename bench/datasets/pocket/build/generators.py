"""Which generators there are, and which real tiles each one varies.

To add one: write a module that offers `uint8 window -> uint8 window`, and add a `Generator` with an
offset of its own. The choices of the others do not change.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import diffusion, vqgan
from .resampling import resampler
from .tiles import Tile
from .vae import WEIGHTS, load_vae, reconstruct

SEED = 2026
SHARES = {"train": 1 / 3, "val": 0.36, "test": 0.46}

Window = NDArray[np.uint8]
Variation = Callable[[Window, np.random.Generator], Window]


@dataclass(frozen=True, slots=True)
class Generator:
    """A source of variations of real tiles.

    Attributes:
        name: Value of the `generator` column.
        offset: Where in the shuffled tiles of a photograph its share starts, in [0, 1).
        make: Loads the network; called once a build.
        control: Whether its variations count as real: no network made them.
    """

    name: str
    offset: float
    make: Callable[[], Variation]
    control: bool = False


# ncnn and its two packages are needed only where tiles are made anew, so they load late.
def _realesrgan() -> Variation:
    from .superres import REALESRGAN, upscaler  # noqa: PLC0415

    apply = upscaler(REALESRGAN)
    return lambda window, _: apply(window)


def _span() -> Variation:
    from .superres import SPAN, upscaler  # noqa: PLC0415

    apply = upscaler(SPAN)
    return lambda window, _: apply(window)


def _vae() -> Variation:
    vae = load_vae(WEIGHTS)
    return lambda window, rng: reconstruct(vae, window, rng)


def _diffusion() -> Variation:
    network = diffusion.load()
    return lambda window, rng: diffusion.vary(network, window, rng)


def _vqgan() -> Variation:
    network = vqgan.load()
    return lambda window, _: vqgan.vary(network, window)


GENERATORS: tuple[Generator, ...] = (
    Generator("diffusion", 1 / 6, _diffusion),
    Generator("realesrgan", 0.0, _realesrgan),
    Generator("span", 1 / 3, _span),
    Generator("vae", 2 / 3, _vae),
    Generator("vqgan", 1 / 2, _vqgan),
)
# Made on the test split only: a detector meets it there for the first time.
CONTROLS: tuple[Generator, ...] = (Generator("resampled", 1 / 4, resampler, control=True),)


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
