"""All that makes a run cheaper, at once, beside the loop that evaluations usually are, on CIFAKE's pictures.

    python -m tests.benchmarks.together CIFAKE [--images 25000] [--until auc=0.01] [--no-whole]

Reals and eight generators of as many fakes, six conditions, two detectors. CIFAKE has 60,000 fakes: each
generator has its own draw of them, under one of the eight symmetries of the square, so that no two have a
picture in common; all are written as PNG. The usual loop goes through two parts of them and is counted for
all. The whole run without a target (--no-whole leaves it out) says whether every cell's interval is as narrow
as asked and whether detectors rank alike.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import tempfile
import time
from pathlib import Path

import pandas as pd
import torch
from PIL import Image

import bench
from bench.protocol.suite import Suite
from tests.benchmarks.engine import CONDITIONS, loop
from tests.benchmarks.rounds import cpu_seconds, machine

DETECTORS = ["cifake-cnn.cifake", "mobilenetv2_100.cifake"]
GENERATORS = 8
SYMMETRIES = [None, *Image.Transpose]


def deal(cifake: Path, root: Path, images: int) -> Path:
    """Write pictures of both splits into folders by source; a manifest pairs all fakes with the reals."""
    rows = ["path,label,generator"]
    chance = random.Random(0)
    reals, fakes = (sorted(cifake.glob(f"*/{name}/*")) for name in ("REAL", "FAKE"))
    for name in ("real", *(f"g{g:02d}" for g in range(GENERATORS))):
        generator = "" if name == "real" else name
        files = fakes if generator else reals
        if len(files) < images:
            raise SystemExit(f"{cifake} has only {len(files)} pictures for {name}")
        (root / name).mkdir(parents=True)
        turn = SYMMETRIES[int(name[1:])] if generator else None
        for number, file in enumerate(chance.sample(files, images)):
            path = root / name / f"{number:05d}.png"
            with Image.open(file) as picture:
                (picture if turn is None else picture.transpose(turn)).save(path)
            rows.append(f"{path.relative_to(root)},{'fake' if generator else 'real'},{generator}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root / "manifest.csv"


def run(manifest: Path, place: Path, **options) -> tuple[pd.DataFrame, float, float, int]:
    """One run from nothing: its board by generator, seconds on the clock and of the CPU, and its scores."""
    suite = Suite(name="together", slices=["generator"], conditions=CONDITIONS)
    wall, cpu = time.perf_counter(), cpu_seconds()
    done = bench.run(
        DETECTORS, suite=suite, data=manifest, out=place / "out", cache=place / "cache", device="cpu",
        **options,
    )  # fmt: skip
    taken = time.perf_counter() - wall, cpu_seconds() - cpu
    rows = done.board.rows.set_index(["detector", "condition", "generator"])
    return rows[rows.index.get_level_values("generator") != "all"], *taken, done.counts.scored


def order(rows: pd.DataFrame) -> list[str]:
    """Detectors by mean AUC over all cells, the best first."""
    means = rows["auc"].astype(float).groupby(level="detector").mean()
    return list(means.sort_values(ascending=False).index)


def usual(root: Path, cifake: Path, images: int, parts: tuple[int, int]) -> tuple[float, float]:
    """Seconds on the clock and of the CPU that the loop would take over all ``images`` of each source.

    It goes through two parts, twice each. What the larger one takes longer is the pictures' share, which is
    counted for all of them; the rest (building networks) is counted once.
    """
    places = {count: deal(cifake, root / f"part{count}", count).parent for count in parts}
    best: dict[int, tuple[float, float]] = {}
    for count, place in [*places.items()] * 2:
        wall, cpu = time.perf_counter(), cpu_seconds()
        loop(place, DETECTORS, GENERATORS, 0)
        took = time.perf_counter() - wall, cpu_seconds() - cpu
        print(f"loop over {count} of each source: {took[0]:.1f} s, CPU {took[1]:.1f}", flush=True)
        wall, cpu = map(min, zip(took, best.get(count, took), strict=True))
        best[count] = wall, cpu
    few, many = parts
    wall, cpu = (
        small + (large - small) / (many - few) * (images - few)
        for small, large in zip(best[few], best[many], strict=True)
    )
    return wall, cpu


def held(cheap: pd.DataFrame, whole: pd.DataFrame) -> str:
    """Say how the board with a target stands to the one without."""
    both = cheap.join(whole.add_suffix("_whole")).astype({"auc": float, "auc_whole": float})
    low, high = both["auc_lo"].astype(float), both["auc_hi"].astype(float)
    return (
        f"{len(both)} cells: half-width at most {(high - low).max() / 2:.4f}, the whole run's AUC inside "
        f"{both['auc_whole'].between(low, high).sum()}; order {order(cheap)}, whole {order(whole)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("cifake", type=Path)
    parser.add_argument("--images", type=int, default=25_000, help="of each source")
    parser.add_argument(
        "--parts", type=int, nargs=2, default=[50, 150], help="images of each that the loop takes"
    )
    parser.add_argument("--until", default="auc=0.01")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--whole", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    # Threads of torch's that wait for each other spin, and would count as the loop's work.
    torch.set_num_threads(1)
    root = Path(tempfile.mkdtemp(prefix="bench-together-"))
    print(machine(), f"pid {os.getpid()}", flush=True)
    try:
        manifest = deal(given.cifake, root / "all", given.images)
        counted = usual(root, given.cifake, given.images, tuple(given.parts))
        cheap, *cost, scored = run(
            manifest, root / "cheap", until=given.until, precision=given.precision
        )
        print(f"bench --until {given.until} --precision {given.precision}: {cost[0]:.1f} s, "
              f"CPU {cost[1]:.1f}, {scored} scored", flush=True)  # fmt: skip
        for name, loops, ours in zip(("wall", "CPU"), counted, cost, strict=True):
            print(f"loop / bench, {name}: {loops / ours:.1f} ({loops:.0f} s, counted)", flush=True)
        if given.whole:
            whole, wall, cpu, scored = run(manifest, root / "whole")
            print(f"bench whole: {wall:.1f} s, CPU {cpu:.1f}, {scored} scored", flush=True)
            print(held(cheap, whole), flush=True)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
