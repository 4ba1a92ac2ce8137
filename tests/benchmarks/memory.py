"""Peak memory of `bench run` on 2,000 and on 20,000 images: it should not know the difference.

    python -m tests.benchmarks.memory [--images 2000 20000] [--size 64] [--detector genimage-cnn]

Every size runs in a process of its own, the smaller one twice as control.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.benchmarks.indexing import lay
from tests.benchmarks.million_rows import measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs=2, default=[2000, 20_000])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--detector", default="genimage-cnn")
    given = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory() as temporary:
        for number, images in enumerate([given.images[0], *given.images]):
            root = Path(temporary) / f"images{number}"
            lay(root, images, given.size)
            wall, _, peak = measured(
                "run", "-d", given.detector, "-s", "cross-generator", "--data", str(root), "-q",
                "--out", str(root) + "-out", "--cache", str(root) + "-cache",
            )  # fmt: skip
            peaks.append(peak)
            print(f"{images} images: {wall:.1f} s, peak {peak:.0f} MB")
    print(
        f"control {peaks[1] - peaks[0]:+.0f} MB; {given.images[0]} to {given.images[1]} images "
        f"{peaks[2] - peaks[1]:+.0f} MB, {100 * (peaks[2] / peaks[1] - 1):+.1f}%"
    )


if __name__ == "__main__":
    main()
