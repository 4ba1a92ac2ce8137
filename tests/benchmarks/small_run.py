"""`bench run` of 100 images with a warm cache, beside importing torch and running the same networks.

    python -m tests.benchmarks.small_run [--rounds 5] [--images 100] [--detectors resnet50]

Both sides are processes of their own. The networks alone: torch and what builds the networks are imported,
weights are read, and batches of noise as large as bench's go through, one thread or as many as torch takes.
Both sides find bench compiled to bytecode, as an installation has it, whatever PYTHONDONTWRITEBYTECODE says
here: compiling it anew at each start is no part of a run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.rounds import interleaved, machine, ratio, told

ALONE = """
import sys, torch
from bench.inference.batches import auto_batch
from bench.inference.detector import DetectorRequest, resolve

cpu, images = torch.device("cpu"), int(sys.argv[1])
with torch.inference_mode():
    for name in sys.argv[2:]:
        detector = resolve(DetectorRequest(name)).to(cpu)
        canvas = detector.card.input.canvas
        size = auto_batch(canvas, cpu)
        for start in range(0, images, size):
            detector.logits(torch.rand(min(size, images - start), 3, *canvas))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--detectors", nargs="+", default=["resnet50"])
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="bench-small-"))
    asked = [part for name in given.detectors for part in ("--detector", name)]

    environment = dict(os.environ, PYTHONPYCACHEPREFIX=str(place / "bytecode"))
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def process(*arguments: str) -> None:
        subprocess.run(
            [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment
        )

    def alone() -> None:
        process("-c", ALONE, str(given.images), *given.detectors)

    def run() -> None:
        shutil.rmtree(place / "out", ignore_errors=True)
        process(
            "-m", "bench", "run", *asked, "--suite", "cross-generator", "--limit", str(given.images),
            "--out", str(place / "out"), "--cache", str(place / "cache"), "--quiet",
        )  # fmt: skip

    print(machine(), flush=True)
    try:
        found = interleaved({"networks": alone, "run": run}, given.rounds, control="networks")
    finally:
        shutil.rmtree(place)
    print(told(found))
    title = f"{' + '.join(given.detectors)}, {given.images} images"
    ratio(title, found, "run", "networks")
    ratio("control", found, "networks again", "networks")


if __name__ == "__main__":
    main()
