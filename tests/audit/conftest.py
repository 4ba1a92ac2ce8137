"""Small data sets with a known flaw, and without one."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bench.audit.images.gather import Pool
from bench.support.progress import Silent
from tests.bench.conftest import cli  # noqa: F401  (a fixture)


def photo(seed, size=96, *, fake=False):
    """A smooth (size, size, 3) uint8 picture that no other seed resembles; classes do not differ."""
    rng = np.random.default_rng([seed, fake])
    small = Image.fromarray(rng.integers(0, 255, (10, 10, 3), dtype=np.uint8))
    enlarged = np.asarray(small.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float64)
    return np.clip(enlarged + rng.normal(0, 8, (size, size, 3)), 0, 255).astype(np.uint8)


@pytest.fixture
def make(tmp_path):
    """Write ``<generator>/{real,fake}`` with one function that saves an image."""

    def write(save, n=24, generators=("alpha", "beta"), name="data"):
        root = tmp_path / name
        for g, generator in enumerate(generators):
            for kind in ("real", "fake"):
                folder = root / generator / kind
                folder.mkdir(parents=True, exist_ok=True)
                for i in range(n):
                    save(photo(1000 * g + i, fake=kind == "fake"), folder, i, kind, generator)
        return root

    return write


def as_png(picture, folder, i, kind, generator):
    del kind, generator
    Image.fromarray(picture).save(folder / f"{i:03d}.png")


@pytest.fixture
def pool(tmp_path):
    return Pool(Silent(), tmp_path / "cache", workers=1)
