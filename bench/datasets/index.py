"""From a path to a manifest: scan, recognise the layout, read every image once, check, cache."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from bench.datasets.cache import slot
from bench.datasets.layouts.base import Entry, Layout
from bench.datasets.manifest import Manifest
from bench.datasets.policy import DEFAULT, DecodePolicy
from bench.datasets.read import Found, Progress, Reader
from bench.datasets.recognise import builtin_layouts, found_folders, recognise
from bench.datasets.record import BAD_SCHEMA, FAKE, REAL, SCHEMA
from bench.datasets.scan import Tree, scan
from bench.errors import DataError, NothingSelectedError

_log = logging.getLogger(__name__)


def index(
    path: str | Path,
    layout: str = "auto",
    cache_dir: Path | None = None,
    split: str | None = None,
    *,
    hash: bool = True,  # noqa: A002
    progress: Progress | None = None,
    workers: int = 2,
    name: str | None = None,
    refresh: bool = False,
    policy: DecodePolicy = DEFAULT,
    layouts: Mapping[str, Layout] | None = None,
) -> Manifest:
    """Index a data set: which images there are, what each is, and which cannot be used.

    A second call reads no image unless a file was added, removed or changed (size or time).

    Args:
        path: a folder, or a CSV, JSONL or Parquet file.
        layout: a layout's name, or ``auto`` to recognise it.
        cache_dir: where manifests are kept; `files.default_cache_dir` by default. A place that
            cannot be written is a logged warning, not an error.
        split: index only the images of this split.
        hash: whether every image is read whole for its SHA-256; without it a damaged or changed
            image shows only when it is decoded.
        progress: called with (images done, images in all) now and then, in the calling thread.
        workers: threads that read images.
        name: of the data set; by default the layout's or the folder's.
        refresh: read all images again, whatever the cache holds.
        policy: which formats and sizes are allowed.
        layouts: those to choose from; the built-in ones by default.

    Raises:
        DataError: no such path; no layout or several fit; a generator without reals.
        NothingSelectedError: the split is not there.
    """
    tree = scan(Path(path))
    known = builtin_layouts() if layouts is None else layouts
    options = {
        "layout": layout,
        "split": split,
        "hash": hash,
        "policy": asdict(policy),
        "known": sorted(known),
        "name": name,
    }
    place = slot(tree, options, cache_dir)
    if not refresh and (kept := place.get()) is not None:
        return kept
    chosen, match = recognise(tree, layout, known)
    reader = Reader(tree.root, policy, whole=hash, workers=workers, progress=progress)
    called = name or match.dataset or Path(tree.single).stem or tree.root.name
    manifest = _index(tree, chosen, reader, says=match.says, name=called, split=split)
    place.put(manifest)
    return manifest


def _index(
    tree: Tree, layout: Layout, reader: Reader, *, says: str, name: str, split: str | None
) -> Manifest:
    """Read what the layout finds in the tree, and put the manifest together."""
    entries, bad = _entries(tree, layout, split)
    outcomes = reader.read_all([e.locator for e in entries])
    pairs = list(zip(entries, outcomes, strict=True))
    good = [(entry, found) for entry, found in pairs if isinstance(found, Found)]
    bad += [(entry.sample_id, reason) for entry, reason in pairs if isinstance(reason, str)]
    if not good:
        raise DataError(_none_readable(tree, bad))
    kept = [entry for entry, _ in good]
    pairing = layout.pairing(kept)
    _check_comparable(tree, kept, pairing)
    rows = [{"path": path, "reason": reason} for path, reason in sorted(set(bad))]
    return Manifest.build(
        name=name,
        layout=layout.name,
        recognised=says,
        root=tree.root,
        table=_table(good),
        pairing=pairing,
        bad=pa.Table.from_pylist(rows, schema=BAD_SCHEMA),
    )


def _entries(
    tree: Tree, layout: Layout, split: str | None
) -> tuple[list[Entry], list[tuple[str, str]]]:
    """The layout's entries, of one split if asked, and the images it has no place for."""
    entries = list(layout.entries(tree))
    if not entries:
        raise DataError(
            f"the layout {layout.name} ({layout.summary}) finds no image in "
            f"{tree.root / tree.single}: {found_folders(tree)}"
        )
    bad = [*tree.unreadable, *layout.left_out(tree)]
    if split is not None:
        splits = sorted({e.split or "(none)" for e in entries})
        entries = [e for e in entries if e.split == split]
        if not entries:
            raise NothingSelectedError(
                f"{tree.root / tree.single} has no split {split!r}: it has {', '.join(splits)}"
            )
    return sorted(entries, key=lambda e: e.sample_id), bad


def _table(good: Sequence[tuple[Entry, Found]]) -> pa.Table:
    columns: dict[str, list[Any]] = {
        "sample_id": [e.sample_id for e, _ in good],
        "locator": [e.locator for e, _ in good],
        "label": [e.label for e, _ in good],
        "generator": [e.generator for e, _ in good],
        "domain": [e.domain for e, _ in good],
        "split": [e.split for e, _ in good],
        "group": [e.group or e.sample_id for e, _ in good],
        "format": [r.header.format for _, r in good],
        "width": [r.header.width for _, r in good],
        "height": [r.header.height for _, r in good],
        "bytes": [r.size for _, r in good],
        "sha256": [r.sha256 for _, r in good],
    }
    return pa.table(columns, schema=SCHEMA)


def _none_readable(tree: Tree, bad: Sequence[tuple[str, str]]) -> str:
    path, reason = bad[0] if bad else ("", "none found")
    return (
        f"{tree.root / tree.single}: none of {len(bad)} images can be read; the first, {path!r}: "
        f"{reason} (paths are relative to {tree.root})"
    )


def _check_comparable(
    tree: Tree, entries: Sequence[Entry], pairing: Mapping[str, Sequence[str]]
) -> None:
    """Refuse data in which a generator has nothing real to be compared with."""
    where = tree.root / tree.single
    fakes: dict[str, int] = {}
    for entry in entries:
        if entry.label == FAKE:
            fakes[entry.generator] = fakes.get(entry.generator, 0) + 1
    if not fakes:
        raise DataError(f"{where} holds {len(entries)} real images and no AI-generated one")
    sources = {e.generator for e in entries if e.label == REAL and not e.control}
    idle = sorted(sources - {s for paired in pairing.values() for s in paired})
    if idle:
        _log.warning("%s: no generator is compared with the reals of %s", where, ", ".join(idle))
    for generator, count in sorted(fakes.items()):
        if not sources & set(pairing.get(generator, ())):
            others = f" (real sources found: {', '.join(sorted(sources))})" if sources else ""
            raise DataError(
                f"{where}: generator {generator!r} has {count} fake images and no real ones to be "
                f"compared with{others}: add them, or list both in a CSV with the columns "
                "path,label,generator"
            )


__all__ = ["Progress", "index"]
