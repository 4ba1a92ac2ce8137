"""All that makes a run cheaper, at once, beside the loop that evaluations usually are, on CIFAKE's pictures.

    python -m tests.benchmarks.together CIFAKE [--images 20000] [--sample 200] [--until auc=0.01]

Reals and eight generators of as many fakes, six conditions, two detectors. CIFAKE has 60,000 fakes: each
generator has its own draw of them, under one of the eight symmetries of the square, so that no two have a
picture in common; all are written as PNG. The usual loop goes through a part of them and is counted for all:
its time is that of its images. The whole run without a target (--no-whole leaves it out) says whether every
cell's interval is as narrow as asked and whether detectors rank alike.
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("cifake", type=Path)
    parser.add_argument("--images", type=int, default=20_000, help="of each source")
    parser.add_argument(
        "--sample", type=int, default=200, help="the loop takes one image in so many"
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
        deal(given.cifake, root / "part", given.images // given.sample)
        loops = []
        for _ in range(2):  # the second one is the control of the first
            wall, cpu = time.perf_counter(), cpu_seconds()
            loop(root / "part", DETECTORS, GENERATORS, 0)
            loops.append((time.perf_counter() - wall, cpu_seconds() - cpu))
            print(
                f"loop over 1/{given.sample}: {loops[-1][0]:.1f} s, CPU {loops[-1][1]:.1f}",
                flush=True,
            )
        cheap, wall, cpu, scored = run(
            manifest, root / "cheap", until=given.until, precision=given.precision
        )
        print(f"bench --until {given.until} --precision {given.precision}: {wall:.1f} s, "
              f"CPU {cpu:.1f}, {scored} scored", flush=True)  # fmt: skip
        for name, which in (("wall", 0), ("CPU", 1)):
            best = min(each[which] for each in loops) * given.sample
            print(
                f"loop / bench, {name}: {best / (wall, cpu)[which]:.1f} ({best:.0f} s, counted)",
                flush=True,
            )
        if not given.whole:
            return
        whole, wall, cpu, scored = run(manifest, root / "whole")
        print(f"bench whole: {wall:.1f} s, CPU {cpu:.1f}, {scored} scored", flush=True)
        both = cheap.join(whole.add_suffix("_whole"))
        half = (both["auc_hi"].astype(float) - both["auc_lo"].astype(float)) / 2
        within = (
            both["auc_whole"]
            .astype(float)
            .between(both["auc_lo"].astype(float), both["auc_hi"].astype(float))
        )
        print(
            f"{len(both)} cells: half-width at most {half.max():.4f}, the whole run's AUC inside "
            f"{within.sum()}; order {order(cheap)}, whole {order(whole)}",
            flush=True,
        )
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
