"""A contact sheet of a corruption's severities on one tile of the embedded data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from bench import registry
from bench.datasets import REAL, DecodePolicy, load
from bench.datasets.open import POCKET, open_data
from bench.errors import BenchError, nearest
from bench.protocol.condition import Condition, Step
from bench.protocol.seeding import generator_for
from bench.support.figures import check_sheet
from bench.support.files import write_atomic
from bench.support.progress import Silent

PANEL = 256  # px a panel, picture enlarged by a whole factor without smoothing
GAP = 12
LINE = 16


def draw(name: str, path: Path) -> list[str]:
    """Draw the sample and the corruption's severities side by side into a PNG.

    Args:
        name: Name of a corruption.
        path: PNG to write, under exactly this name.

    Returns:
        The conditions drawn, in order, "clean" first.

    Raises:
        BenchError: If no corruption is called so, or the file does not end in .png or cannot be
            written.
    """
    if name not in registry.corruptions():
        raise BenchError(
            f"no corruption called {name!r} to draw: {nearest(name, registry.corruptions())}"
        )
    check_sheet(path)
    sample, kind = _sample(), registry.corruptions()[name]
    panels = [("clean", sample)]
    # One strength is drawn once: five equal panels would say nothing.
    for severity in range(1, 2 if kind.one_strength else 6):
        condition = Condition((Step(name, kind.at_severity(severity)),))
        rng = generator_for(0, str(condition), "sheet")
        panels.append((str(condition), kind.at_severity(severity)(sample, rng)))
    sheet = PILImage.new(
        "RGB", (GAP + len(panels) * (PANEL + GAP), PANEL + 3 * GAP + 2 * LINE), "white"
    )
    for position, (title, picture) in enumerate(panels):
        _panel(sheet, GAP + position * (PANEL + GAP), title, picture, sample)
    write_atomic(path, lambda stream: sheet.save(stream, format="PNG"))
    return [title for title, _ in panels]


def _sample() -> NDArray[np.uint8]:
    """The first real tile of the test split: H x W x 3, uint8."""
    manifest = open_data(POCKET, Silent())
    table = manifest.table.select(["label", "split"]).to_pandas()
    row = int(np.flatnonzero((table["label"] == REAL) & (table["split"] == "test"))[0])
    (record,) = manifest.records(np.array([row]))
    return load(manifest.root, record, DecodePolicy())


def _panel(
    sheet: PILImage.Image,
    left: int,
    title: str,
    picture: NDArray[np.uint8],
    sample: NDArray[np.uint8],
) -> None:
    """One picture with its condition, size and distance from the sample below."""
    height, width = picture.shape[:2]
    factor = max(1, PANEL // max(height, width))
    shown = PILImage.fromarray(picture).resize(
        (width * factor, height * factor), PILImage.Resampling.NEAREST
    )
    shown.thumbnail((PANEL, PANEL))
    sheet.paste(shown, (left, GAP))
    change = f"{width}x{height} px"
    if picture.shape == sample.shape:
        change += f", mean change {np.abs(picture.astype(int) - sample).mean():.1f} levels"
    font = ImageFont.load_default(size=12)
    pen = ImageDraw.Draw(sheet)
    pen.text((left, PANEL + 2 * GAP), title[:44], fill="black", font=font)
    pen.text((left, PANEL + 2 * GAP + LINE), change, fill="gray", font=font)
