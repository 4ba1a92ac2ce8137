"""From a path to a manifest: scan, recognise the layout, read every image once, check, cache."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from bench.datasets.indexing.cache import slot
from bench.datasets.indexing.facts import Parts, gather
from bench.datasets.indexing.reader import Progress, Reader
from bench.datasets.indexing.recognise import Recognised, describe_folders, recognise
from bench.datasets.layouts import builtin_layouts
from bench.datasets.layouts.base import Entry, Layout
from bench.datasets.manifest import Manifest, no_such_split, share_memory
from bench.datasets.policy import DEFAULT, DecodePolicy
from bench.datasets.record import FAKE, LOST_SCHEMA, REAL, SCHEMA
from bench.datasets.sources.scan import scan
from bench.datasets.sources.tree import Tree
from bench.errors import DataError

_log = logging.getLogger(__name__)

_BATCH: Final = 8192
_MOST_THREADS: Final = 16
_COLUMNS: Final = (
    "sample_id", "locator", "label", "generator", "domain", "split", "group", "belongs", "control",
)  # fmt: skip
_TYPES: Final = {"label": pa.int8(), "control": pa.bool_()}
_ENTRIES: Final = pa.schema([(name, _TYPES.get(name, pa.string())) for name in _COLUMNS])


def index(
    path: str | Path,
    layout: str = "auto",
    cache_dir: Path | None = None,
    split: str | Sequence[str] | None = None,
    *,
    hash: bool = True,  # noqa: A002
    progress: Progress | None = None,
    workers: int | None = None,
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
        cache_dir: where manifests are kept; `cache.default_cache_dir` by default. A place that
            cannot be written is a logged warning, not an error.
        split: index only the images of this split, or of these; a data set without splits is
            taken whole.
        hash: whether every image is read whole for its SHA-256; without it a damaged or changed
            image shows only when it is decoded.
        progress: called with (images read, images in all) now and then, in the calling thread.
        workers: threads that read images; two a core by default, as reading waits.
        name: name of the data set; by default the layout's or the folder's.
        refresh: read all images again, whatever the cache holds.
        policy: which formats and sizes are allowed.
        layouts: those to choose from; the built-in ones by default.

    Raises:
        DataError: no such path; no layout or several fit; a generator without reals.
        NothingSelectedError: the split is not there.
    """
    tree = scan(Path(path))
    layouts = builtin_layouts() if layouts is None else layouts
    splits = [split] if isinstance(split, str) else split
    reading = {"hash": hash, "policy": asdict(policy)}
    options = {
        "layout": layout,
        "split": None if splits is None else sorted(splits),
        "known": sorted(layouts),
        "name": name,
        **reading,
    }
    cached = slot(tree, options, cache_dir)
    manifest = None if refresh else cached.get()
    if manifest is None:
        recognised = recognise(tree, layout, layouts)
        parts = Parts(cached.parts_folder(reading, cache_dir))
        if refresh:
            cached.refresh()
            parts.remove()
        threads = workers or min(_MOST_THREADS, 2 * (os.cpu_count() or 1))
        reader = Reader(tree.root, policy, whole=hash, workers=threads, progress=progress)
        manifest = _index(tree, recognised, splits=splits, name=name, reader=reader, parts=parts)
        cached.put(manifest)
        parts.remove()
    # Hand the memory of intermediate columns back: of a million images some 200 MB.
    pa.default_memory_pool().release_unused()
    return manifest


def _index(
    tree: Tree,
    recognised: Recognised,
    *,
    splits: Sequence[str] | None,
    name: str | None,
    reader: Reader,
    parts: Parts,
) -> Manifest:
    """Put a manifest together from what the layout says of each image and what reading it gave."""
    layout, match = recognised
    entries = _of_splits(_entries(tree, layout), splits, tree)
    facts = gather(tree, entries["locator"], reader, parts)
    good, bad = pc.is_null(facts["reason"]), LOST_SCHEMA.empty_table()
    if not pc.all(good).as_py():
        names = [entries[name] for name in ("label", "generator", "domain", "split")]
        outcomes = pa.table([entries["sample_id"], facts["reason"], *names], LOST_SCHEMA.names)
        bad = outcomes.filter(pc.invert(good)).cast(LOST_SCHEMA)
        entries, facts = share_memory(entries.filter(good)), facts.filter(good)
    bad = _with_rows(bad, [*tree.unreadable, *layout.left_out(tree)])
    if not len(entries):
        raise DataError(_none_readable(tree, bad))
    kinds = _kinds(entries)
    pairing = layout.pairing([kind.entry for kind in kinds])
    _check_comparable(tree, kinds, pairing)
    columns = {n: entries[n] for n in SCHEMA.names if n in entries.column_names}
    columns |= {n: facts[n] for n in SCHEMA.names if n not in columns}
    return Manifest.build(
        name=name or match.dataset or Path(tree.single).stem or tree.root.name,
        layout=layout.name,
        recognised=match.description,
        root=tree.root,
        table=pa.table({n: columns[n] for n in SCHEMA.names}),
        pairing=pairing,
        bad=bad,
    )


def _entries(tree: Tree, layout: Layout) -> pa.Table:
    """Collect the layout's entries in columns: only one batch of them is objects at a time.

    Raises:
        DataError: there is none.
    """
    batches = []
    entries = iter(layout.entries(tree))
    while batch := list(itertools.islice(entries, _BATCH)):
        columns: dict[str, list[Any]] = {n: [getattr(e, n) for e in batch] for n in _COLUMNS}
        columns["group"] = [entry.group or entry.sample_id for entry in batch]
        batches.append(pa.RecordBatch.from_pydict(columns, schema=_ENTRIES))
    if not batches:
        raise DataError(
            f"the layout {layout.name} ({layout.summary}) finds no image in "
            f"{tree.root / tree.single}: {describe_folders(tree)}"
        )
    return share_memory(pa.Table.from_batches(batches).combine_chunks())


def _of_splits(entries: pa.Table, splits: Sequence[str] | None, tree: Tree) -> pa.Table:
    """Keep the entries of some splits: images of the others are never opened.

    Raises:
        NothingSelectedError: none is there; names those there are.
    """
    present = sorted(pc.unique(entries["split"]).to_pylist())
    if splits is None or present == [""]:
        return entries
    selected = entries.filter(pc.is_in(entries["split"], value_set=pa.array(splits, pa.string())))
    if not len(selected):
        where = tree.root / tree.single
        raise no_such_split(str(where), splits[0] if splits else "", present)
    return selected


class _Kind(NamedTuple):
    """Images of which a layout says the same: an entry without an id, and how many they are."""

    entry: Entry
    images: int


def _kinds(entries: pa.Table) -> list[_Kind]:
    """Count the kinds of image there are."""
    keys = ["label", "generator", "domain", "split", "belongs", "control"]
    counted = entries.group_by(keys).aggregate([([], "count_all")])
    return [
        _Kind(Entry(sample_id="", locator="", **{key: row[key] for key in keys}), row["count_all"])
        for row in counted.to_pylist()
    ]


def _with_rows(bad: pa.Table, more: Sequence[tuple[str, str]]) -> pa.Table:
    """Add (path, reason) to the bad images, sorted, each once."""
    rows = {(row["path"], row["reason"]): row for row in bad.to_pylist()}
    for path, reason in more:
        rows.setdefault((path, reason), {"path": path, "reason": reason})
    return pa.Table.from_pylist([rows[key] for key in sorted(rows)], schema=LOST_SCHEMA)


def _none_readable(tree: Tree, bad: pa.Table) -> str:
    path, reason = bad["path"][0].as_py(), bad["reason"][0].as_py()
    return (
        f"{tree.root / tree.single}: none of {len(bad)} images can be read; the first, {path!r}: "
        f"{reason} (paths are relative to {tree.root})"
    )


def _check_comparable(
    tree: Tree, kinds: Sequence[_Kind], pairing: Mapping[str, Sequence[str]]
) -> None:
    """Refuse data in which a generator has nothing real to be compared with."""
    where = tree.root / tree.single
    fakes: dict[str, int] = {}
    for entry, images in kinds:
        if entry.label == FAKE:
            fakes[entry.generator] = fakes.get(entry.generator, 0) + images
    if not fakes:
        total = sum(kind.images for kind in kinds)
        raise DataError(f"{where} holds {total} real images and no AI-generated one")
    reals = [kind.entry for kind in kinds if kind.entry.label == REAL]
    sources = {entry.generator for entry in reals if not entry.control}
    unused = sorted(sources - {source for paired in pairing.values() for source in paired})
    if unused:
        _log.warning("%s: no generator is compared with the reals of %s", where, ", ".join(unused))
    for generator, count in sorted(fakes.items()):
        if not sources & set(pairing.get(generator, ())):
            others = f" (real sources found: {', '.join(sorted(sources))})" if sources else ""
            raise DataError(
                f"{where}: generator {generator!r} has {count} fake images and no real ones to be "
                f"compared with{others}: add them, or list both in a CSV with the columns "
                "path,label,generator"
            )
