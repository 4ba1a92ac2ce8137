"""Indexing a folder against `find` and a header read of every file, interleaved, with a control.

    python -m tests.benchmarks.indexing [--images 20000] [--size 64] [--rounds 5]

The base is what a careful user would write: `find -type f`, then format and size of every file by
Pillow, in one thread. `bench` is timed reading headers only, and reading whole files for the SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from bench.datasets import index


def lay(root: Path, images: int, size: int) -> None:
    rng = np.random.default_rng(0)
    for kind in ("real", "fake"):
        folder = root / kind
        folder.mkdir(parents=True)
        for i in range(images // 2):
            pixels = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{i:06d}.jpg", quality=75)


def find_and_read(root: Path, *, whole: bool) -> int:
    listed = subprocess.run(
        ["find", str(root), "-type", "f", "-print0"], capture_output=True, check=True
    )
    found = 0
    for name in listed.stdout.split(b"\0")[:-1]:
        path = Path(name.decode())
        with Image.open(path) as image:
            found += bool(image.format and image.size)
        if whole:
            hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root, cache = Path(temporary) / "images", Path(temporary) / "cache"
        lay(root, given.images, given.size)

        def ours(*, whole: bool) -> int:
            return len(index(root, cache_dir=cache, hash=whole, refresh=True))

        sides: dict[str, Callable[[], int]] = {
            "find + header": lambda: find_and_read(root, whole=False),
            "find + header again": lambda: find_and_read(root, whole=False),
            "bench, headers": lambda: ours(whole=False),
            "find + header + sha256": lambda: find_and_read(root, whole=True),
            "bench, sha256": lambda: ours(whole=True),
            "bench, cached": lambda: len(index(root, cache_dir=cache)),
        }
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(given.rounds + 1):
            for name, work in sides.items():
                start = time.perf_counter()
                assert work() == given.images // 2 * 2
                if number:  # the first round fills the system's caches
                    seconds[name].append(time.perf_counter() - start)
    for name, taken in seconds.items():
        base = "find + header + sha256" if "sha256" in name else "find + header"
        ratios = [a / b for a, b in zip(taken, seconds[base], strict=True)]
        print(
            f"{name}: {statistics.median(taken):.2f} s, {statistics.median(ratios):.2f}x {base} "
            f"({min(ratios):.2f} to {max(ratios):.2f}, {given.rounds} rounds)"
        )


if __name__ == "__main__":
    main()
