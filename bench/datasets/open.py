"""Opening data sets: an embedded one by name, or any folder or file of one's own. Imports no torch."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.datasets.data_card import read_card
from bench.datasets.indexing.index import index
from bench.datasets.layouts import builtin_layouts
from bench.datasets.manifest import Manifest
from bench.datasets.pocket import pocket_root
from bench.registry import merge, offered
from bench.support.objects.place import Place, place_of
from bench.support.progress import Progress
from bench.support.user_file import border

if TYPE_CHECKING:
    from bench.datasets.layouts.base import DataCard, Layout


POCKET = "pocket"


class KnownCard(NamedTuple):
    """A data set's card, and whether it is its own: a layout's is that of the set it is laid out like."""

    card: DataCard
    is_own: bool


def card_of(manifest: Manifest, data: str | Place | None = None) -> DataCard | None:
    """Give the card of a data set: the one beside it, else its layout's; None for a plain layout.

    Args:
        manifest: The data set, indexed.
        data: Where it was read from; a card beside it is then looked for.
    """
    known = known_card(manifest, data)
    return None if known is None else known.card


def known_card(manifest: Manifest, data: str | Place | None = None) -> KnownCard | None:
    """Give the card as `card_of`, and say whether it is the data set's own.

    Raises:
        BenchError: The card beside the data is none.
    """
    if data is not None and data != POCKET and (own := read_card(place_of(data))):
        return KnownCard(own, is_own=True)
    card = layouts()[manifest.layout].card
    return None if card is None else KnownCard(card, is_own=False)


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
    columns: Mapping[str, str] | None = None,
    reals: Sequence[str | Place] = (),
    reals_alone: bool = False,
) -> Manifest:
    """Index a data set; a second call reads no image.

    Args:
        source: ``pocket``, or the path or URL of a folder, an archive, or a CSV, JSONL or Parquet file.
        progress: Shows how many images have been read.
        layout: A layout's name, or ``auto``.
        cache: Folder of cached manifests; ``None`` is the user's.
        refresh: Read every image again.
        hash_files: Hash every image, so that a changed one is noticed.
        splits: Read only the images of these; ``None`` reads all.
        columns: Which columns of tables are which of ours; see ``layouts.columns.parse_columns``.
        reals: Paths or URLs of further real images.
        reals_alone: Whether a data set without AI-generated images will do.

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

    place = pocket_root() if source == POCKET else place_of(source)
    known = layouts()
    with border(f"{source} cannot be indexed", "look at it, and at the layout that reads it"):
        return index(
            place,
            layout=layout,
            cache_dir=cache,
            hash=hash_files,
            progress=show,
            name=POCKET if source == POCKET else None,
            refresh=refresh,
            layouts=known,
            split=splits,
            columns=columns,
            reals=[place_of(each) for each in reals],
            reals_alone=reals_alone,
        )
