"""A contact sheet of a detector: its first-layer filters, and its maps of one embedded photograph."""

from __future__ import annotations

from pathlib import Path

import torch

from bench.datasets import DecodePolicy, load
from bench.datasets.open import POCKET, open_data
from bench.inference.detector import DetectorRequest, resolve
from bench.pictures.activation_maps import draw_maps
from bench.support.figures import check_sheet
from bench.support.progress import Silent

SPLIT = "test"


def draw_detector(name: str, path: Path) -> list[str]:
    """Draw a detector's filters, and their maps of one photograph and its generated versions.

    Args:
        name: Name of a detector with weights.
        path: PNG to write, under exactly this name.

    Returns:
        The sources of the pictures, in order: the photograph's, then the generators.

    Raises:
        BenchError: The detector has no weights or no convolution over pixels, or the file does not end
            in .png or cannot be written.
    """
    check_sheet(path)
    detector = resolve(DetectorRequest(name)).to(torch.device("cpu"))
    manifest = open_data(POCKET, Silent()).select(SPLIT)
    samples = manifest.samples()
    tiles = samples["sample_id"].str.split("/").str[-1]
    sets = samples.groupby(tiles)["generator"].nunique()
    # The first tile of which there are most versions: every tile has its photograph.
    tile = sets.index[int(sets.to_numpy().argmax())]
    rows = samples.index[tiles == tile].to_numpy()
    rows = rows[samples["label"].to_numpy()[rows].argsort(kind="stable")]
    records = list(manifest.records(rows.tolist()))
    pictures = [(r.generator, load(manifest.root, r, DecodePolicy())) for r in records]
    draw_maps(detector, pictures, path, title=detector.card.name)
    return [source for source, _ in pictures]
