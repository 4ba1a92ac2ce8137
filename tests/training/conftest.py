"""Miniatures of the studies' layouts: tens of small pictures, fakes a little redder than reals."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def shade(seed: int, *, fake: bool, side: int = 40) -> np.ndarray:
    """A (side, side, 3) uint8 picture; fakes are redder by some 24 levels."""
    rng = np.random.default_rng([seed, fake])
    image = rng.normal(120, 30, (side, side, 3))
    image[..., 0] += 12 if fake else -12
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture
def lay(tmp_path) -> Callable[..., Path]:
    """lay({folder: (label, count)}) -> a tree of PNGs (JPEG where ``suffix`` says so)."""

    def make(folders, *, side=40, suffix=".png", root="data") -> Path:
        seed = zlib.crc32(root.encode())
        for folder, (label, count) in folders.items():
            for i in range(count):
                seed += 1
                path = tmp_path / root / folder / f"{i:03d}{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(shade(seed, fake=bool(label), side=side)).save(path, quality=95)
        return tmp_path / root

    return make


@pytest.fixture
def cifake(lay) -> Path:
    """CIFAKE in small: {train,test}/{REAL,FAKE}, 32 px JPEG."""
    return lay(
        {
            f"{s}/{k}": (k == "FAKE", n)
            for s, n in (("train", 24), ("test", 8))
            for k in ("REAL", "FAKE")
        },
        side=32,
        suffix=".jpg",
    )


# A CI that was started in the background ignores Ctrl-C, and so would what it starts.
MAIN = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('bench', run_name='__main__', alter_sys=True)"
)


@pytest.fixture
def bench(monkeypatch) -> Callable[..., subprocess.Popen]:
    """bench(*words) -> the command started in a process of its own, one thread."""

    def start(*words) -> subprocess.Popen:
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            [sys.executable, "-c", MAIN, *map(str, words)],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start
