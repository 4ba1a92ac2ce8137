"""Opening data sets: an embedded one by name, or any folder or file of one's own. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench import registry
from bench.datasets import Manifest, index, pocket_root
from bench.progress import Progress

POCKET = "pocket"


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
        progress: Told how far reading is.
        layout: A layout's name, or ``auto``.
        cache: Folder of cached manifests; ``None`` is the user's.
        refresh: Read every image again.
        hash_files: Hash every image, so that a changed one is noticed.
        splits: Read only the images of these; ``None`` reads all.

    Raises:
        BenchError: If there is none, or it cannot be recognised.
    """
    seen = 0

    def tell(done: int, total: int) -> None:
        nonlocal seen
        if not seen:
            progress.start("indexing", total)
        progress.advance(done - seen)
        seen = done

    embedded = source == POCKET
    return index(
        pocket_root() if embedded else Path(source),
        layout=layout,
        cache_dir=cache,
        hash=hash_files,
        progress=tell,
        name=POCKET if embedded else None,
        refresh=refresh,
        layouts=registry.layouts(),
        split=splits,
    )
