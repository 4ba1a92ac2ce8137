"""JPEG of small images in batches over Pillow one by one: CPU microseconds an image, by size and batch.

    python -m tests.benchmarks.jpeg_batches [--rounds 7] [--quality 75]

Rounds are interleaved; the best counts. `shared` is a further quality of the same images, which takes the
transform of the first. `corruptions/jpeg.py` batches where both columns are clearly under 1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from corruptions.blocks.roundtrip import forward, inverse
from corruptions.jpeg import Jpeg

SIDES = (16, 32, 48, 64, 80, 96, 128)
BATCHES = (8, 16, 64)


def pictures(count: int, side: int) -> np.ndarray:
    """(n, side, side, 3) uint8 with a photograph's falling spectrum and a little noise."""
    rng = np.random.default_rng(0)
    walk = rng.normal(size=(count, side, side, 3)).cumsum(1).cumsum(2)
    low, high = walk.min((1, 2), keepdims=True), walk.max((1, 2), keepdims=True)
    noise = rng.normal(0, 6, walk.shape)
    return ((walk - low) / (high - low) * 255 + noise).clip(0, 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quality", type=int, default=75)
    given = parser.parse_args()
    jpeg = Jpeg(quality=given.quality)
    print("side  batch  Pillow us  batch us  shared us  batch/Pillow  shared/Pillow  control")
    for side in SIDES:
        for size in BATCHES:
            images = pictures(size, side)
            halfway = forward(images, jpeg.subsampling)
            ways: dict[str, Callable[[], object]] = {
                "pillow": lambda images=images: [jpeg.apply(image, None) for image in images],
                "batch": lambda images=images: inverse(
                    forward(images, jpeg.subsampling), given.quality
                ),
                "shared": lambda halfway=halfway: inverse(halfway, given.quality),
                "again": lambda images=images: [jpeg.apply(image, None) for image in images],
            }
            best = dict.fromkeys(ways, float("inf"))
            for _ in range(given.rounds):
                for name, way in ways.items():
                    start = time.process_time()
                    for _ in range(64 // size):
                        way()
                    best[name] = min(best[name], (time.process_time() - start) / 64 * 1e6)
            pillow, batch, shared, again = best.values()
            print(
                f"{side:4}  {size:5}  {pillow:9.0f}  {batch:8.0f}  {shared:9.0f}  {batch / pillow:12.2f}  "
                f"{shared / pillow:13.2f}  {again / pillow:7.2f}"
            )


if __name__ == "__main__":
    main()
