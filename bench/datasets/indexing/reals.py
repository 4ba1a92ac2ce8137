"""Real images that lie elsewhere than the data set: ``--reals PATH``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow.parquet as pq

from bench.datasets.indexing.recognise import matching
from bench.datasets.layouts.base import SHARED_REAL, Entry, Layout
from bench.datasets.layouts.columns import has_labels
from bench.datasets.layouts.parquet_bytes import image_files
from bench.datasets.layouts.words import label_of
from bench.datasets.record import FAKE, REAL
from bench.datasets.sources.names import is_image_name
from bench.datasets.sources.parquet_file import parquet_errors, parquet_source
from bench.datasets.sources.scan import scan
from bench.datasets.sources.tree import Tree
from bench.errors import DataError
from bench.support.objects.place import Place, locator_from


def scan_reals(paths: Sequence[Place]) -> list[Tree]:
    """List what lies at every place of real images.

    Raises:
        DataError: no such place, or one that is named twice.
    """
    trees = [scan(path) for path in paths]
    places = [tree.place for tree in trees]
    for place in places:
        if places.count(place) > 1:
            raise DataError(f"--reals names {place} twice: name each place once")
    return trees


def real_entries(
    trees: Sequence[Tree], layouts: Mapping[str, Layout], root: Place
) -> Iterator[Entry]:
    """List the real images of every place; all generators share them.

    A place that a layout reads gives the images it calls real; of any other all are.

    Args:
        trees: what lies at every place.
        layouts: those to choose from, by name.
        root: what the locators of the data set are relative to.

    Raises:
        DataError: a place without a real image.
    """
    for source, tree in zip(_names(trees), trees, strict=True):
        number = 0
        for number, entry in enumerate(_of_place(tree, layouts), start=1):  # noqa: B007
            yield replace(
                entry,
                sample_id=f"reals/{source}/{entry.sample_id}",
                locator=locator_from(root, tree.root / tree.locator(entry.locator)),
                generator=source,
                group=entry.group and f"reals/{source}/{entry.group}",
                belongs="",
            )
        if not number:
            raise DataError(f"--reals {tree.place} holds no real image")


def _names(trees: Sequence[Tree]) -> list[str]:
    """Name each source by its folder, with the folder above where two are called alike."""
    names = [tree.name for tree in trees]
    full = [
        f"{tree.place.parent.name}/{name}" if names.count(name) > 1 or label_of(name) else name
        for tree, name in zip(trees, names, strict=True)
    ]
    if len(set(full)) == len(full):
        return [name or SHARED_REAL for name in full]
    return [f"{name} {number}" for number, name in enumerate(full, start=1)]


def _of_place(tree: Tree, layouts: Mapping[str, Layout]) -> Iterator[Entry]:
    parquet = image_files(tree) if not tree.image_folders else {}
    if parquet and not any(has_labels(schema.names, tree.columns) for schema in parquet.values()):
        for path in parquet:
            with parquet_errors(tree.root / path):
                rows = pq.read_metadata(parquet_source(tree.root / path)).num_rows
            for row in range(rows):
                yield Entry(f"{path}#{row}", f"{path}#{row}", REAL, SHARED_REAL)
        return
    candidates = matching(tree, layouts)
    if candidates:
        best = max(candidates, key=lambda candidate: candidate.match.specificity)
        yield from (entry for entry in best.layout.entries(tree) if entry.label == REAL)
        return
    for folder in tree.image_folders:
        if any(label_of(name) == FAKE for name in folder):
            raise DataError(
                f"--reals {tree.place} holds the folder {'/'.join(folder)}, which says AI-generated: "
                "point at real images only"
            )
        for file in tree.folders[folder].where(is_image_name):
            yield Entry(file.path, file.path, REAL, SHARED_REAL)
