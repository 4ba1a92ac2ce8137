"""Indexing and planning a data set of a million images, in time and peak memory.

    python -m tests.benchmarks.million_rows [--images 1000000] [--folder DIR] [--detector genimage-cnn]

Lays out a tree like GenImage's of hard links to a few small JPEGs, indexes it in one process, and plans
it (`bench run --dry-run`, suite `corruptions`) in others: the first with the index cached, as every run
after the first. What stands in --folder already is used again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

GENERATORS = ("ADM", "BigGAN", "glide", "Midjourney", "stable_diffusion_v_1_4",
              "stable_diffusion_v_1_5", "VQDM", "wukong")  # fmt: skip
LINKS = 32_000  # file systems stop at 65,000 names for one file


def lay(root: Path, images: int) -> None:
    """Hard links under ``<generator>/<split>/{nature,ai}``; one photo in six is in ``val``."""
    if root.exists():
        return
    source = root.with_name(root.name + "-source")
    source.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for i in range(images // LINKS + 1):
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(source / f"{i}.jpg", quality=75)
    folders = [(g, s, c) for g in GENERATORS for s in ("train", "val") for c in ("nature", "ai")]
    made = 0
    for generator, split, kind in folders:
        folder = root / generator / "imagenet_ai_0419" / split / kind
        folder.mkdir(parents=True)
        share = images * (5 if split == "train" else 1) // (6 * 16)
        for i in range(share):
            os.link(source / f"{made // LINKS}.jpg", folder / f"ILSVRC2012_{split}_{i:08d}.jpg")
            made += 1


def measured(*command: str) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak MB of a bench command."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "bench", *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    wall = time.perf_counter() - start
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--detector", default="genimage-cnn")
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        lay(folder / "million", given.images)
        where = ["--cache", str(folder / "cache"), "-q"]
        index = ("data", "index", str(folder / "million"), *where)
        dry = ("run", "--dry-run", "-d", given.detector, "-s", "corruptions", "--split", "all",
               "--out", str(folder / "out"), "--data", str(folder / "million"), *where)  # fmt: skip
        nothing = measured("run", "--dry-run", "-d", given.detector, "-s", "corruptions", "--limit", "64",
                           "--out", str(folder / "out"), *where)  # fmt: skip
        print("pocket, 64 images, plan: {:.1f} s wall, {:.1f} s CPU, {:.0f} MB".format(*nothing))
        print(
            f"{given.images} images, index:      %.1f s wall, %.1f s CPU, %.0f MB"
            % measured(*index)
        )
        for _ in range(given.rounds):
            print(
                f"{given.images} images, plan:       %.1f s wall, %.1f s CPU, %.0f MB"
                % measured(*dry)
            )


if __name__ == "__main__":
    main()
