"""Opening data sets: an embedded one by name, or any folder or file of one's own. Imports no torch."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.datasets.indexing.index import index
from bench.datasets.layouts import builtin_layouts
from bench.datasets.manifest import Manifest
from bench.datasets.pocket import pocket_root
from bench.registry import merge, offered
from bench.support.progress import Progress
from bench.support.user_file import border

if TYPE_CHECKING:
    from bench.datasets.layouts.base import DataCard, Layout


POCKET = "pocket"


def card_of(manifest: Manifest) -> DataCard | None:
    """Give the card of the data set whose layout a manifest was read by; None for a plain layout."""
    return layouts()[manifest.layout].card


@functools.cache
def layouts() -> Mapping[str, Layout]:
    """Collect every data layout by name: the built-in ones and those of other distributions.

    Raises:
        BenchError: If two have one name, or a plug-in cannot be imported.
    """
    table: dict[str, Any] = dict(builtin_layouts())
    sources = dict.fromkeys(table, "bench.datasets.layouts")
    for point in entry_points(group="bench.layouts"):
        merge(table, sources, offered(point, "LAYOUTS"), point.value)
    return table


def open_data(
    source: str,
    progress: Progress,
    *,
    layout: str = "auto",
    cache: Path | None = None,
    refresh: bool = False,
    hash_files: bool = True,
    splits: Sequence[str] | None = None,
) -> Manifest:
    """Index a data set; a second call reads no image.

    Args:
        source: ``pocket``, or the path of a folder, CSV, JSONL or Parquet file.
        progress: Shows how many images have been read.
        layout: A layout's name, or ``auto``.
        cache: Folder of cached manifests; ``None`` is the user's.
        refresh: Read every image again.
        hash_files: Hash every image, so that a changed one is noticed.
        splits: Read only the images of these; ``None`` reads all.

    Raises:
        BenchError: If there is none, or it cannot be recognised.
    """
    shown = 0

    def show(images: int, total: int) -> None:
        nonlocal shown
        if not shown:
            progress.start("indexing", total)
        progress.advance(images - shown)
        shown = images

    embedded = source == POCKET
    known = layouts()
    with border(f"{source} cannot be indexed", "look at it, and at the layout that reads it"):
        return index(
            pocket_root() if embedded else Path(source),
            layout=layout,
            cache_dir=cache,
            hash=hash_files,
            progress=show,
            name=POCKET if embedded else None,
            refresh=refresh,
            layouts=known,
            split=splits,
        )
