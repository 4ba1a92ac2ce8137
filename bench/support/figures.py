"""Figures as files: written whole, the same bytes each time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError
from bench.support.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure of pictures as PNG, 110 dots an inch.

    Raises:
        OutputError: The place cannot be written.
    """
    write_atomic(path, lambda stream: figure.savefig(stream, format="png", dpi=110))


def save_svg(figure: Figure, path: Path) -> None:
    """Write a figure of lines and words as SVG, without the date.

    Raises:
        OutputError: The place cannot be written.
    """
    write_atomic(path, lambda stream: figure.savefig(stream, format="svg", metadata={"Date": None}))


def check_sheet(path: Path) -> None:
    """Refuse to write a contact sheet under a name that does not say PNG.

    Raises:
        BenchError: The name does not end in .png.
    """
    if path.suffix.lower() != ".png":
        raise BenchError(f"--sheet {path}: give a file that ends in .png")
