"""A contact sheet of the embedded data set: each generator's tiles under the real ones that they vary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from bench.datasets import DecodePolicy, Manifest, load
from bench.datasets.open import POCKET, open_data
from bench.support.figures import check_sheet
from bench.support.files import write_atomic
from bench.support.progress import Silent

COLUMNS = 12
TILE = 64
GAP = 4
MARGIN = 84  # px on the left for the names
SPLIT = "test"


def draw_samples(path: Path) -> list[str]:
    """Draw twelve pairs of the test split for every generator and control into a PNG.

    Args:
        path: PNG to write, under exactly this name.

    Returns:
        The generators and controls drawn, in order.

    Raises:
        BenchError: If the file does not end in .png or cannot be written.
    """
    check_sheet(path)
    manifest = open_data(POCKET, Silent()).select(SPLIT)
    samples = manifest.samples()
    tiles = samples["sample_id"].str.split("/").str[-1]
    # The plain photographs are the tiles that all others are made of.
    plain = samples[samples["sample_id"].str.startswith(f"{SPLIT}/real/")]
    originals = dict(zip(tiles[plain.index], plain.index, strict=True))
    names = [
        name for name in dict.fromkeys(samples["generator"]) if name not in {*plain["generator"]}
    ]
    rows = {name: _spread(samples, name) for name in sorted(names)}
    sheet = PILImage.new(
        "RGB", (MARGIN + COLUMNS * (TILE + GAP), GAP + len(rows) * (2 * TILE + 3 * GAP)), "white"
    )
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for band, (name, chosen) in enumerate(rows.items()):
        top = GAP + band * (2 * TILE + 3 * GAP)
        pen.text((GAP, top + TILE // 2), "real", fill="gray", font=font)
        pen.text((GAP, top + TILE + TILE // 2), name[:12], fill="black", font=font)
        for column, row in enumerate(chosen):
            left = MARGIN + column * (TILE + GAP)
            _paste(sheet, manifest, originals[tiles[row]], (left, top))
            _paste(sheet, manifest, int(row), (left, top + TILE))
    write_atomic(path, lambda stream: sheet.save(stream, format="PNG"))
    return list(rows)


def _spread(samples: pd.DataFrame, name: str) -> NDArray[np.int64]:
    """Rows of one generator, spread evenly over its photographs."""
    rows = np.flatnonzero((samples["generator"] == name).to_numpy())
    return rows[np.linspace(0, len(rows) - 1, COLUMNS).round().astype(np.int64)]


def _paste(sheet: PILImage.Image, manifest: Manifest, row: int, corner: tuple[int, int]) -> None:
    (record,) = manifest.records(np.array([row]))
    sheet.paste(PILImage.fromarray(load(manifest.root, record, DecodePolicy())), corner)
